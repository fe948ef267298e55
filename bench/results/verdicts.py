"""What is said of two contenders that met the same images: better, same, worse, or not yet decided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from bench.core.labels import Label
from bench.core.lazy import pandas
from bench.metrics import Measure
from bench.results.records import Contender, ResultRow, RunPlan, setting
from bench.results.remarks import remarks
from bench.results.sampling import images_of
from bench.results.statistics import CONFIDENCE, interval
from bench.results.statistics.differences import Estimate, Seeds
from bench.results.statistics.families import holm
from bench.results.statistics.moderated import Prior, moderated
from bench.results.statistics.power import MOST, seeds_to_settle
from bench.results.store import Store

ALPHA = 1 - CONFIDENCE
NOWHERE = (math.nan, math.nan)

Verdict = Literal["better", "same", "worse", "undecided", "both failed"]


class Key(NamedTuple):
    """What rows of two results are matched by. settings of the contender: those that either result varies."""

    contender: Contender
    test: Label

    def __str__(self) -> str:
        return f"{self.contender}, tested on {self.test}"


class Rule(NamedTuple):
    """How verdicts are reached. gate: the metric that decides. max_drop: how much of it B may lose, in its unit."""

    gate: Measure
    max_drop: float


@dataclass(frozen=True, eq=False)
class Group:
    """The rows of a result that differ in nothing but the seed, and where they are stored."""

    key: Key
    rows: tuple[ResultRow, ...]
    store: Store = field(repr=False)
    plan: RunPlan = field(repr=False)

    @property
    def trained(self) -> bool:
        return self.key.contender.trained

    def mean(self, metric: Measure) -> float:
        """Over the seeds that have a result; infinite where every image is exact."""
        known = [row.averages for row in self.rows if metric.column in row.averages]
        return interval(metric, [averages[metric.column] for averages in known]).mean

    def values(self, metric: Measure) -> np.ndarray:
        """Of every image, as stored: (S, N), the seeds in order. Raises DamagedResult."""
        return np.array([table[metric.column].to_numpy() for table in self._tables])

    @cached_property
    def seeds(self) -> tuple[int | None, ...]:
        """Those with a result, in order."""
        return tuple(row.seed for row in self._scored)

    @property
    def _scored(self) -> list[ResultRow]:
        return sorted((row for row in self.rows if row.state == "scored"), key=lambda row: row.seed or 0)

    @cached_property
    def _tables(self) -> "list[pandas.DataFrame]":
        return [self.store.cell(row.cell.id).values(row.score_id) for row in self._scored]


@dataclass(frozen=True)
class Change:
    """A metric's mean over seeds on both sides, and B - A. A mean is infinite where every image is exact.

    low, high: the ends of the plain 95 % interval of B - A, of this metric and row alone; NaN without one.
    """

    a: float
    b: float
    change: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, metric: Measure, a: float, b: float, ends: tuple[float, float] = NOWHERE) -> "Change":
        """The change from one mean to another; an infinite one counts as the metric's ceiling."""
        return cls(a, b, float(metric.counted(b) - metric.counted(a)), *ends)

    @property
    def ends(self) -> tuple[float, float, float]:
        """The change and the ends of its interval."""
        return self.change, self.low, self.high


class Decision(NamedTuple):
    """The interval of B - A that decides a row, and the level it has: what the family's correction leaves.

    NaN where a row has no interval, or where there was nothing to decide.
    """

    low: float = math.nan
    high: float = math.nan
    level: float = math.nan


NOTHING = Decision()


@dataclass(frozen=True)
class Difference:
    """Two contenders on one test noise: the change of each metric by its column, and the verdict of the gate.

    key: of A. other: of B where that is another contender of the same result.
    seeds_a, seeds_b: rows averaged. reason: why one of them has no result, or what would settle an open verdict
    and what the values must not be read without.
    recipe: the settings in which they differ by a model's recipe, which is what is compared then.
    decision: what the verdict goes by. moderated: the ends of the gate's 95 % interval where the seeds' variances of
    all rows are taken to be of one family.
    images: (2, N) the gate's value of every image in A and in B, averaged over seeds; empty where a side has none.
    """

    key: Key
    seeds_a: int
    seeds_b: int
    changes: Mapping[str, Change]
    verdict: Verdict
    reason: str
    recipe: str = ""
    other: Key | None = None
    decision: Decision = NOTHING
    moderated: tuple[float, float] = NOWHERE
    images: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False, repr=False)

    @property
    def title(self) -> str:
        """Who is compared: one contender before and after, or B against A."""
        mine = self.key.contender.with_settings()
        return f"{self.other.contender.with_settings()} against {mine}" if self.other else mine

    @property
    def train_noise(self) -> Label | None:
        """What those of them that are trained were trained on; two never differ in it."""
        keys = filter(None, (self.key, self.other))
        return next((key.contender.train_noise for key in keys if key.contender.train_noise), None)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two groups that met the same images."""

    a: Group
    b: Group

    def identical(self, metric: Measure) -> bool:
        """Whether both have the same seeds and every image has the same value."""
        return self.a.seeds == self.b.seeds and np.array_equal(self.a.values(metric), self.b.values(metric))

    def estimate(self, metric: Measure) -> Estimate | None:
        """B - A; None where a side has no number."""
        if not self.a.seeds or not self.b.seeds:
            return None
        a, b = (metric.shares(group.values(metric)) for group in (self.a, self.b))
        if not np.isfinite(a).all() or not np.isfinite(b).all():
            return None
        return Estimate.of(a, b, (self.a.trained, self.b.trained), images_of(self.a.plan, self.a.rows[0].test))

    def images(self, metric: Measure) -> np.ndarray:
        """(2, N): of every image in A and in B, averaged over seeds; empty where a side has no number."""
        if not self.a.seeds or not self.b.seeds:
            return np.empty(0)
        return np.array([metric.counted(group.values(metric)).mean(0) for group in (self.a, self.b)])


@dataclass(frozen=True)
class _Judgement:
    """What the gate's values say of a pair. merit: B - A with its sign turned where lower is better."""

    pair: Pair
    rule: Rule
    identical: bool
    merit: Estimate | None

    @classmethod
    def of(cls, pair: Pair, rule: Rule) -> "_Judgement":
        found, turn = pair.estimate(rule.gate), rule.gate.merit(1.0)
        return cls(pair, rule, pair.identical(rule.gate), replace(found, change=turn * found.change) if found else None)

    @property
    def at_stake(self) -> bool:
        """Whether chance plays a part in it, and it has an interval that tells how much."""
        return bool(self.merit and self.merit.known and not self.merit.exact and not self.identical)

    @property
    def p_value(self) -> float:
        """The least level at which it is better or worse; 1 where it is at none."""
        assert self.merit
        return self.merit.level(max(self.merit.change, -self.rule.max_drop - self.merit.change))

    def verdict(self, level: float) -> Verdict:
        failed_a, failed_b = (_failed(group, self.rule.gate) for group in (self.pair.a, self.pair.b))
        if failed_a or failed_b:
            return "worse" if failed_b and not failed_a else "better" if failed_a and not failed_b else "both failed"
        if self.identical:
            return "same"
        low, high = self.merit.ends(level) if self.merit else NOWHERE
        if high < -self.rule.max_drop:
            return "worse"
        if low > 0:
            return "better"
        return "same" if -self.rule.max_drop <= low and high <= self.rule.max_drop else "undecided"

    def advice(self, level: float) -> str:
        """What would settle it."""
        few = [group for group in (self.pair.a, self.pair.b) if group.trained and len(group.seeds) == 1]
        if few or not self.merit or not self.merit.known:
            return "one seed: these weights only" if few else "one image, or one group of them"
        seeds = seeds_to_settle(self.merit, self.rule.max_drop, level)
        if seeds:
            return f"with {seeds} seeds each, the chance to settle it is 80 %"
        few_images = "too few test images"
        return f"{few_images}: {MOST} seeds would not settle it" if self.merit.seeds else few_images


def judge(pairs: Sequence[Pair], metrics: Sequence[Measure], rule: Rule) -> tuple[Difference, ...]:
    """The verdicts on pairs, which are one family. Raises DamagedResult.

    Rows without chance in them, such as those equal in every image, can't be wrong and are no part of the family; those
    without an interval are not either, since nothing is claimed of them.
    """
    found = [_Judgement.of(pair, rule) for pair in pairs]
    at_stake = [one for one in found if one.at_stake]
    levels = dict(zip(map(id, at_stake), holm([one.p_value for one in at_stake], ALPHA), strict=True))
    groups = dict.fromkeys(group for one in found if one.merit for group in (one.pair.a, one.pair.b) if group.trained)
    prior = Prior.of([Seeds.of(rule.gate.shares(group.values(rule.gate))) for group in groups])
    return tuple(_difference(one, metrics, levels.get(id(one)), prior) for one in found)


def _difference(one: _Judgement, metrics: Sequence[Measure], level: float | None, prior: Prior | None) -> Difference:
    a, b, gate = one.pair.a, one.pair.b, one.rule.gate
    changes = {metric.column: _change(one.pair, metric) for metric in metrics}
    verdict = one.verdict(ALPHA if level is None else level)
    unknown = f"{gate.column} is not a number" if one.merit is None else ""
    reason = next((row.error for group in (b, a) for row in group.rows if row.error), unknown)
    advice = one.advice(level or ALPHA) if verdict == "undecided" else ""
    estimate = one.pair.estimate(gate)
    return Difference(
        key=a.key,
        seeds_a=len(a.rows),
        seeds_b=len(b.rows),
        changes=changes,
        verdict=verdict,
        reason=reason or "; ".join(filter(None, (advice, _remarks(one.pair)))),
        recipe=_by_recipe(a, b),
        other=None if a.key == b.key else b.key,
        decision=Decision(*estimate.ends(level), 1 - level) if estimate and level else NOTHING,
        moderated=moderated(estimate, prior).ends(ALPHA) if estimate and level and prior else NOWHERE,
        images=one.pair.images(gate),
    )


def _remarks(pair: Pair) -> str:
    """What the values of either side must not be read without."""
    found: dict[str, list[str]] = {}
    for side, group in (("A", pair.a), ("B", pair.b)):
        for meaning in sorted({remark.meaning for row in group.rows for remark in remarks(row)}):
            found.setdefault(meaning, []).append(side)
    return "; ".join(f"{' and '.join(where)}: {meaning}" for meaning, where in found.items())


def _change(pair: Pair, metric: Measure) -> Change:
    found = pair.estimate(metric)
    ends = found.ends(ALPHA) if found and not pair.identical(metric) else NOWHERE
    return Change.of(metric, pair.a.mean(metric), pair.b.mean(metric), ends)


def _failed(group: Group, gate: Measure) -> bool:
    """One image with a NaN makes the mean NaN, and no comparison with NaN is true."""
    return any(row.state == "failed" for row in group.rows) or math.isnan(group.mean(gate))


def _by_recipe(*sides: Group) -> str:
    """The settings that a recipe gives on either side and that differ: `optimizer adam, now muon`."""
    cells = [(side.rows[0].cell, side.plan) for side in sides]
    keys = dict.fromkeys(key for cell, _ in cells for key in cell.recipe)
    values = {key: [setting(cell.recipe.get(key, plan.train.get(key))) for cell, plan in cells] for key in keys}
    return ", ".join(f"{key} {first}, now {then}" for key, (first, then) in values.items() if first != then)
