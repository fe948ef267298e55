"""Confidence intervals, over seeds or images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from bench.core.lazy import Lazy

special = Lazy("scipy.special")

CONFIDENCE = 0.95
Over = Literal["seeds", "images", ""]


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % confidence interval.

    mean: infinite where every image is exact, NaN where nothing was measured. low, high: NaN without an interval.
    over: what varies: `seeds`, then it speaks of the method; `images`, then of these weights only; empty without one.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    over: Over = ""

    @property
    def half(self) -> float:
        """Half its width."""
        return (self.high - self.low) / 2


def interval(means: Sequence[float], deviation: float, images: int) -> Interval:
    """The interval around the mean of one value per seed: over the seeds if there are several, else over the images.

    means: one per seed, each over the test images. deviation: over the images, of the first seed. images: how many.
    """
    if any(map(math.isinf, means)):
        return Interval(means[0] if len(set(means)) == 1 else math.nan)
    centre = math.fsum(means) / len(means) if means else math.nan
    half = _over_seeds(means) if len(means) > 1 else _over_images(deviation, images)
    if math.isnan(half) or math.isnan(centre):
        return Interval(centre)
    return Interval(centre, centre - half, centre + half, "seeds" if len(means) > 1 else "images")


def _over_seeds(means: Sequence[float]) -> float:
    """Half the width of Student's t interval."""
    count = len(means)
    centre = math.fsum(means) / count
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in means) / (count - 1))
    return float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(count)


def _over_images(deviation: float, images: int) -> float:
    """Half the width of the normal interval; NaN below two images, since one value has no spread."""
    if images < 2:
        return math.nan
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * deviation / math.sqrt(images)
