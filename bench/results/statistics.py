"""Confidence intervals, over seeds or images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.core.lazy import Lazy
from bench.metrics import Average, Measure

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


def interval(metric: Measure, averages: Sequence[Average]) -> Interval:
    """The interval around the mean of one average per seed: over the seeds if there are several, else over the images.

    A seed that restored every image exactly counts as the metric's ceiling beside others.
    """
    if averages and all(math.isinf(average.mean) for average in averages):
        return Interval(math.inf)
    means = [float(metric.counted(average.mean)) for average in averages]
    centre = mean_of(means)
    if len(means) > 1:
        half = _half(_deviation(means, centre), len(means))
    else:
        half = next((_half(average.deviation, average.n) for average in averages), math.nan)
    if math.isnan(half) or math.isnan(centre):
        return Interval(centre)
    return Interval(centre, centre - half, centre + half, "seeds" if len(means) > 1 else "images")


def mean_of(values: Sequence[float]) -> float:
    """The same whatever the order of the values; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def _deviation(values: Sequence[float], centre: float) -> float:
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def _half(deviation: float, count: int) -> float:
    """Half the width of Student's t interval; NaN below two values, since one has no spread."""
    if count < 2:
        return math.nan
    return float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(count)
