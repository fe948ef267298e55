"""The difference of two contenders on the very same images: seeds are independent of each other, images are paired."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.core.lazy import special

LEAST = 1e-12  # level below which none is told from another


@dataclass(frozen=True, eq=False)
class Images:
    """What test images are to a statement about other images like them.

    sample: whether they are a sample of any; crops of a few photographs are not.
    groups: (N,) the group of each image, as of crops of one scene; None where each is one by itself.
    """

    sample: bool = True
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Seeds:
    """What the seeds of a contender say of its training.

    variance: of the means that single seeds give; NaN of one seed. count: of seeds. freedom: degrees of freedom of the
    variance, count - 1 unless other contenders lend it some.
    """

    variance: float
    count: int
    freedom: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "Seeds":
        """From scores (S, N), a row per seed."""
        count = len(scores)
        return cls(float(scores.mean(1).var(ddof=1)) if count > 1 else math.nan, count, count - 1)


@dataclass(frozen=True)
class Spread:
    """How far chance in the choice of images moves a mean: the variance of the mean, and its degrees of freedom."""

    variance: float
    freedom: float

    @classmethod
    def of(cls, values: np.ndarray, groups: np.ndarray | None = None) -> "Spread":
        """Of the mean of values (N,), one per image; NaN where all images are one group.

        Source: Liang and Zeger 1986, with the factor G / (G - 1); without groups the variance over N.
        """
        residuals = values - values.mean()
        sums = residuals if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], residuals)
        count = len(sums)
        if count < 2:
            return cls(math.nan, 0)
        return cls(float((sums**2).sum()) / len(values) ** 2 * count / (count - 1), count - 1)


@dataclass(frozen=True)
class Estimate:
    """A difference B - A of mean scores, and what chance adds to it.

    seeds: of A and B, those that were trained. images: None where they are no sample of anything.
    """

    change: float
    seeds: tuple[Seeds, ...] = ()
    images: Spread | None = None

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, trained: tuple[bool, bool], images: Images) -> "Estimate":
        """From scores of the same images, (S_A, N) and (S_B, N), as they are counted.

        trained: whether rows of A, and of B, are trainings with different seeds.
        """
        differences = b.mean(0) - a.mean(0)
        return cls(
            float(differences.mean()),
            tuple(Seeds.of(scores) for scores, has_seeds in zip((a, b), trained, strict=True) if has_seeds),
            Spread.of(differences, images.groups) if images.sample else None,
        )

    @property
    def known(self) -> bool:
        """Whether it has an interval: not with a training of one seed, or with one image."""
        return bool(np.isfinite(self._terms[0]).all())

    @property
    def exact(self) -> bool:
        """Whether nothing of it is chance."""
        return self.known and not self._terms[0].any()

    def half(self, alpha: float) -> float:
        """Half the width of its interval at the level alpha: t^2 times each variance, summed; NaN where not known."""
        return float(half_width(*self._terms, alpha))

    def ends(self, alpha: float) -> tuple[float, float]:
        """Its interval with the confidence 1 - alpha."""
        half = self.half(alpha)
        return self.change - half, self.change + half

    def level(self, gap: float) -> float:
        """The least alpha whose interval is no wider than `gap` to each side: the p of a change so far from a bound."""
        if gap <= 0 or not self.known:
            return 1.0
        low, high = math.log(LEAST), 0.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (middle, high) if self.half(math.exp(middle)) > gap else (low, middle)
        return math.exp(high)

    @cached_property
    def _terms(self) -> tuple[np.ndarray, np.ndarray]:
        return terms([np.float64(side.variance) for side in self.seeds], self.seeds, self.images)


def terms(
    variances: "Sequence[np.ndarray | np.float64]", seeds: Sequence[Seeds], images: Spread | None
) -> tuple[np.ndarray, np.ndarray]:
    """The independent parts of a difference's variance, and their degrees of freedom, (K, ...) each.

    variances: of the seeds of each side, of any shape. Sides with equally many seeds are one part, by Welch and
    Satterthwaite; else each is one (Banerjee 1960), as Welch's interval is too narrow there.
    """
    parts = [np.asarray(variance) / side.count for variance, side in zip(variances, seeds, strict=True)]
    freedoms = [np.full_like(part, side.freedom) for part, side in zip(parts, seeds, strict=True)]
    if len(seeds) == 2 and seeds[0].count == seeds[1].count > 1:
        (a, b), total = parts, parts[0] + parts[1]
        weights = a**2 / freedoms[0] + b**2 / freedoms[1]
        freedoms = [np.where(total > 0, total**2 / np.where(total > 0, weights, 1), freedoms[0] + freedoms[1])]
        parts = [total]
    if images:
        parts.append(np.full(np.shape(parts[0]) if parts else (), images.variance))
        freedoms.append(np.full_like(parts[-1], images.freedom))
    return np.array(parts), np.array(freedoms)


def half_width(variances: np.ndarray, freedoms: np.ndarray, alpha: float) -> np.ndarray:
    """Half the width at the level alpha of an interval whose variance has independent parts, (K, ...)."""
    found: np.ndarray = np.sqrt((special.stdtrit(freedoms, alpha / 2) ** 2 * variances).sum(0))
    return found
