"""What a picture is like: the noise in it, and its PSNR and SSIM against the original. For pictures of any size."""

from collections.abc import Iterator

from bench.core.lazy import functional, torch
from bench.metrics import metrics
from bench.metrics.base import Pair, PairMetric
from bench.models.base import layers
from bench.noises import Noise
from bench.training.score import scoring_draw

SMALLEST = 16  # pixels of a side, below which an estimate is worth nothing
WINDOW = 11  # of SSIM, in pixels
TILE = 256  # windows along a side that SSIM is computed for at once
# Noises that change every value by a little, which is what the estimate is made for.
ESTIMATED = ("gaussian", "poisson", "speckle", "uniform")


def noise_in(image: "torch.Tensor") -> float | None:
    """The standard deviation of the noise in an image, float32 (3, H, W), were it Gaussian; None for tiny images."""
    if min(image.shape[1:]) < SMALLEST:
        return None
    return float(layers.deviation(image.unsqueeze(0)))


def expected_noise(noise: Noise, image: "torch.Tensor") -> tuple[float, float] | None:
    """The lowest and highest `noise_in` images as bright as this one under a noise; None where that says nothing.

    image: float32 (3, H, W) in [0, 1], noisy itself.
    """
    if noise.name not in ESTIMATED or min(image.shape[1:]) < SMALLEST:
        return None
    # Averaged over squares, the image has hardly any noise of its own left, and is clipped as much as before.
    squares = functional.avg_pool2d(image.unsqueeze(0), SMALLEST // 2)
    images = functional.interpolate(squares, scale_factor=SMALLEST // 2)
    first = torch.zeros(1, dtype=torch.int64)
    found = [float(layers.deviation(end.apply(images, scoring_draw(images.shape, end, first)))) for end in noise.ends()]
    return min(found), max(found)


def psnr_and_ssim(image: "torch.Tensor", clean: "torch.Tensor") -> tuple[float, float | None]:
    """PSNR in dB and SSIM of an image, both float32 (3, H, W) in [0, 1]; no SSIM below 11 pixels."""
    psnr, ssim = metrics.parse("psnr"), metrics.parse("ssim")
    assert isinstance(psnr, PairMetric) and isinstance(ssim, PairMetric)
    decibels = float(psnr.measure(Pair(image.unsqueeze(0), clean.unsqueeze(0))))
    if min(image.shape[1:]) < WINDOW:
        return decibels, None
    total = count = 0.0
    for part, windows in _tiles(*image.shape[1:]):
        total += windows * float(ssim.measure(Pair(image[part].unsqueeze(0), clean[part].unsqueeze(0))))
        count += windows
    return decibels, total / count


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, slice, slice], int]]:
    """Parts of an image that share no window of SSIM, and how many windows lie in each: together all of them."""
    inside = WINDOW - 1
    for top in range(0, height - inside, TILE):
        for left in range(0, width - inside, TILE):
            bottom, right = min(top + TILE + inside, height), min(left + TILE + inside, width)
            windows = (bottom - top - inside) * (right - left - inside)
            yield (slice(None), slice(top, bottom), slice(left, right)), windows
