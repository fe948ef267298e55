"""What is to be known of a metric wherever its values are averaged, compared and shown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np


class Average(NamedTuple):  # in tuples a missing value, NaN, equals itself; in dataclasses it does not from Python 3.13
    """What a metric comes to over some images.

    mean: of the values as they are counted; infinite where every image is exact. deviation: the standard deviation of
    the same values; NaN for fewer than two. n: how many. exact: of images restored exactly, whose value is infinite.
    capped: of images that count as the ceiling, the exact ones among them. error: the mean of what decibels are a
    logarithm of, for PSNR the MSE; NaN for other units.
    """

    mean: float
    deviation: float
    n: int
    exact: int = 0
    capped: int = 0
    error: float = math.nan

    def node(self) -> dict[str, Any]:
        """This as plain JSON values, which know no infinity."""
        return {key: value if math.isfinite(value) else None for key, value in self._asdict().items()}

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Average":
        """What `node()` gave."""
        found: dict[str, Any] = {key: math.nan if value is None else value for key, value in node.items()}
        perfect = 0 < found["n"] == found["exact"]
        return cls(**{**found, "mean": math.inf if perfect else found["mean"]})


class Measure:
    """What the values of a metric are and how they are shown: all that tables and figures know of it.

    column: its name in tables. title, unit: for axes. better: `higher` or `lower`.
    decimals: shown of every value; None: as many as the values at hand need.
    pooled: whether its mean over images is that of what decibels are a logarithm of, not of the decibels.
    ceiling: what an image counts at most in a mean, needed where a perfect image is infinitely good (a floor where
    lower is better); the values themselves stay as they are.
    """

    title: str = ""
    unit: str = ""
    better: str = "higher"
    decimals: int | None = None
    ceiling: float | None = None
    pooled: bool = False
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

    def counted(self, values: "float | np.ndarray") -> np.ndarray:
        """Values as they enter means and differences: none of them beyond the ceiling."""
        if self.ceiling is None:
            return np.asarray(values, dtype=np.float64)
        return (np.minimum if self.better == "higher" else np.maximum)(values, self.ceiling)

    def shares(self, values: np.ndarray) -> np.ndarray:
        """What each image adds to a mean over images: (..., N) values whose mean over the last axis that is.

        They are the values as they are counted, but for a pooled metric: there, the mean and how it changes with the
        error of each image, to the first order (the delta method).
        """
        counted = self.counted(values)
        if not self.pooled:
            return counted
        errors = 10 ** (-np.asarray(values, dtype=np.float64) / 10)
        mean = errors.mean(-1, keepdims=True)
        tiny = 0.0 if self.ceiling is None else 10 ** (-self.ceiling / 10)
        safe = np.where(mean > tiny, mean, 1.0)
        changes = -10 / math.log(10) * (errors / safe - 1)
        return np.where(mean > tiny, -10 * np.log10(safe) + changes, counted)

    def summary(self, values: np.ndarray) -> "Average":
        """What values of single images, (N,), come to."""
        given = np.asarray(values, dtype=np.float64)
        counted = self.counted(given)
        exact = int(np.isinf(given).sum())
        spread = float(counted.std(ddof=1)) if len(given) > 1 else math.nan
        capped = 0 if self.ceiling is None or self.pooled else int((counted == self.ceiling).sum())
        # Decibels are a logarithm of this; it has no ceiling, so it tells where the ceiling flatters.
        error = float((10 ** (-given / 10)).mean()) if self.unit == "dB" else math.nan
        usual = -10 * math.log10(error) if self.pooled and error else float(counted.mean())
        centre = math.inf if exact == len(given) else usual
        return Average(centre, spread, len(given), exact, capped, error)

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


def half_text(half: float, decimals: int) -> str:
    """Half the width of an interval as text; what would be shown as 0 is said to be less than the last decimal."""
    least = 10.0**-decimals
    return f"< {least:.{decimals}f}" if 0 < half < least / 2 else f"{half:.{decimals}f}"
