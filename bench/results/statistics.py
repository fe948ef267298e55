"""Intervals around means, and what each one speaks of."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from bench.core.lazy import Lazy

special = Lazy("scipy.special")

CONFIDENCE = 0.95


def interval_over_seeds(means: Sequence[float]) -> tuple[float, float]:
    """Student's t interval around the mean of one value per seed: a claim about the method. NaN below two seeds."""
    count = len(means)
    if count < 2:
        return math.nan, math.nan
    centre = math.fsum(means) / count
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in means) / (count - 1))
    half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(count)
    return centre - half, centre + half


def interval_over_images(mean: float, deviation: float, images: int) -> tuple[float, float]:
    """Normal interval around the mean of many images: a claim about these weights only. NaN without images."""
    if images < 1:
        return math.nan, math.nan
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * deviation / math.sqrt(images)
    return mean - half, mean + half
