"""What a figure draws: one metric of some summaries, under the names they are shown by."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from bench.core.labels import Label
from bench.core.lazy import pandas
from bench.core.words import counted
from bench.metrics import Measure
from bench.results.names import contender_names, crossed, short_noises
from bench.results.noise_tests import NoiseTest
from bench.results.ranking import Ranking, counted_text, disputes, marking, rank
from bench.results.records import Contender
from bench.results.remarks import marks
from bench.results.statistics import Interval
from bench.results.summary import Summary

IDLE = "identity"  # the model that does nothing
NAMED = 4  # of the contenders still to be run, and of the rows with exact images


Shown = TypeVar("Shown")
COSTS = {  # of a contender, by their column in results.csv
    "parameters": "parameters",
    "macs": "multiply-accumulates an image",
    "train_seconds": "seconds to train",
    "latency_ms": "milliseconds an image",
    "peak_memory_mb": "MB of memory at most",
    "energy_wh": "Wh for 1,000 images",
}


@dataclass(frozen=True)
class Point:
    """A contender's value on a test noise, by the names both are shown by.

    value: its mean is infinite where every image is exact. costs: by the names of COSTS, those that are known.
    tied: whether it can't be told from the best.
    """

    contender: str
    noise: str
    value: Interval
    costs: Mapping[str, float]
    tied: bool = False


@dataclass(frozen=True)
class View:
    """One metric of some summaries. Those without a value have no point; `empty` and the remarks say why.

    among: where these are a part, all of them: a noise has one name in all figures of a folder.
    """

    metric: Measure
    summaries: tuple[Summary, ...]
    among: tuple[Summary, ...] = ()

    @cached_property
    def short(self) -> dict[Label, Label]:
        """What each noise is called, by its whole label."""
        everyone = self.among or self.summaries
        return short_noises((summary.contender for summary in everyone), (summary.test for summary in everyone))

    @cached_property
    def names(self) -> dict[Contender, str]:
        """What each contender is called: with the noise of its training only where that sets contenders apart."""
        contenders = (summary.contender for summary in self.summaries)
        return contender_names(contenders, crossed(self.summaries), self.short)

    @cached_property
    def brief(self) -> dict[str, str]:
        """What each test noise is called, by its id."""
        return {summary.test.id: str(self.short[summary.test.label]) for summary in self.summaries}

    @cached_property
    def tests(self) -> list[str]:
        """Every test noise, with a value or without, in the order of the summaries."""
        return list(dict.fromkeys(self.brief[summary.test.id] for summary in self.summaries))

    @cached_property
    def noises(self) -> dict[str, NoiseTest]:
        """The test noises that have a value, by the names they are shown by, in the order of the summaries."""
        return {self.brief[summary.test.id]: summary.test for summary in self.summaries if self._known(summary)}

    @cached_property
    def points(self) -> list[Point]:
        """A point per summary that has a value."""
        return [
            Point(
                self.names[summary.contender],
                self.brief[summary.test.id],
                summary.intervals[self.metric.column],
                {key: cost for key in COSTS if (cost := summary.cost(key)) > 0},
                summary.tied(self.metric),
            )
            for summary in self.summaries
            if self._known(summary)
        ]

    @cached_property
    def trained(self) -> list[str]:
        """The contenders with trained weights."""
        return list(dict.fromkeys(name for contender, name in self.names.items() if contender.trained))

    @cached_property
    def plain(self) -> list[str]:
        """The contenders that need no training."""
        return list(dict.fromkeys(name for contender, name in self.names.items() if not contender.trained))

    @property
    def everyone(self) -> list[str]:
        """All contenders, trained ones first."""
        return [*self.trained, *self.plain]

    @property
    def shown(self) -> list[str]:
        """Those of them that have a value."""
        present = {point.contender for point in self.points}
        return [name for name in self.everyone if name in present]

    @cached_property
    def empty(self) -> dict[tuple[str, str], str]:
        """Why there is no value, `failed` or `to run`, by contender and test noise."""
        found = {
            (self.names[summary.contender], self.brief[summary.test.id]): summary.why_empty(self.metric)
            for summary in self.summaries
        }
        return {key: why for key, why in found.items() if why}

    @cached_property
    def marks(self) -> dict[tuple[str, str], str]:
        """The marks of what a value must not be read without, by contender and test noise; empty for most."""
        return {
            (self.names[summary.contender], self.brief[summary.test.id]): marks(summary.scored)
            for summary in self.summaries
        }

    def left(self, noise: str) -> list[str]:
        """The contenders that a run still has to test on a noise, at least with some seed."""
        mine = [summary for summary in self.summaries if self.brief[summary.test.id] == noise]
        return [self.names[summary.contender] for summary in mine if summary.lacks(self.metric)]

    @property
    def idle(self) -> str:
        """What the model that does nothing is called; empty where it is not among the contenders."""
        return next((name for contender, name in self.names.items() if contender.model.name == IDLE), "")

    def of(self, contender: str = "", noise: str = "") -> list[Point]:
        """The points of a contender, or of a test noise, or both."""
        return [p for p in self.points if contender in ("", p.contender) and noise in ("", p.noise)]

    def drawn(self, contender: str = "", noise: str = "") -> list[Point]:
        """Those of them that have a place on an axis: a perfect row's PSNR is infinite."""
        return [point for point in self.of(contender, noise) if math.isfinite(point.value.mean)]

    @cached_property
    def _rankings(self) -> dict[str, Ranking]:
        return {self.brief[test]: ranking for test, ranking in rank(self.summaries, self.metric).items()}

    @cached_property
    def disputes(self) -> dict[str, str]:
        """Why a test noise has no single best, of those that have none though everything is run."""
        found = disputes(self.summaries, self.metric, self.names)
        return {self.brief[test]: why for test, why in found.items()}

    def best(self, noise: str) -> list[Point]:
        """The points that are named as the best of a test noise, as `Ranking.ahead`."""
        return self._points(noise, self._rankings[noise].ahead)

    def tied(self, noise: str) -> list[Point]:
        """The others that can't be told from the best."""
        return self._points(noise, self._rankings[noise].tied)

    def _points(self, noise: str, summaries: Iterable[Summary]) -> list[Point]:
        names = {self.names[summary.contender] for summary in summaries}
        return [point for point in self.of(noise=noise) if point.contender in names]

    def marking(self, best: str, tied: str) -> str:
        """What the marks of a table mean, as `ranking.marking`."""
        return marking(self.summaries, self.metric, best, tied)

    @property
    def means(self) -> list[float]:
        """The values of all points."""
        return [point.value.mean for point in self.points]

    @property
    def ends(self) -> list[float]:
        """Where points and error bars reach, those that are finite."""
        found = [end for p in self.points for end in (p.value.mean, p.value.low, p.value.high)]
        return [end for end in found if math.isfinite(end)]

    def matrix(self, contenders: Sequence[str], noises: Sequence[str]) -> "pandas.DataFrame":
        """Means, a row per contender and a column per noise; NaN where there is none, infinite for exact ones."""
        found = {(point.contender, point.noise): point.value.mean for point in self.points}
        values = [[found.get((row, column), math.nan) for column in noises] for row in contenders]
        return pandas.DataFrame(values, index=list(contenders), columns=list(noises))

    def remarks(self, bars: str = "Error bars") -> str:
        """What a reader must know: seeds, error bars, who is tested on what, what is missing.

        bars: what the intervals are drawn as; empty where values are written and not drawn, so that perfect ones have
        a place.
        """
        known = [summary for summary in self.summaries if self._known(summary)]
        notes = [_seeds(known), _bars(known, self.metric, bars) if bars else ""]
        if any(s.contender.train_noise for s in known) and not crossed(known):
            notes.append("Each denoiser is tested on the noise it was trained on.")
        failed = {row.cell.id for summary in self.summaries for row in summary.failed}
        if failed:
            notes.append(f"{counted(len(failed), 'cell')} failed and left out; results.csv says why.")
        left = dict.fromkeys(name for noise in self.tests for name in self.left(noise))
        if left:
            names, more = list(left)[:NAMED], len(left) - NAMED
            notes.append(f"Still to be run: {', '.join(names)}{f' and {more} more' if more > 0 else ''}.")
        capped = [text for summary in known if (text := self._counted(summary, bool(bars)))]
        if capped:
            rest = f"; {counted(len(capped) - NAMED, 'more row')}" if len(capped) > NAMED else ""
            notes.append(f"{'; '.join(capped[:NAMED])}{rest}.")
        lost = sum(bool(summary.scored) and not self._known(summary) for summary in self.summaries)
        if lost:
            notes.append(f"{counted(lost, 'value')} not finite or not measured.")
        return " ".join(filter(None, notes))

    def _counted(self, summary: Summary, drawn: bool) -> str:
        """How many of a row's images count as the ceiling; empty where none does."""
        text = counted_text(summary.counts(self.metric), self.metric)
        lost = ", not drawn" if drawn and math.isinf(summary.mean(self.metric)) else ""
        return f"{self.names[summary.contender]} on {self.brief[summary.test.id]}: {text}{lost}" if text else ""

    def _known(self, summary: Summary) -> bool:
        return bool(summary.scored) and not math.isnan(summary.mean(self.metric))


def first_few(things: Iterable[Shown], limit: int, what: str) -> tuple[list[Shown], list[str]]:
    """The first `limit` of some things, and a note where there are more."""
    given = list(things)
    note = [f"The first {limit} of {len(given)} {what} are shown."] if len(given) > limit else []
    return given[:limit], note


def _seeds(known: Sequence[Summary]) -> str:
    seeds = max((summary.seeds for summary in known), default=0)
    if seeds > 1:
        return f"Means over {seeds} seeds."
    return "One seed: this is about these weights, not yet about the methods." if seeds else ""


def _bars(known: Sequence[Summary], metric: Measure, bars: str) -> str:
    over = {summary.intervals[metric.column].over for summary in known} - {""}
    words = {
        frozenset({"seeds"}): "over seeds",
        frozenset({"images"}): "over test images",
        frozenset({"seeds", "images"}): "over seeds where a model has several, otherwise over test images",
    }
    return f"{bars}: 95 % confidence intervals {words[frozenset(over)]}." if over else ""
