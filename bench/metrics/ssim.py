"""Structural similarity, with a Gaussian and with a flat window."""

import math
from dataclasses import dataclass
from functools import lru_cache

from bench.core.errors import BenchError
from bench.core.lazy import torch
from bench.metrics._conventions import Conventional
from bench.metrics.base import Pair, PairMetric, metrics

_bell = [math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(-5, 6)]
GAUSSIAN = tuple(weight / sum(_bell) for weight in _bell)
UNIFORM = (1 / 7,) * 7


@metrics.register("ssim")
@dataclass(frozen=True)
class Ssim(Conventional):
    """Structural similarity, in [-1, 1], with a Gaussian window: sigma 1.5, 11 taps, population covariance.

    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861; skimage.metrics.structural_similarity(
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1), averaged over channels.
    """

    title = "SSIM"

    @property
    def smallest(self) -> int:
        return len(GAUSSIAN) + 2 * self.border

    def measure(self, pair: Pair) -> "torch.Tensor":
        return _similarity(self.name, self.seen(pair, len(GAUSSIAN) // 2), GAUSSIAN, 1.0)


@metrics.register("ssim_uniform")
@dataclass(frozen=True)
class SsimUniform(PairMetric):
    """Structural similarity, in [-1, 1], with a flat window of 7x7 and sample covariance.

    Source: the defaults of skimage.metrics.structural_similarity(data_range=1), averaged over channels.
    """

    title = "SSIM (7x7)"
    smallest = len(UNIFORM)

    def measure(self, pair: Pair) -> "torch.Tensor":
        return _similarity(self.name, pair, UNIFORM, 49 / 48)


def _similarity(name: str, pair: Pair, taps: tuple[float, ...], correction: float) -> "torch.Tensor":
    """Mean SSIM of each image where the window lies inside; correction: of the covariance, n / (n - 1) or 1."""
    x, y, squares, product = _windowed(name, pair.products, taps).unbind(1)
    means = x * y
    powers = x * x
    powers += y * y
    covariance = product.sub_(means).mul_(2 * correction)
    variances = squares.sub_(powers).mul_(correction)
    first, second = 0.01**2, 0.03**2
    ratio = means.mul_(2).add_(first).mul_(covariance.add_(second))
    ratio /= powers.add_(first).mul_(variances.add_(second))
    return ratio.mean((0, 2, 3))


def _windowed(name: str, products: "torch.Tensor", taps: tuple[float, ...]) -> "torch.Tensor":
    """Weighted means over all windows that lie inside: (H, 4, N, 3, W) to (H', 4, N, 3, W')."""
    height, *middle, width = products.shape
    if min(height, width) < len(taps):
        raise BenchError(
            f"{name} needs images of at least {len(taps)}x{len(taps)} pixels; these have {height}x{width}. "
            "Take larger images or leave this metric out"
        )
    down = _band(taps, height, products.device).T @ products.view(height, -1)
    across = down.view(-1, width) @ _band(taps, width, products.device)
    return across.view(len(down), *middle, -1)[: height - len(taps) + 1, ..., : width - len(taps) + 1]


@lru_cache(maxsize=64)
def _band(taps: tuple[float, ...], side: int, device: "torch.device") -> "torch.Tensor":
    """(side, side - taps + 1): column i holds the taps from row i on; a column of zeros makes their number even.

    With an odd number of columns the rounding of a product would depend on where an image stands among the others.
    """
    columns = side - len(taps) + 1
    band = torch.zeros(side, columns + columns % 2, dtype=torch.float64)
    for offset, tap in enumerate(taps):
        band.diagonal(-offset)[:columns] = tap
    return band.to(device)
