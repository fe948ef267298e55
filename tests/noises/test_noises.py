"""What every registered noise promises, and that its measured level is the one requested."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from bench.core.errors import FieldError
from bench.core.images import to_float
from bench.core.rng import Draw
from bench.noises import Noise, Range, noises
from tests.helpers.images import Node, corrupt, draw_for, images_of, through_pillow

Measure = tuple[torch.Tensor, float, float]  # independent values, their expected mean, their variance

SEEDS = st.integers(0, 2**40)
SHARES = st.floats(0.01, 0.99) | st.sampled_from([0.0, 1.0])
SIGMAS = st.floats(0.01, 1.0)
SITES = st.sampled_from(["element", "pixel"])


def bernoulli(hits: torch.Tensor, share: float) -> Measure:
    return hits, share, share * (1 - share)


# Each gives measures of a noise, from clean and noisy images.


def measure_gaussian(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    residual = noisy - clean
    return [(residual, 0, noise.sigma**2), (residual**2, noise.sigma**2, 2 * noise.sigma**4)]


def measure_speckle(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    return measure_gaussian(noise, torch.zeros(()), (noisy - clean) / clean)


def measure_uniform(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    residual, a = noisy - clean, noise.amplitude
    assert residual.abs().max() <= a + 1e-6
    return [(residual, 0, a**2 / 3), (residual**2, a**2 / 3, 4 * a**4 / 45)]


def sites(noise: Any, values: torch.Tensor) -> torch.Tensor:
    return values[:, :1] if noise.per == "pixel" else values


def measure_masking(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    assert torch.equal(noisy[noisy != noise.fill], clean[noisy != noise.fill])
    return [bernoulli(sites(noise, noisy == noise.fill), noise.p)]


def measure_salt_and_pepper(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    hit = noisy != clean
    assert ((noisy == 0) | (noisy == 1))[hit].all()
    white, black = noise.p * noise.salt, noise.p * (1 - noise.salt)
    return [bernoulli(sites(noise, values), share) for values, share in ((noisy == 1, white), (noisy == 0, black))]


def measure_impulse(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    hit = noisy != clean
    return [bernoulli(sites(noise, hit), noise.p), (noisy[hit], 0.5, 1 / 12), (noisy[hit] ** 2, 1 / 3, 4 / 45)]


def measure_poisson(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    rate = clean.double() * noise.peak
    scaled = (noisy * noise.peak - rate) / rate.sqrt()
    # The fourth central moment of a Poisson count is rate + 3 rate^2.
    return [(scaled, 0, 1), (scaled**2, 1, 2 + (1 / rate).mean().item())]


def measure_blur(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    point = torch.zeros(1, 3, 81, 81)
    point[:, :, 40, 40] = 1
    line = noise.apply(point, draw_for(point)).sum(2)
    assert line.sum(-1).tolist()[0] == pytest.approx([1] * 3, abs=1e-5)
    offsets = torch.arange(-40, 41)
    kernel = ndimage.gaussian_filter1d(np.eye(81)[40], noise.sigma, truncate=4)
    return [((line * offsets**2).sum(-1), float((kernel * offsets.numpy() ** 2).sum()), 0)]


def measure_jpeg(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    expected = torch.stack([through_pillow(image, noise.quality) for image in clean])
    return [((noisy - expected).abs(), 0, 0)]


def measure_block_masking(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    b = noise.block
    patches = (noisy == noise.fill).float()
    grown = (
        patches[:, :, ::b, ::b].repeat_interleave(b, 2).repeat_interleave(b, 3)[..., : clean.shape[2], : clean.shape[3]]
    )
    assert torch.equal(grown, patches)
    return [bernoulli(patches[:, :1, ::b, ::b], noise.p)]


def measure_compose(noise: Any, clean: torch.Tensor, noisy: torch.Tensor) -> list[Measure]:
    blurred, masked = noise.of
    kept = noisy != 0
    return [bernoulli(~kept, masked.p), *measure_gaussian(blurred, clean[kept], noisy[kept])]


def composition(sigma: float, p: float) -> dict[str, Any]:
    return {"of": [{"gaussian": {"sigma": sigma, "clip": False}}, {"masking": {"p": p, "clip": False}}]}


# For each noise: its keys, and what is measured.
MEASURES: dict[str, tuple[st.SearchStrategy[dict[str, Any]], Callable[..., list[Measure]]]] = {
    "gaussian": (st.fixed_dictionaries({"sigma": SIGMAS}), measure_gaussian),
    "masking": (st.fixed_dictionaries({"p": SHARES, "per": SITES, "fill": st.floats(0, 0.2)}), measure_masking),
    "salt_and_pepper": (st.fixed_dictionaries({"p": SHARES, "salt": SHARES, "per": SITES}), measure_salt_and_pepper),
    "impulse": (st.fixed_dictionaries({"p": SHARES, "per": SITES}), measure_impulse),
    "poisson": (st.fixed_dictionaries({"peak": st.floats(1, 1000)}), measure_poisson),
    "speckle": (st.fixed_dictionaries({"sigma": SIGMAS}), measure_speckle),
    "uniform": (st.fixed_dictionaries({"amplitude": SIGMAS}), measure_uniform),
    "blur": (st.fixed_dictionaries({"sigma": st.floats(0.2, 10)}), measure_blur),
    "jpeg": (st.fixed_dictionaries({"quality": st.integers(1, 100)}), measure_jpeg),
    "block_masking": (st.fixed_dictionaries({"p": SHARES, "block": st.integers(1, 40)}), measure_block_masking),
    "compose": (st.builds(composition, SIGMAS, st.floats(0.1, 0.9)), measure_compose),
}
NAMES = list(noises)
NO_LEVEL_ZERO = {"poisson", "jpeg"}  # no photons are no picture, and the best JPEG is still one
RANGES: dict[str, list[float]] = {
    "poisson": [1, 60],
    "jpeg": [5, 95],
    "blur": [0, 3.5],
}


def nodes(name: str) -> st.SearchStrategy[Node]:
    """Specs of one noise: levels fixed or drawn, with every inherited key."""
    cls = noises[name]
    plain = MEASURES[name][0]
    drawn = st.just({cls.level: {"range": RANGES.get(name, [0, 0.5])}}) if cls.level else plain
    shared = st.sampled_from([{}, {"clip": False}, {"clip": True, "quantize": True}, {"quantize": True}])
    return st.tuples(plain | drawn, shared).map(lambda parts: {name: {**parts[0], **parts[1]}})


def test_every_registered_noise_is_measured() -> None:
    assert set(NAMES) == set(MEASURES)


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    @given(data=st.data(), count=st.integers(1, 5), size=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=SEEDS)
    def test_shape_type_range_and_input(
        self, name: str, data: st.DataObject, count: int, size: tuple[int, int], seed: int
    ) -> None:
        node = data.draw(nodes(name))
        noise = noises.parse(node)
        images = images_of(count, size, seed)
        before = images.clone()
        noisy = noise.apply(images, draw_for(images, seed))
        assert noisy.shape == images.shape
        assert noisy.dtype == torch.float32
        assert noisy.isfinite().all()
        assert torch.equal(images, before)
        if noise.clip or noise.quantize:
            assert noisy.min() >= 0
            assert noisy.max() <= 1
        if noise.quantize:
            assert torch.equal(to_float((noisy * 255).round().to(torch.uint8)), noisy)

    @given(data=st.data(), size=st.sampled_from([(32, 32), (28, 28), (17, 33), (7, 5)]), seed=SEEDS)
    def test_an_image_gets_the_same_noise_in_every_batch(
        self, name: str, data: st.DataObject, size: tuple[int, int], seed: int
    ) -> None:
        noise = noises.parse(data.draw(nodes(name)))
        images = images_of(30, size, seed)
        whole = noise.apply(images, draw_for(images, seed))
        chosen = torch.tensor(data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=40)))
        part = noise.apply(images[chosen], Draw((len(chosen), 3, *size), seed, ("test",), chosen))
        assert torch.equal(part, whole[chosen])

    @given(data=st.data(), seed=SEEDS)
    def test_the_level_is_the_one_requested(self, name: str, data: st.DataObject, seed: int) -> None:
        keys, measure = MEASURES[name]
        noise = noises.parse({name: {**data.draw(keys), "clip": False}})
        images = images_of(2 if name == "jpeg" else 32, (40, 40), seed) * 0.5 + 0.3
        noisy = noise.apply(images, draw_for(images, seed))
        for values, mean, variance in measure(noise, images, noisy):
            if values.numel():
                error = (variance / values.numel()) ** 0.5
                # Now and then what is drawn for a site is the very value it had: hence the second term.
                assert abs(values.double().mean().item() - mean) <= 5 * error + 2e-5 * max(1, abs(mean))

    @given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=SEEDS)
    def test_level_zero_is_identity(self, name: str, size: tuple[int, int], seed: int) -> None:
        images = images_of(3, size, seed)
        key = noises[name].level
        if name in NO_LEVEL_ZERO:
            with pytest.raises(FieldError):
                noises.parse({name: {key: 0}})
            return
        zero = {name: {key: 0} if key else {"of": [{"gaussian": {"sigma": 0}}, {"masking": {"p": 0}}]}}
        assert torch.equal(corrupt(zero, images, seed), images)

    def test_other_seeds_and_images_other_noise(self, name: str) -> None:
        if name in ("blur", "jpeg"):
            return  # nothing is drawn
        images = images_of(1, (32, 32)).expand(2, -1, -1, -1)
        first, second = corrupt(name, images, 1)
        assert not torch.equal(first, second)
        assert not torch.equal(first, corrupt(name, images, 2)[0])

    @given(data=st.data())
    def test_parameters_written_out_parse_to_the_same(self, name: str, data: st.DataObject) -> None:
        noise = noises.parse(data.draw(nodes(name)))
        again = noises.parse(noise.node())
        assert again == noise
        assert hash(again) == hash(noise)
        assert again.label() == noise.label()

    def test_levels_drawn_as_whole_or_broken_numbers_are_the_same_range(self, name: str) -> None:
        level = noises[name].level
        if not level or name in NO_LEVEL_ZERO:
            return
        whole, broken = (noises.parse({name: {level: {"range": ends}}}) for ends in ([0, 1], [0.0, 1.0]))
        assert whole.label() == broken.label()
        assert whole.node() == broken.node()
        images = images_of(40, (32, 32))
        noisy = whole.apply(images, draw_for(images))
        assert torch.equal(noisy, broken.apply(images, draw_for(images)))
        changed = (noisy - images).abs().flatten(1).mean(1)
        assert len(changed.unique()) > 20  # not only the two ends


@pytest.mark.parametrize("name", NAMES)
def test_a_noise_is_unbiased_if_the_mean_of_many_noisy_images_is_the_clean_one(name: str) -> None:
    noise = noises.parse({name: {"clip": False}} if name != "compose" else {name: composition(0.1, 0.2)})
    image = images_of(1, (16, 16)) * 0.8 + 0.1
    many = image.expand(4000, -1, -1, -1)
    noisy = noise.apply(many, draw_for(many))
    error = (noisy.mean(0) - image[0]) / (noisy.std(0) / len(noisy) ** 0.5).clamp(min=1e-6)
    assert (error.square().mean().item() < 1.3) == noise.unbiased


PER = [{name: {"per": per}} for name in ("masking", "salt_and_pepper", "impulse") for per in ("element", "pixel")]


@pytest.mark.parametrize("node", [*NAMES, *PER], ids=str)
def test_noise_per_channel_says_nothing_of_the_other_channels(node: Node) -> None:
    """Squares show what signs hide: impulse noise of whole pixels has values of its own in each channel."""
    noise = noises.parse(node)
    images = torch.full((50, 3, 32, 32), 0.5)
    images[:, :, ::2] = 0.4  # blur and JPEG change no flat image
    changes = (noise.apply(images, draw_for(images)) - images).square().movedim(1, 0).flatten(1)
    together = float(torch.corrcoef(changes)[0, 1])
    assert (abs(together) < 5 / changes.shape[1] ** 0.5) == noise.per_channel


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.3])
def test_the_bias_is_that_of_a_clipped_normal_distribution(sigma: float) -> None:
    x = np.linspace(0, 1, 101)
    low, high = (0 - x) / sigma, (1 - x) / sigma
    inside = stats.norm.cdf(high) - stats.norm.cdf(low)
    mean = x * inside + sigma * (stats.norm.pdf(low) - stats.norm.pdf(high)) + stats.norm.sf(high)
    expected = np.sqrt(np.square(mean - x).mean())
    assert noises.parse({"gaussian": {"sigma": sigma}}).bias() == pytest.approx(expected, rel=0.03)
    assert noises.parse({"gaussian": {"sigma": sigma, "clip": False}}).bias() < 0.02 * sigma
    parts = [{"gaussian": {"sigma": sigma}}, {"uniform": {"amplitude": 0.0}}]
    assert noises.parse({"compose": {"of": parts}}).bias() == pytest.approx(expected, rel=0.03)


def test_noises_of_which_nothing_is_said_are_taken_for_biased() -> None:
    @dataclass(frozen=True)
    class Unsaid(Noise):
        def corrupt(self, images: torch.Tensor, draw: Draw) -> torch.Tensor:
            return images

    @dataclass(frozen=True)
    class Said(Unsaid):
        unbiased = True
        per_channel = True

    assert (Unsaid().unbiased, Unsaid().per_channel) == (False, False)
    assert (Said().unbiased, Said().per_channel) == (True, True)


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_the_level_is_a_number_where_there_is_one(name: str) -> None:
    key = noises[name].level
    if not key:
        assert noises.parse(name).level_value is None
        return
    ends = RANGES.get(name, [0, 0.5])
    values = [noises.parse({name: {key: end}}).level_value for end in ends]
    assert values == ends
    assert all(type(value) is float for value in values)
    assert noises.parse({name: {key: {"range": ends}}}).level_value is None


def test_the_range_of_levels_is_drawn_uniformly() -> None:
    images = torch.full((4000, 3, 16, 16), 0.5)
    residual = corrupt({"gaussian": {"sigma": {"range": [0.1, 0.3]}, "clip": False}}, images) - images
    measured = residual.flatten(1).std(1).numpy()
    assert stats.kstest(measured, stats.uniform(0.1, 0.2).cdf).statistic < 0.04  # measured to 2.6 %
    shares = (corrupt({"masking": {"p": {"range": [0.2, 0.4]}}}, images) == 0).float().mean((1, 2, 3)).numpy()
    assert abs(shares.mean() - 0.3) < 5 * (0.04 / 12 / 4000 + 0.21 / images.numel()) ** 0.5


def test_a_range_given_in_code_draws_from_all_of_it() -> None:
    images = torch.full((40, 3, 16, 16), 0.5)
    gaussian: Any = noises["gaussian"]  # its field is typed as a number, which a range stands for
    noise = gaussian(sigma=Range(0, 1), clip=False)
    spread = (noise.apply(images, draw_for(images)) - images).flatten(1).std(1)
    assert ((spread > 0.1) & (spread < 0.9)).sum() > 20


def test_whole_levels_reach_both_ends_and_no_further() -> None:
    images = images_of(1, (16, 16)).expand(60, -1, -1, -1)
    noisy = corrupt({"jpeg": {"quality": {"range": [1, 3]}}}, images)
    levels = torch.stack([corrupt({"jpeg": {"quality": quality}}, images[:1])[0] for quality in (1, 2, 3)])
    matches = (noisy[:, None] == levels).all((2, 3, 4))
    assert (matches.sum(1) >= 1).all()
    assert matches.any(0).all()


@pytest.mark.parametrize(
    ("node", "path"),
    [
        ({"compose": {"of": [{"gaussian": {"fresh": False}}]}}, ("of", 0, "gaussian", "fresh")),
        ({"compose": {"of": ["gaussian", {"masking": {"split": "train"}}]}}, ("of", 1, "masking", "split")),
        ({"compose": {"of": [{"compose": {"of": ["gaussian"], "fresh": False}}]}}, ("of", 0, "compose", "fresh")),
        ({"gaussian": {"clip": False, "quantize": True}}, ("quantize",)),
    ],
)
def test_keys_without_an_effect_are_refused(node: Node, path: tuple[str | int, ...]) -> None:
    with pytest.raises(FieldError) as caught:
        noises.parse(node)
    assert caught.value.path[-len(path) :] == path


def test_a_frozen_composition_is_frozen() -> None:
    frozen = noises.parse({"compose": {"of": ["gaussian", "masking"], "fresh": False}})
    assert not frozen.fresh
