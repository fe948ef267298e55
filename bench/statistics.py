"""Intervals around means, and what each one speaks of."""

import math
from collections.abc import Sequence

from bench.lazy import Lazy

stats = Lazy("scipy.stats")

CONFIDENCE = 0.95


def interval_over_seeds(means: Sequence[float]) -> tuple[float, float]:
    """Student's t interval around the mean of one value per seed: a claim about the method. NaN below two seeds."""
    count = len(means)
    if count < 2:
        return math.nan, math.nan
    centre = math.fsum(means) / count
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in means) / (count - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread / math.sqrt(count)
    return centre - half, centre + half


def interval_over_images(mean: float, deviation: float, images: int) -> tuple[float, float]:
    """Normal interval around the mean of many images: a claim about these weights only."""
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * deviation / math.sqrt(images)
    return mean - half, mean + half
