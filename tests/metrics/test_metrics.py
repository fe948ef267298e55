"""Every registered metric against scikit-image or torch, against closed forms, and on its own properties."""

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from bench.core.errors import BenchError
from bench.metrics import Average, Metric, compute, metrics

Reference = Callable[[np.ndarray, np.ndarray], float]  # of one image and its target, (3, H, W) float64


def wang(image: np.ndarray, target: np.ndarray) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(image, target, channel_axis=0, data_range=1, **options)


def distance(over: str) -> Reference:
    def measure(image: np.ndarray, target: np.ndarray) -> float:
        pair = [torch.from_numpy(image), torch.from_numpy(target)]
        if over == "image":
            pair = [one.reshape(1, -1) for one in pair]
        return torch.nn.PairwiseDistance()(*pair).mean().item()

    return measure


# What each column must equal.
REFERENCES: dict[str, Reference] = {
    "mse": mean_squared_error,
    "psnr": lambda image, target: peak_signal_noise_ratio(target, image, data_range=1),
    "ssim": wang,
    "ssim_uniform": lambda image, target: structural_similarity(image, target, channel_axis=0, data_range=1),
    "pairwise_distance": distance("row"),
    "pairwise_distance(over=image)": distance("image"),
}
CHOSEN = [*(metrics.parse(name) for name in metrics), metrics.parse({"pairwise_distance": {"over": "image"}})]
COLUMNS = [metric.column for metric in CHOSEN]
SIZES = st.tuples(st.integers(11, 40), st.integers(11, 40))
KINDS = ["unrelated", "noisy", "beyond", "slightly off", "constant", "identical", "extreme", "opposite", "gradient"]


def images_of(kind: str, count: int, size: tuple[int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and targets, float32 (count, 3, *size); only images may leave [0, 1]."""
    random = np.random.default_rng(seed)
    targets = random.random((count, 3, *size))
    images = {
        "unrelated": lambda: random.random(targets.shape),
        "noisy": lambda: (targets + random.normal(0, 0.1, targets.shape)).clip(0, 1),
        "beyond": lambda: targets + random.normal(0, 1, targets.shape),
        "slightly off": lambda: (targets + 1e-4).clip(0, 1),
        "constant": lambda: np.full(targets.shape, random.random()),
        "identical": lambda: targets,
        "extreme": lambda: (targets > 0.5).astype(float),
        "opposite": lambda: 1 - targets,
        "gradient": lambda: np.broadcast_to(np.linspace(0, 1, size[1]), targets.shape),
    }[kind]()
    if kind == "constant" and seed % 2:
        targets = np.full(targets.shape, random.random())
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(targets.astype(np.float32))


def assert_as_reference(images: torch.Tensor, targets: torch.Tensor) -> None:
    found = compute(CHOSEN, images, targets)
    assert list(found) == COLUMNS
    pairs = list(zip(images.clamp(0, 1).double().numpy(), targets.double().numpy(), strict=True))
    for column, values in found.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a perfect image divides by zero
            expected = [REFERENCES[column](image, target) for image, target in pairs]
        assert values.dtype == torch.float64
        np.testing.assert_allclose(values.numpy(), expected, rtol=0, atol=1e-6, err_msg=column)


def test_every_registered_metric_has_a_reference() -> None:
    assert set(COLUMNS) == set(REFERENCES)


@pytest.mark.parametrize("kind", KINDS)
@given(size=SIZES, count=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_as_scikit_image_and_torch_compute_it(kind: str, size: tuple[int, int], count: int, seed: int) -> None:
    assert_as_reference(*images_of(kind, count, size, seed))


def test_on_photographs(photos: np.ndarray) -> None:
    targets = torch.from_numpy(photos).float() / 255
    blurred = torch.nn.functional.avg_pool2d(targets, 3, 1, 1)
    assert_as_reference(blurred, targets)
    assert_as_reference(blurred.to(memory_format=torch.channels_last), targets)
    assert_as_reference(blurred.transpose(2, 3).contiguous().transpose(2, 3), targets)


@pytest.mark.parametrize("metric", CHOSEN, ids=COLUMNS)
class TestEach:
    def test_alone_it_gives_what_it_gives_in_company(self, metric: Metric) -> None:
        images, targets = images_of("noisy", 20, (32, 32), 1)
        assert torch.equal(metric.values(images, targets), compute(CHOSEN, images, targets)[metric.column])

    @given(size=SIZES, data=st.data(), seed=st.integers(0, 2**32))
    def test_an_image_gets_the_same_value_in_every_batch(
        self, metric: Metric, size: tuple[int, int], data: st.DataObject, seed: int
    ) -> None:
        images, targets = images_of("noisy", 37, size, seed)
        chosen = data.draw(st.lists(st.integers(0, 36), min_size=1, max_size=40))
        whole = metric.values(images, targets)
        assert torch.equal(metric.values(images[chosen], targets[chosen]), whole[chosen])

    @given(size=SIZES, kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
    def test_symmetry_and_bounds(self, metric: Metric, size: tuple[int, int], kind: str, seed: int) -> None:
        images, targets = images_of(kind, 2, size, seed)
        images = images.clamp(0, 1)
        values = metric.values(images, targets)
        swapped = metric.values(targets, images)
        # torch adds 1e-6 to the signed difference, so its distance is symmetric up to twice that in every element.
        tolerance = 2.1e-6 * (3 * size[0] * size[1]) ** 0.5 if metric.name == "pairwise_distance" else 1e-12
        torch.testing.assert_close(values, swapped, rtol=0, atol=tolerance)
        low, high = {"SSIM": (-1, 1), "SSIM (7x7)": (-1, 1)}.get(metric.title, (0, math.inf))
        assert (values >= low).all()
        assert (values <= high).all()

    def test_a_perfect_image_is_the_best(self, metric: Metric) -> None:
        images, targets = images_of("slightly off", 3, (32, 32), 5)
        best, worse = metric.values(targets, targets), metric.values(images, targets)
        assert ((best > worse) if metric.better == "higher" else (best < worse)).all()

    def test_what_it_is_given_stays_as_it_was(self, metric: Metric) -> None:
        images, targets = images_of("beyond", 3, (20, 20), 2)
        before = images.clone(), targets.clone()
        metric.values(images, targets)
        assert torch.equal(images, before[0])
        assert torch.equal(targets, before[1])

    def test_not_a_number_is_not_hidden(self, metric: Metric) -> None:
        images, targets = images_of("noisy", 3, (20, 20), 2)
        images[1, 0, 10, 10] = math.nan
        assert metric.values(images, targets).isnan().tolist() == [False, True, False]

    def test_it_says_what_axes_need(self, metric: Metric) -> None:
        assert metric.title
        assert metric.better in ("higher", "lower")
        assert metric.unit == ("dB" if metric.name == "psnr" else "")


def test_a_perfect_image_to_the_bit() -> None:
    _, targets = images_of("unrelated", 4, (32, 32), 3)
    found = compute(CHOSEN, targets, targets)
    assert found["mse"].tolist() == [0] * 4
    assert found["psnr"].tolist() == [math.inf] * 4
    assert found["ssim"].tolist() == found["ssim_uniform"].tolist() == [1] * 4


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (0.75, 0.5)])
def test_closed_forms_of_constant_images(a: float, b: float) -> None:
    images, targets = torch.full((2, 3, 16, 24), a), torch.full((2, 3, 16, 24), b)
    # Wang et al. 2004, eq. 13: without variance only the luminance term is left.
    similarity = (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2)
    expected = {
        "mse": (a - b) ** 2,
        "psnr": -20 * math.log10(abs(a - b)),
        "ssim": similarity,
        "ssim_uniform": similarity,
        "pairwise_distance": abs(a - b + 1e-6) * 24**0.5,
        "pairwise_distance(over=image)": abs(a - b + 1e-6) * (3 * 16 * 24) ** 0.5,
    }
    found = compute(CHOSEN, images, targets)
    for column, value in expected.items():
        assert found[column].tolist() == pytest.approx([value] * 2, abs=1e-9)


def test_one_step_of_eight_bits_is_48_13_db() -> None:
    targets = torch.randint(0, 255, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    values = metrics.parse("psnr").values((targets + 1) / 255, targets / 255)
    assert values.tolist() == pytest.approx([48.1308] * 3, abs=1e-3)  # 20 log10(255)


def test_ssim_keeps_its_value_of_inverted_contrast() -> None:
    # Checkerboards in antiphase: means equal, covariance minus the variance, hence (C2 - 2v) / (C2 + 2v) all over.
    board = torch.from_numpy(np.indices((32, 32)).sum(0) % 2).float().expand(1, 3, -1, -1)
    variance = 24 * 25 / 49**2 * 49 / 48  # of a window with 24 of one and 25 of the other
    mean_product, mean_squares = 24 * 25 / 49**2, (24**2 + 25**2) / 49**2
    expected = (2 * mean_product + 1e-4) / (mean_squares + 1e-4) * (9e-4 - 2 * variance) / (9e-4 + 2 * variance)
    assert metrics.parse("ssim_uniform").values(board, 1 - board).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("name", "least"), [("ssim", 11), ("ssim_uniform", 7)])
@pytest.mark.parametrize("wide", [False, True])
def test_too_small_an_image_is_refused(name: str, least: int, wide: bool) -> None:
    metric = metrics.parse(name)
    metric.values(torch.rand(1, 3, least, least), torch.rand(1, 3, least, least))
    size = (least - 1, 40) if wide else (40, least - 1)
    with pytest.raises(BenchError) as caught:
        metric.values(torch.rand(1, 3, *size), torch.rand(1, 3, *size))
    assert f"{size[0]}x{size[1]}" in str(caught.value)
    assert f"{least}x{least}" in str(caught.value)


def test_columns() -> None:
    assert metrics.parse("pairwise_distance").column == "pairwise_distance"
    assert metrics.parse({"pairwise_distance": {"over": "row"}}).column == "pairwise_distance"
    assert metrics.parse({"pairwise_distance": {"over": "image"}}).column == "pairwise_distance(over=image)"


def test_nothing_to_measure() -> None:
    empty = torch.empty(0, 3, 32, 32)
    assert {column: values.shape for column, values in compute(CHOSEN, empty, empty).items()} == dict.fromkeys(
        COLUMNS, (0,)
    )
    assert compute([], torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)) == {}


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        compute(CHOSEN, torch.rand(4, 3, 32, 32), torch.rand(1, 3, 32, 32))


def test_a_network_s_output_needs_no_detaching() -> None:
    images, targets = images_of("noisy", 2, (16, 16), 0)
    for values in compute(CHOSEN, images.requires_grad_(), targets).values():
        assert not values.requires_grad


@dataclass(frozen=True)
class Brightness(Metric):
    """A metric as a plug-in would write it: values alone."""

    def values(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3)) - targets.mean((1, 2, 3))


@dataclass(frozen=True)
class Pooled(Metric):
    """A metric that forgets to keep images apart."""

    def values(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (images - targets).abs().mean()


def test_a_metric_that_shares_nothing() -> None:
    images, targets = images_of("unrelated", 40, (16, 16), 0)
    (values,) = compute([Brightness()], images, targets).values()
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx((images - targets).mean((1, 2, 3)).tolist(), abs=1e-6)


def test_a_metric_that_pools_is_caught() -> None:
    with pytest.raises(BenchError, match="one value per image"):
        compute([Pooled()], *images_of("noisy", 3, (16, 16), 0))


def test_an_exact_image_counts_as_the_ceiling() -> None:
    psnr = metrics.parse("psnr")
    assert psnr.summary(np.array([20.0, 22.0])) == pytest.approx((21, 2**0.5, 2, 0, 0, 0.00815479), rel=1e-6)
    found = psnr.summary(np.array([20.0, math.inf, 30.0, 70.0]))
    assert (found.mean, found.n, found.exact, found.capped) == (42.5, 4, 1, 2)
    assert found.error == pytest.approx((0.01 + 0 + 0.001 + 1e-7) / 4)
    assert psnr.summary(np.full(3, math.inf)).mean == math.inf
    assert math.isnan(psnr.summary(np.array([25.0])).deviation)


DECIBELS = st.lists(st.one_of(st.floats(0, 90), st.just(math.inf)), min_size=1, max_size=30)


@given(DECIBELS, st.data())
def test_whoever_is_as_good_on_every_image_is_not_behind(values: list[float], data: st.DataObject) -> None:
    """The reason for the ceiling: images that left the mean let a better row fall behind."""
    psnr = metrics.parse("psnr")
    gains = data.draw(st.lists(st.one_of(st.floats(0, 90), st.just(math.inf)), min_size=30, max_size=30))
    better = np.array(values) + np.array(gains[: len(values)])
    assert psnr.summary(better).mean >= psnr.summary(np.array(values)).mean - 1e-9


@given(DECIBELS)
def test_an_average_comes_back_from_json(values: list[float]) -> None:
    found = metrics.parse("psnr").summary(np.array(values))
    again = Average.from_node(json.loads(json.dumps(found.node(), allow_nan=False)))
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("psnr", [20.0, 21.0, 21.004], [False, True, True]),
        ("psnr", [20.0, math.inf, math.nan], [False, True, False]),
        ("mse", [0.002, 0.001, 0.003], [False, True, False]),
        ("mse", [0.0, 0.001], [True, False]),
        ("ssim", [math.nan, math.nan], [False, False]),
        ("ssim", [], []),
    ],
)
def test_the_best_follows_the_direction_and_the_decimals_shown(
    name: str, values: list[float], best: list[bool]
) -> None:
    assert metrics.parse(name).best(values) == best


def test_values_are_written_alike_everywhere() -> None:
    psnr, mse = metrics.parse("psnr"), metrics.parse("mse")
    assert [psnr.format(value) for value in (27.804, math.inf, math.nan)] == ["27.80", "perfect", "-"]
    assert (psnr.format(0.5, signed=True), psnr.format(-0.5, signed=True)) == ("+0.50", "-0.50")
    assert mse.format(0.00213456) == "0.002135"
    assert [mse.format(value, [0.0456, 0.00213]) for value in (0.0456, 0.00213)] == ["0.04560", "0.00213"]
    assert (psnr.axis_label, mse.axis_label) == ("PSNR (dB), higher is better", "MSE, lower is better")
