"""Noises against outside numbers: scikit-image, scipy, Pillow, published values; their labels and refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from skimage.filters import gaussian
from skimage.util import random_noise

from bench.core.errors import FieldError
from bench.core.images import to_float
from bench.noises import noises
from bench.noises._quantiles import poisson_quantile
from tests.helpers.images import Node, corrupt, draw_for, images_of, through_pillow

# Severities as in CIFAR-10-C's make_cifar_c.py (Hendrycks & Dietterich 2019).
CIFAR10_C: dict[str, tuple[str, list[float]]] = {
    "gaussian": ("sigma", [0.04, 0.06, 0.08, 0.09, 0.10]),
    "poisson": ("peak", [500, 250, 100, 75, 50]),
    "salt_and_pepper": ("p", [0.01, 0.02, 0.03, 0.05, 0.07]),
    "speckle": ("sigma", [0.06, 0.1, 0.12, 0.16, 0.2]),
    "blur": ("sigma", [0.4, 0.6, 0.7, 0.8, 1]),
    "jpeg": ("quality", [80, 65, 58, 50, 40]),
}


@pytest.mark.parametrize("name", list(noises))
def test_severities_are_those_of_cifar_10_c(name: str) -> None:
    if name not in CIFAR10_C:
        with pytest.raises(FieldError, match="severity"):
            noises.parse({name: {"severity": 1}})
        return
    key, levels = CIFAR10_C[name]
    assert [noises.parse({name: {"severity": severity}}) for severity in range(1, 6)] == [
        noises.parse({name: {key: level}}) for level in levels
    ]


def psnr(noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    return -10 * torch.log10(((noisy - clean) ** 2).mean((1, 2, 3)))


@pytest.mark.parametrize(("sigma", "expected"), [(0.1, 20.0), (0.2, 13.979)])
def test_unclipped_gaussian_noise_has_its_closed_form_psnr(sigma: float, expected: float) -> None:
    images = images_of(200, (32, 32))
    noisy = corrupt({"gaussian": {"sigma": sigma, "clip": False}}, images)
    assert psnr(noisy, images).mean().item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.5])
def test_clipped_gaussian_noise_of_uniform_images(sigma: float) -> None:
    def squared_error(x: float) -> float:
        # E[(clip(x + n) - x)^2]: inside the range the square, beyond it the distance to the border.
        inside, _ = integrate.quad(lambda n: n * n * stats.norm.pdf(n, scale=sigma), -x, 1 - x)
        return inside + x**2 * stats.norm.sf(x, scale=sigma) + (1 - x) ** 2 * stats.norm.sf(1 - x, scale=sigma)

    expected, _ = integrate.quad(squared_error, 0, 1)
    images = images_of(200, (32, 32))
    error = (corrupt({"gaussian": {"sigma": sigma}}, images) - images) ** 2
    assert abs(error.mean() - expected) < 5 * error.std() / error.numel() ** 0.5


@pytest.mark.parametrize(("sigma", "expected"), [(0.1, 20.3), (0.2, 14.8)])
def test_noisy_cifar_10_has_its_published_psnr(cifar10: np.ndarray, sigma: float, expected: float) -> None:
    images = to_float(torch.from_numpy(cifar10))
    assert psnr(corrupt({"gaussian": {"sigma": sigma}}, images), images).mean().item() == pytest.approx(
        expected, abs=0.07
    )


@pytest.mark.parametrize(
    ("node", "mode", "options"),
    [
        ({"salt_and_pepper": {"p": 0.2, "salt": 0.3}}, "s&p", {"amount": 0.2, "salt_vs_pepper": 0.3}),
        ({"masking": {"p": 0.2}}, "pepper", {"amount": 0.2}),
        ({"gaussian": {"sigma": 0.3}}, "gaussian", {"var": 0.09}),
        ({"speckle": {"sigma": 0.3}}, "speckle", {"var": 0.09}),
    ],
)
def test_laws_agree_with_scikit_image(node: Node, mode: str, options: dict[str, float]) -> None:
    images = images_of(20, (32, 32))
    ours = corrupt(node, images).numpy().ravel()
    theirs = random_noise(images.numpy(), mode, rng=5, **options).ravel()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    for value in (0, 1):
        share = (theirs == value).mean()
        assert abs((ours == value).mean() - share) < 5 * (2 * share * (1 - share) / ours.size) ** 0.5 + 1e-9


@given(sigma=st.floats(0, 10), size=st.tuples(st.integers(2, 40), st.integers(2, 40)), seed=st.integers(0, 2**40))
def test_blur_is_that_of_scikit_image(sigma: float, size: tuple[int, int], seed: int) -> None:
    images = images_of(2, size, seed)
    for image, blurred in zip(images, corrupt({"blur": {"sigma": sigma}}, images), strict=True):
        expected = gaussian(image.double().numpy(), sigma, mode="nearest", truncate=4, channel_axis=0)
        np.testing.assert_allclose(blurred.numpy(), expected, atol=2e-6)


def test_blur_of_drawn_levels_is_that_of_the_fixed_ones() -> None:
    images = images_of(6, (20, 24))
    noise = noises.parse({"blur": {"sigma": {"range": [0, 4]}}})
    draw = draw_for(images)
    sigmas = 4 * draw.fork("sigma").uniform((1, 1, 1)).flatten().double()
    for sigma, image, blurred in zip(sigmas, images, noise.apply(images, draw), strict=True):
        assert torch.allclose(corrupt({"blur": {"sigma": sigma.item()}}, image[None])[0], blurred, atol=1e-6)


def test_jpeg_is_pillow_s(photos: np.ndarray) -> None:
    images = to_float(torch.from_numpy(photos[::12].copy()))
    for quality in (1, 10, 50, 90, 100):
        expected = torch.stack([through_pillow(image, quality) for image in images])
        assert torch.equal(corrupt({"jpeg": {"quality": quality}}, images), expected)


SCORES = torch.from_numpy(stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000)).float()


@pytest.mark.parametrize("rate", [0.01, 0.5, 1.0, 3.0, 7.7, 9.99])
def test_small_poisson_quantiles_are_exact(rate: float) -> None:
    rates = torch.full_like(SCORES, rate)
    expected = stats.poisson.ppf(stats.norm.cdf(SCORES.double().numpy()), rates[0].item())
    assert (poisson_quantile(rates, SCORES).numpy() != expected).mean() < 5e-5  # beside a step, by rounding


@pytest.mark.parametrize("rate", [10.0, 11.0, 17.0, 50.0, 300.0, 5000.0, 100_000.0])
def test_large_poisson_quantiles_are_close_and_their_law_closer(rate: float) -> None:
    counts = poisson_quantile(torch.full_like(SCORES, rate), SCORES).double().numpy()
    expected = stats.poisson.ppf(stats.norm.cdf(SCORES.double().numpy()), rate)
    assert np.abs(counts - expected).max() <= 1
    assert (counts != expected).mean() < 5e-3
    assert counts.mean() == pytest.approx(rate, rel=1e-5)
    assert counts.var() == pytest.approx(expected.var(), rel=4e-4)


@given(rate=st.floats(0, 20, width=32), scores=st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=20))
def test_poisson_quantiles_never_fall(rate: float, scores: list[float]) -> None:
    ordered = torch.tensor(sorted(scores))
    counts = poisson_quantile(torch.full_like(ordered, rate), ordered)
    assert (counts >= 0).all()
    assert torch.equal(counts, counts.floor())
    assert (counts.diff() >= 0).all()


def test_darkness_has_no_shot_noise() -> None:
    black = torch.zeros(2, 3, 8, 8)
    assert torch.equal(corrupt("poisson", black), black)


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper", "impulse"])
def test_per_pixel_hits_channels_together(name: str) -> None:
    images = images_of(10, (16, 16)) * 0.5 + 0.25
    hit = corrupt({name: {"p": 0.3, "per": "pixel"}}, images) != images
    assert torch.equal(hit[:, :1].expand_as(hit), hit)
    hit = corrupt({name: {"p": 0.3, "per": "element"}}, images) != images
    assert not torch.equal(hit[:, :1].expand_as(hit), hit)


def test_hit_channels_agree_only_where_they_should() -> None:
    images = torch.full((10, 3, 16, 16), 0.5)
    together = corrupt({"salt_and_pepper": {"p": 1, "per": "pixel"}}, images)
    assert torch.equal(together[:, :1].expand_as(together), together)
    apart = corrupt({"impulse": {"p": 1, "per": "pixel"}}, images)
    assert not torch.equal(apart[:, :1].expand_as(apart), apart)


def test_compose_applies_in_order_and_each_noise_its_own_draw() -> None:
    images = images_of(4, (16, 16))
    first, second = {"gaussian": {"sigma": 0.2}}, {"salt_and_pepper": {"p": 0.2}}
    draw = draw_for(images)
    by_hand = noises.parse(first).apply(images, draw.fork(0))
    by_hand = noises.parse(second).apply(by_hand, draw.fork(1))
    assert torch.equal(corrupt({"compose": {"of": [first, second]}}, images), by_hand)
    assert not torch.equal(corrupt({"compose": {"of": [second, first]}}, images), by_hand)
    twice = corrupt({"compose": {"of": [{"gaussian": {"sigma": 0.1, "clip": False}}] * 2, "clip": False}}, images)
    assert (twice - images).std().item() == pytest.approx(0.1 * 2**0.5, rel=0.05)


def test_inner_noises_clip_by_their_own_keys() -> None:
    bright = torch.ones(2, 3, 32, 32)
    inner = {"gaussian": {"sigma": 0.5, "clip": True}}
    assert corrupt({"compose": {"of": [inner], "clip": False}}, bright).max() == 1
    inner["gaussian"]["clip"] = False
    assert corrupt({"compose": {"of": [inner], "clip": False}}, bright).max() > 1


def test_block_masking_of_cut_patches() -> None:
    noisy = corrupt({"block_masking": {"p": 0.5, "block": 8}}, torch.ones(8, 3, 20, 30))
    for image in noisy:
        for top in range(0, 20, 8):
            for left in range(0, 30, 8):
                assert len(image[:, top : top + 8, left : left + 8].unique()) == 1
    assert 0 < noisy.mean() < 1


@pytest.mark.parametrize(
    ("node", "label"),
    [
        ("gaussian", "gaussian(sigma=0.1)"),
        ({"gaussian": {"sigma": 1}}, "gaussian(sigma=1.0)"),
        ({"gaussian": {"severity": 3}}, "gaussian(sigma=0.08)"),
        ({"gaussian": {"sigma": {"range": [0, 0.2]}}}, "gaussian(sigma=0.0..0.2)"),
        ({"gaussian": {"clip": False, "quantize": False}}, "gaussian(sigma=0.1, clip=false)"),
        ({"masking": {"p": 0.5}}, "masking(p=0.5, fill=0.0, per=element)"),
        ({"jpeg": {"quality": {"range": [10, 90]}}}, "jpeg(quality=10..90)"),
        (
            {"compose": {"of": ["gaussian", {"masking": {"p": 0.2, "clip": False}}], "fresh": False}},
            "compose(of=[gaussian(sigma=0.1), masking(p=0.2, fill=0.0, per=element, clip=false)], fresh=false)",
        ),
    ],
)
def test_labels(node: Node, label: str) -> None:
    assert noises.parse(node).label() == label


@pytest.mark.parametrize(
    ("node", "path", "says"),
    [
        ("gausian", (), ["Did you mean gaussian?", "salt_and_pepper"]),
        ({"gaussian": {"sgima": 0.1}}, ("gaussian", "sgima"), ["Did you mean sigma?", "quantize"]),
        ({"gaussian": {"sigma": -0.1}}, ("gaussian", "sigma"), ["at least 0", "-0.1"]),
        ({"gaussian": {"sigma": float("inf")}}, ("gaussian", "sigma"), ["finite"]),
        ({"gaussian": {"sigma": float("nan")}}, ("gaussian", "sigma"), ["finite"]),
        ({"gaussian": {"sigma": "0.1"}}, ("gaussian", "sigma"), ["number", "'0.1'"]),
        ({"gaussian": {"sigma": True}}, ("gaussian", "sigma"), ["number", "true"]),
        ({"gaussian": {"sigma": None}}, ("gaussian", "sigma"), ["number", "nothing"]),
        ({"gaussian": {"clip": 1}}, ("gaussian", "clip"), ["true or false", "1"]),
        ({"gaussian": {"clip": {"range": [0, 1]}}}, ("gaussian", "clip"), ["one value"]),
        ({"gaussian": {"sigma": {"range": [0.2, 0.1]}}}, ("gaussian", "sigma", "range"), ["lower first"]),
        ({"gaussian": {"sigma": {"range": [0.1]}}}, ("gaussian", "sigma"), ["{range: [low, high]}"]),
        ({"gaussian": {"sigma": {"range": ["a", "b"]}}}, ("gaussian", "sigma", "range"), ["two numbers"]),
        ({"gaussian": {"sigma": {"range": [float("nan"), 1]}}}, ("gaussian", "sigma", "range"), ["lower first"]),
        ({"gaussian": {"sigma": {"range": [0, float("inf")]}}}, ("gaussian", "sigma"), ["finite"]),
        ({"gaussian": {"sigma": {"rnage": [0, 1]}}}, ("gaussian", "sigma"), ["{range: [low, high]}"]),
        ({"gaussian": {"sigma": {"range": [-1, 1]}}}, ("gaussian", "sigma"), ["at least 0", "-1"]),
        ({"gaussian": {"typo": {"range": [0, 1]}}}, ("gaussian", "typo"), ["unknown key"]),
        ({"masking": {"p": {"range": [0.5, 1.5]}}}, ("masking", "p"), ["at most 1", "1.5"]),
        ({"masking": {"p": 1.5}}, ("masking", "p"), ["at most 1", "1.5"]),
        ({"masking": {"per": "channel"}}, ("masking", "per"), ["'element' or 'pixel'", "'channel'"]),
        ({"gaussian": {"severity": 6}}, ("gaussian", "severity"), ["from 1 to 5", "6"]),
        ({"gaussian": {"severity": True}}, ("gaussian", "severity"), ["from 1 to 5", "true"]),
        ({"gaussian": {"severity": 2, "sigma": 0.1}}, ("gaussian", "severity"), ["not both"]),
        ({"poisson": {"peak": 0}}, ("poisson", "peak"), ["at least 1"]),
        ({"blur": {"sigma": 11}}, ("blur", "sigma"), ["at most 10"]),
        ({"jpeg": {"quality": 50.5}}, ("jpeg", "quality"), ["whole number", "50.5"]),
        ({"jpeg": {"quality": {"range": [1.5, 9]}}}, ("jpeg", "quality"), ["whole number", "1.5"]),
        ({"compose": {"of": []}}, ("compose", "of"), ["at least 1"]),
        ({"compose": {"of": "gaussian"}}, ("compose", "of"), ["'gaussian'"]),
        ({"compose": {"of": ["gaussian", "x"]}}, ("compose", "of", 1), ["unknown noise 'x'"]),
        (
            {"compose": {"of": [{"compose": {"of": [{"masking": {"p": 2}}]}}]}},
            ("compose", "of", 0, "compose", "of", 0, "masking", "p"),
            ["at most 1", "2"],
        ),
    ],
)
def test_mistakes_are_placed_and_explained(node: Node, path: tuple[str | int, ...], says: list[str]) -> None:
    with pytest.raises(FieldError) as caught:
        noises.parse(node)
    assert caught.value.path == path
    for part in says:
        assert part in caught.value.message
