"""Rows that differ in nothing but their seed, taken together."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.metrics import Average, Measure
from bench.results.noise_tests import NoiseTest
from bench.results.records import Contender, ResultRow
from bench.results.statistics import Interval, Over, interval, mean_of
from bench.results.statistics.differences import Spread

Spreads = Callable[[ResultRow, Measure], Spread | None]


class Counts(NamedTuple):
    """Images that a mean is over, those restored exactly, and those that count as the ceiling; of all seeds."""

    n: int
    exact: int
    capped: int


@dataclass(frozen=True)
class Standing:
    """Where a contender stands among those of its test noise by a metric, given by its column.

    first, last: the ranks that it may have. tied: whether it can't be told from the best, or is the best.
    """

    metric: str
    first: int
    last: int
    tied: bool


@dataclass(frozen=True, eq=False)
class Summary:
    """One contender on one test noise, over its seeds.

    scored, failed, open: its rows with a result, those without, and those still to be run.
    intervals: by metric column, each a mean over the rows scored with its confidence interval: over the seeds of
    several, over the images of one.
    standing: by the leading metric; None where it was not looked at or there is none.
    """

    contender: Contender
    test: NoiseTest
    scored: tuple[ResultRow, ...] = ()
    failed: tuple[ResultRow, ...] = ()
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    open: tuple[ResultRow, ...] = ()
    standing: Standing | None = None

    def tied(self, metric: Measure) -> bool:
        """Whether it is known that it can't be told from the best."""
        return bool(self.standing and self.standing.metric == metric.column and self.standing.tied)

    @property
    def seeds(self) -> int:
        """How many trainings the means are of; 0 for a model without training."""
        return len(self.scored) if self.contender.trained else 0

    @property
    def over(self) -> Over:
        """What its intervals are over; empty where there is none."""
        return next((interval.over for interval in self.intervals.values() if interval.over), "")

    @property
    def n_images(self) -> int | None:
        return self.scored[0].n_images if self.scored else None

    @property
    def exact(self) -> float:
        """Images restored exactly, averaged over the seeds."""
        return _mean([row.exact for row in self.scored])

    def counts(self, metric: Measure) -> Counts:
        """The images that its mean is over, over all seeds."""
        found = _averages(self.scored, metric)
        return Counts(*(sum(getattr(average, key) for average in found) for key in Counts._fields))

    def error(self, metric: Measure) -> float:
        """The mean of what decibels are a logarithm of, the MSE for PSNR; NaN for other metrics."""
        return mean_of([average.error for average in _averages(self.scored, metric)])

    @property
    def parameters(self) -> int | None:
        return self.scored[0].parameters if self.scored else None

    @property
    def train_seconds(self) -> float:
        """Averaged over the seeds; NaN without training."""
        return self.cost("train_seconds")

    def cost(self, column: str) -> float:
        """One of its costs, by its column in results.csv, averaged over the seeds; NaN where it has none."""
        return _mean([getattr(row, column) for row in self.scored])

    def mean(self, metric: Measure) -> float:
        """NaN where nothing was measured."""
        return self.intervals[metric.column].mean if metric.column in self.intervals else math.nan

    def lacks(self, metric: Measure) -> bool:
        """Whether a run still has to compute values of it: until then nothing is the best of this test noise."""
        return any(row.lacks(metric) for row in (*self.open, *self.scored))

    def why_empty(self, metric: Measure) -> str:
        """`to run` or `failed` in place of a mean; empty where there is one, or where it is not a number."""
        if not math.isnan(self.mean(metric)):
            return ""
        return "to run" if self.lacks(metric) else "failed" if self.failed else ""


def summarise(
    rows: Iterable[ResultRow], metrics: Sequence[Measure], sample: bool = True, spread: Spreads | None = None
) -> list[Summary]:
    """One summary per contender and test noise, in the order of the rows.

    sample: whether the test images are a sample of others; if not, single trainings have no interval.
    spread: of a single row's mean over images, where the deviation of their values does not say it: where groups of
    them are the sample, or where the metric is pooled.
    """
    groups: dict[tuple[Contender, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.contender, row.test.id), []).append(row)
    return [_summary(group, metrics, sample, spread) for group in groups.values()]


def _summary(rows: Sequence[ResultRow], metrics: Sequence[Measure], sample: bool, spread: Spreads | None) -> Summary:
    scored, failed, left = (tuple(row for row in rows if row.state == state) for state in ("scored", "failed", "open"))
    single = spread if sample and len(scored) == 1 else None
    intervals = {
        metric.column: interval(metric, _averages(scored, metric), sample, single and single(scored[0], metric))
        for metric in (metrics if scored else ())
    }
    return Summary(rows[0].contender, rows[0].test, scored, failed, intervals, left)


def _averages(rows: Sequence[ResultRow], metric: Measure) -> list[Average]:
    return [row.averages[metric.column] for row in rows if metric.column in row.averages]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return mean_of(known)
