"""Who is the best of a test noise: decided here alone, for tables, figures, page and terminal."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.metrics import Average, Measure
from bench.results.records import Contender
from bench.results.summary import Counts, Summary

BEST = "the best of each test noise"
TIED = "what can't be told from it by {} (all pairs, Holm, 5 %)"


@dataclass(frozen=True)
class Ranking:
    """The best of one test noise by one metric.

    best: several where the decimals shown don't tell them apart; none while something is still to be run, or without a
    single value. rivals: those with the lowest error where images count as the metric's ceiling and none of the best
    has it: a ceiling can flatter, so nobody is ahead then. tied: others that can't be told from the best; where seeds
    are few and differ much, some of them may be far behind.
    """

    metric: Measure
    best: tuple[Summary, ...] = ()
    rivals: tuple[Summary, ...] = ()
    tied: tuple[Summary, ...] = ()

    @property
    def ahead(self) -> tuple[Summary, ...]:
        """Those that are named as the best, the rivals among them."""
        return (*self.best, *self.rivals)

    def dispute(self, name: Callable[[Contender], str]) -> str:
        """Why there is no single best; empty where there is one. name: what a contender is called."""
        if not self.rivals:
            return ""
        first, rival, metric = self.best[0], self.rivals[0], self.metric
        value = f"{metric.format(first.mean(metric))} {metric.unit}".rstrip()
        counts = ", ".join(filter(None, (value, counted_text(first.counts(metric), metric))))
        return (
            f"{_names(self.best, name)} {_has(self.best)} the best mean {metric.title} ({counts}), "
            f"{_names(self.rivals, name)} the lowest mean squared error "
            f"({rival.error(metric):.3g} against {first.error(metric):.3g})"
        )


def marking(summaries: Iterable[Summary], metric: Measure, best: str, tied: str) -> str:
    """What the marks of a metric mean. best, tied: what each of them is called: `Bold:` and `italic:`, say."""
    compared = any(summary.standing and summary.standing.metric == metric.column for summary in summaries)
    return f"{best} {BEST}" + (f"; {tied} {TIED.format(metric.title)}" if compared else "")


def rank(summaries: Iterable[Summary], metric: Measure) -> dict[str, Ranking]:
    """The ranking of each test noise by its id."""
    given = list(summaries)
    shown = [summary.mean(metric) for summary in given]
    tests: dict[str, list[Summary]] = {}
    for summary in given:
        tests.setdefault(summary.test.id, []).append(summary)
    return {test: _ranking(mine, metric, shown) for test, mine in tests.items()}


def _ranking(summaries: Sequence[Summary], metric: Measure, shown: Sequence[float]) -> Ranking:
    if any(summary.lacks(metric) for summary in summaries):
        return Ranking(metric)
    tops = metric.best([summary.mean(metric) for summary in summaries], shown)
    best = tuple(summary for summary, top in zip(summaries, tops, strict=True) if top)
    rivals = _rivals(summaries, metric, best) if any(summary.counts(metric).capped for summary in summaries) else ()
    ahead = {*best, *rivals}
    return Ranking(metric, best, rivals, tuple(one for one in summaries if one.tied(metric) and one not in ahead))


def _rivals(summaries: Sequence[Summary], metric: Measure, best: Sequence[Summary]) -> tuple[Summary, ...]:
    errors = {summary: error for summary in summaries if not math.isnan(error := summary.error(metric))}
    least = tuple(summary for summary, error in errors.items() if error == min(errors.values()))
    return () if set(least) & set(best) else least


def disputes(summaries: Sequence[Summary], metric: Measure, names: Mapping[Contender, str]) -> dict[str, str]:
    """For each test noise without a single best, by its id, why."""
    found = {test: ranking.dispute(names.__getitem__) for test, ranking in rank(summaries, metric).items()}
    return {test: why for test, why in found.items() if why}


def counted_text(counts: Counts | Average | None, metric: Measure) -> str:
    """How many images count as the ceiling: `44 of 60 exact, counted as 60 dB`; empty where none does."""
    if counts is None or not counts.capped:
        return ""
    limit = f"{metric.ceiling:g} {metric.unit}".rstrip()
    beyond = counts.capped - counts.exact
    parts = [f"{counts.exact} of {counts.n} exact"] if counts.exact else []
    parts += [f"{beyond} {'more' if parts else f'of {counts.n}'} beyond {limit}"] if beyond else []
    return " and ".join(parts) + ("" if counts.exact == counts.n else f", counted as {limit}")


def _names(summaries: Sequence[Summary], name: Callable[[Contender], str]) -> str:
    return " and ".join(name(summary.contender) for summary in summaries)


def _has(summaries: Sequence[Summary]) -> str:
    return "has" if len(summaries) == 1 else "have"
