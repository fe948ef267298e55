"""Who can't be told from the best of a test noise, and the ranks that each contender may have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bench.metrics import Measure
from bench.results.records import RunPlan
from bench.results.sampling import images_of
from bench.results.statistics import CONFIDENCE
from bench.results.statistics.differences import Estimate, Images
from bench.results.statistics.families import holm
from bench.results.store import Store
from bench.results.summary import Standing, Summary

ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True, eq=False)
class _Entry:
    """A contender with the scores (S, N) of its seeds, the better the greater."""

    scores: np.ndarray
    seeded: bool


def standing(
    store: Store, plan: RunPlan, summaries: Sequence[Summary], metric: Measure, kept: np.ndarray | None = None
) -> list[Summary]:
    """Summaries with their standings by a metric. Raises DamagedResult.

    All pairs under one test noise are one family, since the best is chosen by looking. Of trainings with one seed the
    images alone decide, about these weights. Contenders without a number, or failed in part, have no standing, and
    nobody has while a row of their test noise is still to be run.
    kept: positions of the test images that count; all of them unless given.
    """
    found = dict[int, Standing]()
    for group in _by_test(summaries):
        if any(one.lacks(metric) for one in group):
            continue
        known = [one for one in group if one.scored and not one.failed and not np.isnan(one.mean(metric))]
        entries = [_entry(store, one, metric, kept) for one in known]
        ranks = _ranks(entries, images_of(plan, group[0].test))
        best = max(range(len(known)), key=lambda place: entries[place].scores.mean(), default=0)
        for place, one in enumerate(known):
            below, above = ranks[place]
            tied = place == best or best not in below
            found[id(one)] = Standing(metric.column, 1 + len(below), len(known) - len(above), tied)
    return [replace(one, standing=found.get(id(one))) for one in summaries]


def _by_test(summaries: Iterable[Summary]) -> list[list[Summary]]:
    groups: dict[str, list[Summary]] = {}
    for summary in summaries:
        groups.setdefault(summary.test.id, []).append(summary)
    return list(groups.values())


def _entry(store: Store, summary: Summary, metric: Measure, kept: np.ndarray | None) -> _Entry:
    tables = [store.cell(row.cell.id).values(row.score_id)[metric.column].to_numpy() for row in summary.scored]
    scores = np.array(tables)
    if kept is not None and summary.test.on_test_images:
        scores = scores[:, kept]
    return _Entry(metric.merit(1.0) * metric.shares(scores), summary.seeds > 1)


def _ranks(entries: Sequence[_Entry], images: Images) -> list[tuple[set[int], set[int]]]:
    """For each contender, those that are better than it, and those that are worse."""
    couples = list(combinations(range(len(entries)), 2))
    found = [_difference(entries[one], entries[other], images) for one, other in couples]
    p_values = [0.0 if each.exact and each.change else each.level(abs(each.change)) for each in found]
    better: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in entries]
    for (one, other), each, p, level in zip(couples, found, p_values, holm(p_values, ALPHA), strict=True):
        if p <= level:
            ahead, behind = (other, one) if each.change > 0 else (one, other)
            better[behind][0].add(ahead)
            better[ahead][1].add(behind)
    return better


def _difference(a: _Entry, b: _Entry, images: Images) -> Estimate:
    return Estimate.of(a.scores, b.scores, (a.seeded, b.seeded), images)


def as_node(summaries: Sequence[Summary]) -> list[Mapping[str, object] | None]:
    """The standings as plain JSON values."""
    return [vars(one.standing) if one.standing else None for one in summaries]


def from_node(summaries: Sequence[Summary], node: Sequence[Mapping[str, object] | None]) -> list[Summary]:
    """Summaries with the standings that `as_node` gave."""
    return [
        replace(one, standing=Standing(**given) if given else None)  # type: ignore[arg-type]
        for one, given in zip(summaries, node, strict=True)
    ]
