"""Classical denoisers: they denoise, and their open key is chosen on validation images."""

import dataclasses
import importlib.util
import itertools
import math
from typing import cast

import numpy as np
import pytest
import torch
from skimage import data, restoration

from bench.models import Model, models
from bench.models.classical import Fitted, Median
from tests.helpers.images import corrupt

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


def open_key(name: str) -> Fitted:
    """The model with its key left null."""
    return cast(Fitted, models.parse({name: {cast(type[Fitted], models[name]).key: None}}))


def psnr(model: Model, noisy: torch.Tensor, clean: torch.Tensor) -> float:
    error = (model.build(clean.shape[-1])(noisy).clamp(0, 1) - clean).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


@pytest.mark.parametrize("name", FITTED)
def test_fitted_denoisers_beat_doing_nothing(name: str, pairs: Pairs) -> None:
    fitting, test = pairs
    fitted = open_key(name).fit(*fitting)
    assert psnr(fitted, *test) > psnr(models.parse("identity"), *test) + 0.3


@pytest.mark.parametrize("name", FITTED)
def test_the_fit_is_the_best_of_what_is_tried(name: str, pairs: Pairs) -> None:
    (noisy, clean), _ = pairs
    model = open_key(name)
    fitted = model.fit(noisy, clean)
    noise = float((noisy - clean).square().mean().sqrt())
    errors = {}
    for value in model.candidates(noise):
        output = dataclasses.replace(model, **{model.key: value}).build(32)(noisy).clamp(0, 1)
        errors[value] = float((output - clean).square().mean())
    assert getattr(fitted, model.key) == min(errors, key=errors.__getitem__)
    # The best lies inside what is tried, so the grid is wide enough.
    tried = sorted(errors)
    assert name == "bm3d" or tried[0] < getattr(fitted, model.key) < tried[-1]


@pytest.mark.parametrize("name", FITTED)
def test_only_an_open_key_is_fitted(name: str, pairs: Pairs) -> None:
    fitting, _ = pairs
    model = open_key(name)
    assert model.fits
    fitted = model.fit(*fitting)
    assert not fitted.fits
    assert fitted.fit(*fitting) is fitted
    others = [key for key in model.params() if key != model.key]
    assert all(getattr(fitted, key) == getattr(model, key) for key in others)


def test_models_without_an_open_key_fit_nothing(pairs: Pairs) -> None:
    fitting, _ = pairs
    for node in ("identity", "median", "conv", {"tv": {"weight": 0.2}}):
        model = models.parse(node)
        assert not model.fits
        assert model.fit(*fitting) is model


@pytest.mark.parametrize("name", FITTED)
def test_without_images_an_open_key_has_a_value_that_denoises(name: str, pairs: Pairs) -> None:
    _, test = pairs
    assert psnr(open_key(name), *test) > psnr(models.parse("identity"), *test) - 1


@pytest.mark.parametrize("name", FITTED)
def test_noiseless_images_are_fitted_too(name: str, pairs: Pairs) -> None:
    clean = pairs[0][1][:2]
    fitted = open_key(name).fit(clean, clean)
    assert psnr(fitted, clean + 1e-6, clean) > 30


@pytest.mark.parametrize("name", FITTED)
def test_values_outside_the_range_are_taken(name: str) -> None:
    images = 3 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 1
    assert torch.isfinite(open_key(name).build(32)(images)).all()


@pytest.mark.parametrize("name", FITTED)
def test_the_input_is_left_alone(name: str) -> None:
    images = torch.rand(2, 3, 32, 32)
    before = images.clone()
    open_key(name).build(32)(images)
    assert torch.equal(images, before)


def test_median_is_that_of_the_window(pairs: Pairs) -> None:
    (noisy, _), _ = pairs
    window = np.pad(noisy.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="symmetric")
    shifted = [window[:, :, i : i + 32, j : j + 32] for i in range(3) for j in range(3)]
    expected = np.median(np.stack(shifted), axis=0)
    np.testing.assert_array_equal(models.parse("median").build(32)(noisy).numpy(), expected)


def test_pictures_reach_the_library_as_height_width_channels(pairs: Pairs) -> None:
    (noisy, _), _ = pairs
    expected = restoration.denoise_tv_chambolle(noisy[3].permute(1, 2, 0).numpy(), weight=0.07, channel_axis=-1)
    output = models.parse({"tv": {"weight": 0.07}}).build(32)(noisy)[3]
    np.testing.assert_array_equal(output.permute(1, 2, 0).numpy(), expected)


def test_medians_open_key_fits_the_noise(pairs: Pairs) -> None:
    clean = pairs[0][1]
    model = cast(Median, open_key("median"))
    assert model.fit(clean, clean).size == 1
    size = model.fit(corrupt({"salt_and_pepper": {"p": 0.4}}, clean), clean).size
    assert size is not None and size >= 3


@pytest.mark.parametrize("name", FITTED)
def test_grey_and_plain_pictures_stay_finite(name: str) -> None:
    grey = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(1, 3, 16, 16)
    images = torch.cat((grey, torch.full((1, 3, 16, 16), 0.5)))
    assert torch.isfinite(open_key(name).build(16)(images)).all()


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
