"""Image quality, one value per image, as scikit-image and torch compute it but for whole batches and in float64."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import BenchError
from bench.core.lazy import torch
from bench.core.registry import Registered, Registry

# Images measured at a time. On a processor what a block needs must stay in its cache: with 64 images instead of 16 both
# kinds of SSIM take a quarter longer. On a GPU the block must be large enough to keep it busy.
BLOCK = 16
GPU_BLOCK = 1024


class Measure:
    """What the values of a metric are and how they are shown: all that tables and figures know of it.

    column: its name in tables. title, unit: for axes. better: `higher` or `lower`.
    decimals: shown of every value; None: as many as the values at hand need.
    """

    title: str = ""
    unit: str = ""
    better: str = "higher"
    decimals: int | None = None
    if TYPE_CHECKING:  # a property of a metric, a field of a stored one; for a field, a property here were its default

        @property
        def column(self) -> str: ...

    @property
    def heading(self) -> str:
        """Title and unit: `PSNR (dB)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def axis_label(self) -> str:
        """Title, unit and direction: `PSNR (dB), higher is better`."""
        return f"{self.heading}, {self.better} is better"

    def merit(self, value: float) -> float:
        """The value with its sign turned where lower is better: the greater, the better; least where it is NaN."""
        return -math.inf if math.isnan(value) else value if self.better == "higher" else -value

    def best(self, values: Sequence[float], among: Iterable[float] | None = None) -> list[bool]:
        """Which of the values are the best, as far as the decimals shown tell; none of them where all are NaN.

        among: all values shown beside them, as for `format`.
        """
        decimals = self.shown_decimals(values if among is None else among)
        merits = [self.merit(round(value, decimals) if math.isfinite(value) else value) for value in values]
        top = max(merits, default=-math.inf)
        return [merit == top > -math.inf for merit in merits]

    def shown_decimals(self, among: Iterable[float]) -> int:
        """How many decimals values are shown with: the metric's own, or enough for three digits of the smallest."""
        sizes = [abs(value) for value in among if math.isfinite(value) and value]
        if self.decimals is not None or not sizes:
            return 2 if self.decimals is None else self.decimals
        return min(8, max(4, 2 - math.floor(math.log10(min(sizes)))))

    def format(self, value: float, among: Iterable[float] | None = None, signed: bool = False) -> str:
        """A value as text, without its unit.

        among: the values it is shown beside, which get equally many decimals; unless given, it is shown on its own.
        signed: with a plus sign where it is positive, as a difference is.
        """
        if not math.isfinite(value):
            return "-" if math.isnan(value) else "perfect"
        sign = "+" if signed else ""
        if among is None and self.decimals is None:
            return f"{value:{sign}.4g}"
        return f"{value:{sign}.{self.shown_decimals(among or ())}f}"


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
