"""Image quality, one value per image, as scikit-image and torch compute it but for whole batches and in float64."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Literal

import numpy as np

from bench.core.errors import BenchError
from bench.core.lazy import torch
from bench.core.registry import Registered, Registry

# Images measured at a time. On a processor what a block needs must stay in its cache: with 64 images instead of 16 both
# kinds of SSIM take a quarter longer. On a GPU the block must be large enough to keep it busy.
BLOCK = 16
GPU_BLOCK = 1024


@dataclass(frozen=True)
class Metric(Registered):
    """A measure of how well images match their targets."""

    title: ClassVar[str] = ""  # for axes
    unit: ClassVar[str] = ""
    better: ClassVar[str] = "higher"  # or "lower"

    def values(self, images: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        """One value per image, (N,) float64; no image may influence another's value.

        images: (N, 3, H, W) float32 in [0, 1], already clipped. targets: the clean ones, the same shape.
        """
        raise TypeError(f"metric {self.name!r} must define values(images, targets)")

    def measure(self, pair: "Pair") -> "torch.Tensor":
        """The same values, where metrics that are computed together share what the pair has computed already."""
        return self.values(pair.images, pair.targets)

    @property
    def column(self) -> str:
        """The column's name in tables: the registered name, with the parameters unless they are the defaults."""
        return self.name if self == type(self)() else self.label()


metrics: Registry[Metric] = Registry("metric", Metric)


class Pair:
    """Some images beside their targets; what several metrics need is computed once, at first use.

    images, targets: (N, 3, H, W) float32 in [0, 1].
    """

    def __init__(self, images: "torch.Tensor", targets: "torch.Tensor") -> None:
        self.images = images
        self.targets = targets

    @cached_property
    def difference(self) -> "torch.Tensor":
        """(N, 3, H, W) float64."""
        return self.images.double() - self.targets.double()

    @cached_property
    def mse(self) -> "torch.Tensor":
        """(N,) float64."""
        return self.difference.square().flatten(1).mean(1)

    @cached_property
    def products(self) -> "torch.Tensor":
        """What SSIM averages over windows: x, y, x^2 + y^2 and x y, as (H, 4, N, 3, W) float64.

        Rows come first: then a filter along columns is one product of matrices, and so is the one along rows.
        """
        count, channels, height, width = self.images.shape
        out = self.images.new_empty((height, 4, count, channels, width), dtype=torch.float64)
        x, y, squares, product = out.unbind(1)
        x.copy_(self.images.permute(2, 0, 1, 3))
        y.copy_(self.targets.permute(2, 0, 1, 3))
        torch.mul(x, y, out=product)
        torch.mul(x, x, out=squares)
        squares += y * y
        return out


@dataclass(frozen=True)
class PairMetric(Metric):
    """A metric that shares work: it defines `measure`."""

    def values(self, images: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        return compute([self], images, targets)[self.column]

    def measure(self, pair: Pair) -> "torch.Tensor":
        raise TypeError(f"metric {self.name!r} must define measure(pair)")


@metrics.register("mse")
@dataclass(frozen=True)
class Mse(PairMetric):
    """Mean squared error over the pixels and channels of an image.

    Source: skimage.metrics.mean_squared_error.
    """

    title = "MSE"
    better = "lower"

    def measure(self, pair: Pair) -> "torch.Tensor":
        return pair.mse


@metrics.register("psnr")
@dataclass(frozen=True)
class Psnr(PairMetric):
    """Peak signal-to-noise ratio of an image, 10 log10(1 / mse); infinite for a perfect one.

    Source: skimage.metrics.peak_signal_noise_ratio(data_range=1).
    """

    title = "PSNR"
    unit = "dB"

    def measure(self, pair: Pair) -> "torch.Tensor":
        return -10 * pair.mse.log10()


_bell = [math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(-5, 6)]
GAUSSIAN = tuple(weight / sum(_bell) for weight in _bell)
UNIFORM = (1 / 7,) * 7


@metrics.register("ssim")
@dataclass(frozen=True)
class Ssim(PairMetric):
    """Structural similarity, in [-1, 1], with a Gaussian window: sigma 1.5, 11 taps, population covariance.

    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861; skimage.metrics.structural_similarity(
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1), averaged over channels.
    """

    title = "SSIM"

    def measure(self, pair: Pair) -> "torch.Tensor":
        return _similarity(self.name, pair, GAUSSIAN, 1.0)


@metrics.register("ssim_uniform")
@dataclass(frozen=True)
class SsimUniform(PairMetric):
    """Structural similarity, in [-1, 1], with a flat window of 7x7 and sample covariance.

    Source: the defaults of skimage.metrics.structural_similarity(data_range=1), averaged over channels.
    """

    title = "SSIM (7x7)"

    def measure(self, pair: Pair) -> "torch.Tensor":
        return _similarity(self.name, pair, UNIFORM, 49 / 48)


@metrics.register("pairwise_distance")
@dataclass(frozen=True)
class PairwiseDistance(PairMetric):
    """Euclidean distance of image and target, with 1e-6 added to every difference as torch does.

    over: `row` averages the distances of all rows of all channels, which is what the torch call makes of a batch of
        images; `image` takes the whole image as one vector.
    Source: torch.nn.PairwiseDistance(p=2, eps=1e-6).
    """

    title = "pairwise distance"
    better = "lower"

    over: Literal["row", "image"] = "row"

    def measure(self, pair: Pair) -> "torch.Tensor":
        vectors = pair.difference.flatten(1 if self.over == "image" else 3)
        return torch.linalg.vector_norm(vectors + 1e-6, dim=-1).view(len(vectors), -1).mean(1)


def compute(chosen: Sequence[Metric], images: "torch.Tensor", targets: "torch.Tensor") -> dict[str, "torch.Tensor"]:
    """Every chosen metric of every image: column -> (N,) float64, on the images' device.

    images: (N, 3, H, W) float32, clipped to [0, 1] first. targets: the same shape, in [0, 1]. No gradients flow.
    Raises BenchError for images smaller than a metric's window.
    """
    if images.shape != targets.shape:
        raise ValueError(f"images {tuple(images.shape)} and targets {tuple(targets.shape)} differ in shape")
    out = {metric.column: images.new_empty(len(images), dtype=torch.float64) for metric in chosen}
    for rows, pair in _pairs(images, targets):
        for metric in chosen:
            values = metric.measure(pair)
            if values.shape != (len(pair.images),):
                raise BenchError(
                    f"metric {metric.name!r} must give one value per image, of shape ({len(pair.images)},); "
                    f"it gave {tuple(values.shape)}"
                )
            out[metric.column][rows] = values[: len(out[metric.column][rows])].double()
    return out


def mean(values: np.ndarray) -> tuple[float, int]:
    """The mean over the images that aren't perfect (infinite), and how many are; a NaN among them makes it NaN.

    With nothing but perfect images there is no such mean: NaN.
    """
    perfect = np.isposinf(values)
    rest = values[~perfect]
    return (float(rest.mean()) if rest.size else math.nan), int(perfect.sum())


def _pairs(images: "torch.Tensor", targets: "torch.Tensor") -> Iterator[tuple[slice, Pair]]:
    """Blocks of one size, the last one padded, so that rounding never depends on how many images there are."""
    size = BLOCK if images.device.type == "cpu" else GPU_BLOCK
    for first in range(0, len(images), size):
        rows = torch.arange(first, first + size, device=images.device).clamp_(max=len(images) - 1)
        yield slice(first, first + size), Pair(images.detach()[rows].clamp_(0, 1), targets.detach()[rows])


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
