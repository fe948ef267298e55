"""Other people's conventions against their published definitions, written out with numpy and scipy."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from bench.metrics import compute, metrics
from bench.metrics._conventions import CONVENTIONS
from bench.results.metrics import StoredMetric
from tests.helpers.images import corrupt, images_of

SIZE = (24, 33)


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    targets = (images_of(4, SIZE) * 255).round() / 255
    smooth = torch.nn.functional.avg_pool2d(targets, 5, 1, 2)
    return corrupt({"gaussian": {"sigma": 0.05}}, smooth), (smooth * 255).round() / 255


def pictures(images: torch.Tensor) -> np.ndarray:
    """As libraries store them: uint8 (N, H, W, C)."""
    return np.rint(images.numpy() * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def luma(picture: np.ndarray) -> np.ndarray:
    """BasicSR's `to_y_channel`: (H, W, 1) on the scale of 255, not rounded."""
    found: np.ndarray = np.dot(picture.astype(np.float64) / 255, [65.481, 128.553, 24.966])[..., None] + 16.0
    return found


def psnr(a: np.ndarray, b: np.ndarray, border: int = 0, y: bool = False) -> float:
    """BasicSR's `calculate_psnr(img, img2, crop_border, test_y_channel)`, and KAIR's with its `border`."""
    if border:
        a, b = (image[border:-border, border:-border] for image in (a, b))
    if y:
        a, b = luma(a), luma(b)
    return float(10 * math.log10(255**2 / np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def ssim(a: np.ndarray, b: np.ndarray, border: int = 0, y: bool = False, edge: str = "") -> float:
    """BasicSR's `calculate_ssim`, the mean over channels; with an edge, MATLAB's `ssim` of each channel."""
    if border:
        a, b = (image[border:-border, border:-border] for image in (a, b))
    if y:
        a, b = luma(a), luma(b)
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()
    inside = slice(None) if edge else slice(5, -5)

    def mean(image: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            image = convolve1d(image, taps, axis, mode=edge or "mirror")
        return image[inside, inside]

    found = []
    for x, t in zip(np.moveaxis(a.astype(np.float64), -1, 0), np.moveaxis(b.astype(np.float64), -1, 0), strict=True):
        mx, mt = mean(x), mean(t)
        covariance, variances = mean(x * t) - mx * mt, mean(x * x) - mx**2 + mean(t * t) - mt**2
        first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        found.append(
            (2 * mx * mt + first) * (2 * covariance + second) / ((mx**2 + mt**2 + first) * (variances + second))
        )
    return float(np.mean(found))


CASES = {
    "basicsr": {}, "kair": {}, "basicsr_y": {"y": True},
}  # fmt: skip


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("like", CASES)
def test_rounded_luma_and_cropped_as_basicsr_and_kair_do(
    like: str, border: int, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    chosen = [metrics.parse({name: {"like": like, "border": border}}) for name in ("psnr", "ssim")]
    found = compute(chosen, *pair)
    for metric, definition in zip(chosen, (psnr, ssim), strict=True):
        expected = [definition(a, b, border, **CASES[like]) for a, b in zip(*map(pictures, pair), strict=True)]
        np.testing.assert_allclose(found[metric.column], expected, atol=1e-5)
    plain = compute([metrics.parse("psnr")], *pair)["psnr"]
    assert float((found[chosen[0].column] - plain).abs().max()) > 1e-4, "rounding alone changes it"


def test_matlab_s_ssim_repeats_the_border(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    (found,) = compute([metrics.parse({"ssim": {"like": "matlab"}})], *pair).values()
    expected = [ssim(a, b, edge="nearest") for a, b in zip(*map(pictures, pair), strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mirrored_borders_are_those_of_torchmetrics_and_lower_here(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    a, b = (np.ascontiguousarray(np.moveaxis(image.numpy(), 1, -1) * 255.0) for image in pair)
    (found,) = compute([metrics.parse({"ssim": {"like": "torchmetrics"}})], *pair).values()
    expected = [ssim(x, y, edge="mirror") for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pooled_psnr_is_that_of_the_mean_error_and_is_kept_so_by_results() -> None:
    pooled = metrics.parse({"psnr": {"like": "torchmetrics"}})
    values = np.array([20.0, 30.0, 40.0, np.inf])
    expected = -10 * math.log10((1e-2 + 1e-3 + 1e-4) / 4)
    stored = StoredMetric.from_node(StoredMetric.of(pooled).node())
    for metric in (pooled, stored):
        assert metric.summary(values).mean == pytest.approx(expected)
        assert metric.summary(np.full(3, np.inf)).mean == math.inf
    usual = metrics.parse("psnr")
    assert "pooled" not in StoredMetric.of(usual).node()
    assert usual.summary(values).mean == pytest.approx((20 + 30 + 40 + 60) / 4)


@pytest.mark.parametrize("node", ["psnr", {"psnr": {"like": "torchmetrics"}}, "mse"])
def test_the_shares_of_images_have_the_metric_s_mean_and_its_deviation(node: Any) -> None:
    metric = metrics.parse(node)
    values = np.random.default_rng(0).normal(27, 3, (2, 400))
    shares = metric.shares(values)
    np.testing.assert_allclose(shares.mean(1), [metric.summary(row).mean for row in values])
    without = np.array([metric.summary(np.delete(values[0], image)).mean for image in range(400)])
    jackknife = np.sqrt(399 / 400 * np.square(without - without.mean()).sum())
    assert shares[0].std(ddof=1) / 20 == pytest.approx(jackknife, rel=0.01)


def test_exact_images_have_shares_too() -> None:
    metric = metrics.parse({"psnr": {"like": "torchmetrics"}})
    assert (metric.shares(np.full(3, np.inf)) == metric.ceiling).all()
    assert metric.shares(np.array([np.inf, 30.0])).mean() == pytest.approx(30 + 10 * math.log10(2))


def test_columns_tell_conventions_apart_and_the_usual_one_keeps_its_name() -> None:
    columns = [metrics.parse({"psnr": {"like": like}}).column for like in CONVENTIONS]
    assert columns[0] == "psnr" and len(set(columns)) == len(CONVENTIONS)
    assert metrics.parse({"ssim": {"border": 3}}).smallest == 17
