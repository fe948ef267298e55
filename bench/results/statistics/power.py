"""How likely a comparison is to be decided, and how many seeds would decide it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bench.core.lazy import special
from bench.results.statistics.differences import Estimate, Spread, half_width, terms

POWER = 0.8  # a comparison is settled by that many seeds with which it is decided so often
MOST = 100  # seeds that are thought of
STEPS = 32  # quantiles that stand for the distribution of an estimated variance


class Chances(NamedTuple):
    """How likely each verdict is; what is left is undecided."""

    better: float
    same: float
    worse: float


def chances(truth: Estimate, drop: float, alpha: float) -> Chances:
    """How likely each verdict is where a difference and the variances of its parts are the true ones.

    drop: what B may lose. alpha: the level of the interval that decides.
    """
    middles = (np.arange(STEPS) + 0.5) / STEPS
    grids = np.meshgrid(*(middles for _ in truth.seeds))
    drawn = [
        side.variance * 2 * special.gammaincinv(side.freedom / 2, grid) / side.freedom
        for side, grid in zip(truth.seeds, grids, strict=True)
    ]
    half = half_width(*terms(drawn, truth.seeds, truth.images), alpha)
    images = truth.images or Spread(0, 0)
    error = np.sqrt(sum(side.variance / side.count for side in truth.seeds) + images.variance)

    def below(bound: np.ndarray) -> np.ndarray:
        """The probability that the estimate falls below a bound."""
        found: np.ndarray = special.ndtr((bound - truth.change) / error)
        return found

    inside = below(drop - half) - below(half - drop)
    return Chances(
        float((1 - below(half)).mean()),
        float(np.maximum(inside, 0).mean()),
        float(below(-drop - half).mean()),
    )


def seeds_to_settle(found: Estimate, drop: float, alpha: float) -> int | None:
    """The fewest seeds of each training that would decide a comparison four times in five, were all as it was found.

    None where MOST would not do: the images leave it open. Unknown variances are no ground to answer; have two seeds.
    """

    def settled(count: int) -> bool:
        seeds = tuple(replace(side, count=count, freedom=count - 1) for side in found.seeds)
        return sum(chances(replace(found, seeds=seeds), drop, alpha)) >= POWER

    if not found.seeds or not found.known or found.exact or not settled(MOST):
        return None
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high
