"""Image quality, one value per image, as scikit-image and torch compute it but for whole batches and in float64."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import BenchError
from bench.core.lazy import torch
from bench.core.registry import Registered, Registry
from bench.metrics.measure import Measure

# Images measured at a time. On a processor what a block needs must stay in its cache: with 64 images instead of 16 both
# kinds of SSIM take a quarter longer. On a GPU the block must be large enough to keep it busy.
BLOCK = 16
GPU_BLOCK = 1024


@dataclass(frozen=True)
class Metric(Registered, Measure):
    """A measure of how well images match their targets. The attributes of `Measure` are those of its class."""

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
        """The registered name, with the parameters unless they are the defaults."""
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


def _pairs(images: "torch.Tensor", targets: "torch.Tensor") -> Iterator[tuple[slice, Pair]]:
    """Blocks of one size, the last one padded, so that rounding never depends on how many images there are."""
    size = BLOCK if images.device.type == "cpu" else GPU_BLOCK
    for first in range(0, len(images), size):
        rows = torch.arange(first, first + size, device=images.device).clamp_(max=len(images) - 1)
        yield slice(first, first + size), Pair(images.detach()[rows].clamp_(0, 1), targets.detach()[rows])
