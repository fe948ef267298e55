"""Variances of few seeds, shrunk to each other: empirical Bayes, which assumes that they are of one family."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.core.lazy import optimize, special
from bench.results.statistics.differences import Estimate, Seeds

FLOOR = 1e-5  # of the median: a variance of 0 has no logarithm


@dataclass(frozen=True)
class Prior:
    """What the variances of a table have in common: a scaled inverse chi-square distribution.

    freedom: its degrees of freedom, infinite where the variances differ no more than by chance. variance: its scale.
    total: degrees of freedom of all variances together; no single one gets more.
    Source: Smyth 2004, Linear models and empirical Bayes methods, section 6.2.
    """

    freedom: float
    variance: float
    total: float

    @classmethod
    def of(cls, sides: Sequence[Seeds]) -> "Prior | None":
        """From contenders with two seeds or more; None where fewer than two of them vary."""
        known = [side for side in sides if side.count > 1]
        variances = np.array([side.variance for side in known])
        halves = np.array([side.freedom for side in known]) / 2
        if np.count_nonzero(variances) < 2 or not np.median(variances):
            return None
        logs = np.log(np.maximum(variances, FLOOR * np.median(variances))) - special.digamma(halves) + np.log(halves)
        spread = logs.var(ddof=1) - special.polygamma(1, halves).mean()
        total = 2 * halves.sum()
        if spread <= 0:
            return cls(math.inf, float(np.exp(logs.mean())), total)
        half = _inverse_trigamma(spread)
        return cls(2 * half, float(np.exp(logs.mean() + special.digamma(half) - math.log(half))), total)

    def shrink(self, side: Seeds) -> Seeds:
        """A contender's variance with the degrees of freedom that the others lend it."""
        if side.count < 2:
            return side
        weight = 1.0 if math.isinf(self.freedom) else self.freedom / (self.freedom + side.freedom)
        variance = weight * self.variance + (1 - weight) * side.variance
        return replace(side, variance=variance, freedom=min(self.freedom + side.freedom, self.total))


def moderated(estimate: Estimate, prior: Prior) -> Estimate:
    """The same difference with the variances of its seeds shrunk."""
    return replace(estimate, seeds=tuple(map(prior.shrink, estimate.seeds)))


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function, which lies between 1/x and 1/x + 1/x^2, is that value."""
    ends = 1 / value, (1 + math.sqrt(1 + 4 * value)) / (2 * value)
    return float(optimize.brentq(lambda x: special.polygamma(1, x) - value, *ends, xtol=1e-12))
