"""Classical denoisers: they are what they are called, and their open keys are chosen on validation images."""

import dataclasses
import importlib.util
import itertools
import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data, restoration

from bench.models import Model, models
from bench.models._total_variation import STEPS, total_variation
from bench.models.classical import Fitted, Median
from tests.helpers.images import Node, corrupt

HAVE_BM3D = importlib.util.find_spec("bm3d") is not None
SLOW = [pytest.mark.long, pytest.mark.skipif(not HAVE_BM3D, reason="needs the extra bm3d")]
FITTED = [
    pytest.param(name, marks=SLOW if name == "bm3d" else []) for name in models if issubclass(models[name], Fitted)
]
Pairs = tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
GAUSSIAN = {"gaussian": {"sigma": 0.1}}


def reduced(picture: np.ndarray) -> torch.Tensor:
    """(8, 3, 32, 32) in [0, 1]: reduced by averaging, since every eighth pixel would be grainy."""
    cuts = [picture[top : top + 256, left : left + 256] for top in (0, 40) for left in (0, 60, 90, 130)]
    return torch.stack([torch.from_numpy(cut.reshape(32, 8, 32, 8, 3).mean((1, 3)) / 255) for cut in cuts]).movedim(
        -1, 1
    )


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Corrupted and clean: images to fit to and images to test on, of different scenes."""
    fitting, test = (reduced(picture).float() for picture in (data.astronaut(), data.chelsea()))
    return (corrupt(GAUSSIAN, fitting), fitting), (corrupt(GAUSSIAN, test), test)


def open_keys(name: str) -> Fitted:
    """The model with every key null that may be."""
    return cast(Fitted, models.parse({name: dict.fromkeys(cast(type[Fitted], models[name]).unfitted)}))


def psnr(model: Model, noisy: torch.Tensor, clean: torch.Tensor) -> float:
    error = (model.build(clean.shape[-1])(noisy).clamp(0, 1) - clean).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


@pytest.mark.parametrize("name", FITTED)
def test_fitted_denoisers_beat_doing_nothing(name: str, pairs: Pairs) -> None:
    fitting, test = pairs
    fitted = open_keys(name).fit(*fitting)
    assert psnr(fitted, *test) > psnr(models.parse("identity"), *test) + 0.3


@pytest.mark.parametrize("name", FITTED)
def test_no_other_value_of_a_key_is_better_than_the_fitted_one(name: str, pairs: Pairs) -> None:
    (noisy, clean), _ = pairs
    model = open_keys(name)
    fitted = model.fit(noisy, clean)
    noise = float((noisy - clean).square().mean().sqrt())
    for key in model.unfitted:
        errors = {}
        for value in model.candidates(key, noise):
            output = dataclasses.replace(fitted, **{key: value}).build(32)(noisy).clamp(0, 1)
            errors[value] = float((output - clean).square().mean())
        assert getattr(fitted, key) == min(errors, key=errors.__getitem__)
        # The best lies inside what is tried, so the grid is wide enough.
        tried = sorted(errors)
        assert name == "bm3d" or tried[0] < getattr(fitted, key) < tried[-1]


@pytest.mark.parametrize("name", FITTED)
def test_only_open_keys_are_fitted(name: str, pairs: Pairs) -> None:
    fitting, _ = pairs
    model = open_keys(name)
    assert model.fits
    fitted = model.fit(*fitting)
    assert not fitted.fits
    assert fitted.fit(*fitting) is fitted
    others = [key for key in model.params() if key not in model.unfitted]
    assert all(getattr(fitted, key) == getattr(model, key) for key in others)


def test_a_key_that_is_given_stays_while_another_is_fitted(pairs: Pairs) -> None:
    fitting, _ = pairs
    fitted = cast(Any, models.parse({"bilateral": {"spatial": 3.0}}).fit(*fitting))
    assert fitted.spatial == 3.0
    assert 0 < fitted.color < cast(Any, open_keys("bilateral").fit(*fitting)).color  # the wider, the more alike


@pytest.mark.parametrize("name", FITTED)
def test_the_forecast_counts_the_images_that_fitting_denoises(
    name: str, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (noisy, clean), _ = pairs
    model, seen = open_keys(name), 0
    build = type(model).build

    def counted(self: Fitted, size: int) -> torch.nn.Module:
        nonlocal seen
        seen += len(clean)
        return build(self, size)

    monkeypatch.setattr(type(model), "build", counted)
    model.fit(noisy, clean)
    assert seen == pytest.approx(model.fitting(len(clean)), rel=0.4)


def test_models_without_an_open_key_fit_nothing(pairs: Pairs) -> None:
    fitting, _ = pairs
    for node in ("identity", "median", "conv", {"tv": {"weight": 0.2}}):
        model = models.parse(node)
        assert not model.fits
        assert model.fit(*fitting) is model


@pytest.mark.parametrize("name", FITTED)
def test_without_images_an_open_key_has_a_value_that_denoises(name: str, pairs: Pairs) -> None:
    _, test = pairs
    assert psnr(open_keys(name), *test) > psnr(models.parse("identity"), *test) - 1


@pytest.mark.parametrize("name", FITTED)
def test_noiseless_images_are_fitted_too(name: str, pairs: Pairs) -> None:
    clean = pairs[0][1][:2]
    fitted = open_keys(name).fit(clean, clean)
    assert psnr(fitted, clean + 1e-6, clean) > 30


@pytest.mark.parametrize("name", FITTED)
def test_values_outside_the_range_are_taken(name: str) -> None:
    images = 3 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 1
    assert torch.isfinite(open_keys(name).build(32)(images)).all()


@pytest.mark.parametrize("name", FITTED)
def test_the_input_is_left_alone(name: str) -> None:
    images = torch.rand(2, 3, 32, 32)
    before = images.clone()
    open_keys(name).build(32)(images)
    assert torch.equal(images, before)


def test_median_is_that_of_the_window(pairs: Pairs) -> None:
    (noisy, _), _ = pairs
    window = np.pad(noisy.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="symmetric")
    shifted = [window[:, :, i : i + 32, j : j + 32] for i in range(3) for j in range(3)]
    expected = np.median(np.stack(shifted), axis=0)
    np.testing.assert_array_equal(models.parse("median").build(32)(noisy).numpy(), expected)


def test_medians_open_key_fits_the_noise(pairs: Pairs) -> None:
    clean = pairs[0][1]
    model = cast(Median, open_keys("median"))
    assert model.fit(clean, clean).size == 1
    size = model.fit(corrupt({"salt_and_pepper": {"p": 0.4}}, clean), clean).size
    assert size is not None and size >= 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FITTED)
def test_grey_pictures_are_denoised(name: str, channels: int, pairs: Pairs) -> None:
    """Also those that are stored as three equal channels, which have no colours to tell apart."""
    (_, clean), _ = pairs
    shades = clean.mean(1, keepdim=True)
    noisy, expected = (images.expand(-1, channels, -1, -1) for images in (corrupt(GAUSSIAN, shades), shades))
    fitted = open_keys(name).fit(noisy, expected)
    assert psnr(fitted, noisy, expected) > psnr(models.parse("identity"), noisy, expected) + 0.3
    output = fitted.build(32)(noisy)
    torch.testing.assert_close(output, output[:, :1].expand_as(output), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FITTED)
def test_pictures_of_one_colour_stay_as_they_are(name: str) -> None:
    plain = torch.stack([torch.full((3, 16, 16), 0.5), torch.tensor([0.2, 0.6, 0.9]).view(3, 1, 1).expand(3, 16, 16)])
    torch.testing.assert_close(open_keys(name).build(16)(plain), plain, rtol=0, atol=1e-3)


def library(name: str, settings: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """A filter as its library has it, every default written out. image: (H, W, C), or (H, W) for one channel."""
    last = image.ndim - 1 if image.ndim > 2 else None
    sides = (1, 1) if last is None else (1, 1, 0)
    if name == "gaussian_filter":
        deviations = tuple(settings["sigma"] * side for side in sides)
        return ndimage.gaussian_filter(image, deviations, order=0, mode="reflect", cval=0.0, truncate=4.0)
    if name == "median":
        window = tuple(settings["size"] if side else 1 for side in sides)
        return ndimage.median_filter(image, size=window, footprint=None, mode="reflect", cval=0.0, origin=0)
    if name == "nlm":
        return restoration.denoise_nl_means(
            image, patch_size=settings["patch"], patch_distance=settings["distance"], h=settings["h"], fast_mode=False,
            sigma=settings["sigma"], preserve_range=False, channel_axis=last,
        )  # fmt: skip
    if name == "wavelet":
        return restoration.denoise_wavelet(
            image, sigma=settings["sigma"], wavelet="sym4", mode="soft", wavelet_levels=settings["levels"],
            convert2ycbcr=last is not None, method="BayesShrink", rescale_sigma=True, channel_axis=last,
        )  # fmt: skip
    import bm3d

    stages = bm3d.BM3DStages.ALL_STAGES
    if last is None:
        return bm3d.bm3d(image, settings["sigma"], profile="np", stage_arg=stages, blockmatches=(False, False))
    return bm3d.bm3d_rgb(image, settings["sigma"], profile="np", colorspace="opp")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gaussian_filter", {"sigma": 0.9}),
        ("median", {"size": 5}),
        ("nlm", {"h": 0.07, "patch": 3, "distance": 4, "sigma": 0.08}),
        ("wavelet", {"sigma": 0.12, "levels": 2}),
        ("wavelet", {"sigma": 0.12, "levels": 3}),
        pytest.param("bm3d", {"sigma": 0.1}, marks=SLOW),
    ],
)
@pytest.mark.filterwarnings("ignore:Level value")  # small images have few levels without border effects
def test_filters_are_those_of_their_libraries(name: str, settings: dict[str, Any], pairs: Pairs) -> None:
    noisy = pairs[0][0][3:5, :, :, :27]
    shades = noisy[:, :1]
    run = models.parse({name: settings}).build(32)
    for image, output in zip(noisy, run(noisy), strict=True):
        expected = library(name, settings, np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        np.testing.assert_allclose(output.permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-6)
    for batch in (shades, shades.expand(-1, 3, -1, -1)):
        for image, output in zip(shades, run(batch), strict=True):
            expected = library(name, settings, image[0].numpy())
            np.testing.assert_allclose(output.numpy(), np.broadcast_to(expected, output.shape), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [32, 512])
def test_wavelets_have_as_many_levels_at_every_size(size: int) -> None:
    """Of white noise on a flat picture the coarsest means stay, over 2 x 2 pixels or over 8 x 8: a quarter of that."""
    levels = []
    for count in (1, 3):
        noisy = corrupt(GAUSSIAN, torch.full((1, 3, size, size), 0.5))
        output = models.parse({"wavelet": {"sigma": 0.1, "levels": count}}).build(size)(noisy)
        levels.append(float((output - 0.5).square().mean().sqrt()))
    assert levels[0] / levels[1] == pytest.approx(4, rel=0.35)


# Total variation


def test_one_channels_total_variation_is_scikit_images(pairs: Pairs) -> None:
    noisy = pairs[0][0].numpy()[:, :1, :, :27]
    expected = [
        restoration.denoise_tv_chambolle(image[0], weight=0.08, eps=0, max_num_iter=STEPS + 1, channel_axis=None)
        for image in noisy
    ]
    found = models.parse({"tv": {"weight": 0.08}}).build(32)(torch.from_numpy(noisy))
    np.testing.assert_allclose(found[:, 0].numpy(), np.stack(expected), rtol=0, atol=1e-5)


def objective(filtered: np.ndarray, noisy: np.ndarray, weight: float) -> np.ndarray:
    """What total variation minimises, written out for one pixel after the other; (N,)."""
    total = np.square(filtered - noisy).sum((1, 2, 3)) / 2
    for y, x in np.ndindex(*noisy.shape[2:]):
        here = filtered[..., y, x]
        below = filtered[..., min(y + 1, noisy.shape[2] - 1), x] - here
        beside = filtered[..., y, min(x + 1, noisy.shape[3] - 1)] - here
        total += weight * np.sqrt((below**2 + beside**2).sum(1))
    return total


def test_total_variation_minimises_its_objective(pairs: Pairs) -> None:
    """It falls, to at most 0.1 % above that of many more steps, and nothing near it is lower."""
    noisy, weight = pairs[0][0].double().numpy()[:2], 0.1
    falling = [objective(total_variation(noisy, weight, steps), noisy, weight) for steps in (1, 3, 10, 30, STEPS, 2000)]
    assert (np.diff(falling, axis=0) < 0).all()
    np.testing.assert_allclose(falling[-2], falling[-1], rtol=1e-3)
    for seed in range(5):
        nearby = total_variation(noisy, weight) + 0.01 * np.random.default_rng(seed).standard_normal(noisy.shape)
        assert (objective(nearby, noisy, weight) > falling[-2]).all()


def test_edges_that_channels_share_are_kept_better_than_channel_by_channel(pairs: Pairs) -> None:
    (fitting, (noisy, clean)) = pairs
    together = open_keys("tv").fit(*fitting)

    def alone(weight: float) -> float:
        images = [restoration.denoise_tv_chambolle(image.numpy(), weight, channel_axis=0) for image in noisy]
        error = (torch.from_numpy(np.stack(images)) - clean).square().mean((1, 2, 3))
        return float((-10 * error.log10()).mean())

    assert psnr(together, noisy, clean) > max(alone(weight) for weight in (0.03, 0.05, 0.07, 0.1)) + 0.2


# Linear smoothing filters


LINEAR: list[Node] = [{"gaussian_filter": {"sigma": 0.8}}, {"gaussian_filter": {"sigma": 2.0}},
                      {"bilateral": {"color": 2.0, "spatial": 1.5}}]  # fmt: skip


@pytest.mark.parametrize("node", LINEAR, ids=str)
def test_smoothing_filters_answer_an_impulse_evenly_on_all_sides(node: Node) -> None:
    """With colours that hardly differ a bilateral filter is linear as well."""
    images = torch.zeros(1, 3, 31, 31)
    images[..., 15, 15] = 1e-3
    found = models.parse(node).build(31)(images)[0, 0].double().numpy() / 1e-3
    assert found.sum() == pytest.approx(1, abs=1e-3)  # constants are kept
    for turned in (found[::-1], found[:, ::-1], found.T):
        np.testing.assert_allclose(turned, found, atol=1e-6)
    y, x = np.mgrid[-15:16, -15:16]
    assert ((found * y).sum(), (found * x).sum()) == pytest.approx((0, 0), abs=1e-5)
    assert found.argmax() == found.size // 2


@pytest.mark.parametrize("name", ["gaussian_filter", "median", "bilateral"])
def test_filters_without_a_direction_commute_with_flips(name: str, pairs: Pairs) -> None:
    noisy = pairs[0][0][:, :, :, :27]
    run = open_keys(name).build(32)
    for axis in (2, 3):
        torch.testing.assert_close(run(noisy.flip(axis)), run(noisy).flip(axis), rtol=0, atol=1e-5)


# The bilateral filter


def test_bilateral_is_that_of_its_definition() -> None:
    images, color, spatial = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32), 0.3, 1.0
    expected = np.zeros(images.shape)
    for n, y, x in np.ndindex(2, 9, 7):
        weights, total = 0.0, np.zeros(3)
        for v, u in itertools.product(range(max(0, y - 3), min(9, y + 4)), range(max(0, x - 3), min(7, x + 4))):
            across = ((images[n, :, y, x] - images[n, :, v, u]) ** 2).sum()
            weight = math.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * spatial**2) - across / (2 * color**2))
            weights, total = weights + weight, total + weight * images[n, :, v, u]
        expected[n, :, y, x] = total / weights
    found = models.parse({"bilateral": {"color": color, "spatial": spatial}}).build(9)(torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("spatial", [0.7, 2.0, 3.0])
def test_bilateral_of_an_impulse_is_the_gaussian_kernel_around_it(spatial: float) -> None:
    """Where colours hardly differ, the weights are those of space: largest at the centre, which is the centroid."""
    images = torch.zeros(1, 3, 41, 41)
    images[..., 20, 20] = 1e-4
    found = models.parse({"bilateral": {"color": 2.0, "spatial": spatial}}).build(41)(images)[0, 0].numpy()
    y, x = np.mgrid[:41, :41]
    assert ((found * y).sum() / found.sum(), (found * x).sum() / found.sum()) == pytest.approx((20, 20), abs=1e-4)
    kernel = np.exp(-((y - 20) ** 2 + (x - 20) ** 2) / (2 * spatial**2))
    assert found[20, 20] / 1e-4 == pytest.approx(1 / kernel.sum(), rel=0.02)


@pytest.mark.xfail(strict=True, reason="scikit-image 0.26 reads its table of spatial weights with a wrong stride")
def test_scikit_images_bilateral_filter_answers_an_impulse_at_its_place() -> None:
    """The day this passes, that filter is repaired and ours could be its."""
    image = np.zeros((31, 31))
    image[15, 15] = 1e-3
    found = restoration.denoise_bilateral(image, win_size=7, sigma_color=2.0, sigma_spatial=1.5, mode="edge")
    assert np.unravel_index(found.argmax(), found.shape) == (15, 15)
