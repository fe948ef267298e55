"""Confidence intervals, over seeds or images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

from bench.metrics import Average, Measure
from bench.results.statistics.differences import Spread

CONFIDENCE = 0.95
MANY = 200  # degrees of freedom from which on a series is exact to ten digits
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


def interval(
    metric: Measure, averages: Sequence[Average], sample: bool = True, spread: Spread | None = None
) -> Interval:
    """The interval around the mean of one average per seed: over the seeds if there are several, else over the images.

    A seed that restored every image exactly counts as the metric's ceiling beside others.
    sample: whether the images are a sample of others; if not, there is none over them. spread: how far chance in their
    choice moves the mean, where the deviation of single images does not say it.
    """
    if averages and all(math.isinf(average.mean) for average in averages):
        return Interval(math.inf)
    means = [float(metric.counted(average.mean)) for average in averages]
    centre = mean_of(means)
    if len(means) > 1:
        half = _half(_deviation(means, centre), len(means))
    elif spread:
        half = student(int(spread.freedom)) * math.sqrt(spread.variance) if spread.freedom else math.nan
    else:
        half = next((_half(average.deviation, average.n) for average in averages if sample), math.nan)
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
    return student(count - 1) * deviation / math.sqrt(count)


@lru_cache
def student(freedom: int) -> float:
    """How many deviations Student's t stays within with the probability CONFIDENCE.

    freedom: degrees of freedom, at least 1. scipy has it too, but importing that takes a sixth of a finished rerun.
    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 to 26.7.5.
    """
    if freedom > MANY:
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
        )
        return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, freedom) < CONFIDENCE else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """The probability that the absolute value of t is at most sqrt(freedom) tan(angle)."""
    odd = freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for factor in range(2 + odd, freedom - 1, 2):
        term *= (factor - 1) / factor * math.cos(angle) ** 2
        total += term
    if not odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if freedom > 1 else 0))
