"""Two results side by side: which rows got better, which worse, and whether they may be compared at all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from bench.core.errors import BenchError, shorten
from bench.core.labels import Label
from bench.core.lazy import pandas
from bench.metrics import Measure
from bench.results.records import Contender, ResultRow, RunPlan, setting, setting_value
from bench.results.remarks import remarks
from bench.results.rows import read_rows
from bench.results.statistics import interval
from bench.results.store import Store

GATE = "psnr"  # the metric that decides; its unit is that of --max-drop
NO_WORSE, WORSE, NOT_COMPARABLE = 0, 1, 2
SHOWN_PARTS = 6

Verdict = Literal["better", "same", "worse", "both failed"]


class NotComparable(BenchError):
    """Two results that were not measured alike."""

    exit_code = NOT_COMPARABLE


class Key(NamedTuple):
    """What rows of two results are matched by. settings of the contender: those that either result varies."""

    contender: Contender
    test: Label

    def __str__(self) -> str:
        return f"{self.contender}, tested on {self.test}"


@dataclass(frozen=True)
class Change:
    """A metric's mean over seeds in both results, and B - A. A mean is infinite where every image is exact."""

    a: float
    b: float
    change: float

    @classmethod
    def of(cls, metric: Measure, a: float, b: float) -> "Change":
        """The change from one mean to another; an infinite one counts as the metric's ceiling."""
        return cls(a, b, float(metric.counted(b) - metric.counted(a)))


@dataclass(frozen=True)
class Difference:
    """A row that both results have: the change of each metric by its column, and the verdict of the gate.

    seeds_a, seeds_b: rows averaged. reason: why one of them has no result, or what it must not be read without.
    recipe: the settings in which they differ by a model's recipe, which is what is compared then.
    """

    key: Key
    seeds_a: int
    seeds_b: int
    changes: Mapping[str, Change]
    verdict: Verdict
    reason: str
    recipe: str = ""


@dataclass(frozen=True)
class Comparison:
    """What changed between two results.

    metrics: those that both have. only_in_a, only_in_b: rows without a partner, and metrics that only one result has.
    allow_missing: whether B may lack what A has.
    """

    differences: tuple[Difference, ...]
    metrics: tuple[Measure, ...]
    only_in_a: tuple[str, ...] = ()
    only_in_b: tuple[str, ...] = ()
    allow_missing: bool = False

    @property
    def exit_code(self) -> int:
        worse = any(row.verdict == "worse" for row in self.differences)
        return WORSE if worse or (self.only_in_a and not self.allow_missing) else NO_WORSE

    def frame(self) -> "pandas.DataFrame":
        """A row per difference; each metric gives three columns: NAME_a, NAME_b and NAME_change (B - A).

        `recipe` is there only where some rows differ by it.
        """
        found = pandas.DataFrame([_flat(row) for row in self.differences])
        return found if any(row.recipe for row in self.differences) else found.drop(columns="recipe")


class _Result(NamedTuple):
    """One of the two: its folder, and its rows by what they are matched by."""

    store: Store
    plan: RunPlan
    groups: Mapping[Key, Sequence[ResultRow]]


def compare(before: Store, after: Store, max_drop: float, allow_missing: bool = False) -> Comparison:
    """What changed from one result to another, averaged over seeds.

    max_drop: dB that PSNR may fall (or rise) and still count as the same; at least 0.
    allow_missing: whether rows and metrics that only `before` has are no reason to call `after` worse.
    Raises NotComparable where nothing matches, something is unfinished or the protocols differ.
    """
    plans = before.plan(), after.plan()
    columns = {metric.column for metric in plans[1].metrics}
    metrics = tuple(metric for metric in plans[0].metrics if metric.column in columns)
    if GATE not in (metric.column for metric in metrics):
        raise NotComparable(
            f"both results need the metric {GATE}: it decides. Add it to `metrics` and run again; nothing is trained"
        )
    varied = list(dict.fromkeys(key for plan in plans for key in plan.varied))
    a, b = (
        _Result(store, plan, _grouped(store, plan, varied)) for store, plan in zip((before, after), plans, strict=True)
    )
    matched = [key for key in a.groups if key in b.groups]
    _check_protocols(matched, a.groups, b.groups)
    if not matched:
        first, other = (next(iter(result.groups), "nothing") for result in (a, b))
        raise NotComparable(
            f"nothing to compare: {before.root} and {after.root} have no model with the same objective, "
            f"training noise and test noise. A has {first}; B has {other}"
        )
    _check_finished(a, metrics)
    _check_finished(b, metrics)
    return Comparison(
        tuple(_difference(key, a, b, metrics, max_drop) for key in matched),
        metrics,
        tuple(_alone(a, b)),
        tuple(_alone(b, a)),
        allow_missing,
    )


def _grouped(store: Store, plan: RunPlan, varied: Sequence[str]) -> dict[Key, list[ResultRow]]:
    """The rows of a result, those that differ in nothing but the seed together."""
    groups: dict[Key, list[ResultRow]] = {}
    for row in read_rows(store, plan):
        # A setting that only the other result varies has one value here, for the models that are trained.
        named = [name for name in varied if row.contender.trained and name not in row.cell.recipe]
        fixed = {name: setting_value(plan.train.get(name)) for name in named}
        settings = {**fixed, **dict(row.contender.settings)}
        known = tuple((name, value) for name, value in sorted(settings.items()) if value is not None)
        groups.setdefault(Key(replace(row.contender, settings=known), row.test.label), []).append(row)
    return groups


def _alone(one: _Result, other: _Result) -> Iterator[str]:
    """Rows and metrics that one result has and the other lacks."""
    yield from (str(key) for key in one.groups if key not in other.groups)
    known = {metric.column for metric in other.plan.metrics}
    yield from (f"metric {metric.column}" for metric in one.plan.metrics if metric.column not in known)


def _check_finished(result: _Result, metrics: Sequence[Measure]) -> None:
    """Every row, those without a partner too: only then is it known what is missing."""
    rows = [(key, row) for key, group in result.groups.items() for row in group]
    left = [key for key, row in rows if any(map(row.lacks, metrics))]
    if left:
        raise NotComparable(
            f"{result.store.root} is unfinished: {len(left)} of its rows are not scored, the first is "
            f"{left[0]}. Run its spec again to go on"
        )


def _check_protocols(
    matched: Sequence[Key], a: Mapping[Key, Sequence[ResultRow]], b: Mapping[Key, Sequence[ResultRow]]
) -> None:
    """Rows that match must be measured alike, and so must rows whose noises differ in nothing but clip or the like."""
    pairs = [(key, key) for key in matched]
    rest = {_bare(key, rows[0]): key for key, rows in b.items() if key not in a}
    pairs += [(key, rest[bare]) for key, rows in a.items() if key not in b and (bare := _bare(key, rows[0])) in rest]
    parts: dict[str, str] = {}
    for first, second in pairs:
        for part, given_a, given_b in _differing(a[first][0].test.protocol, b[second][0].test.protocol):
            parts.setdefault(part, f"{part}: {shorten(given_a)} in A, {shorten(given_b)} in B ({first})")
    if parts:
        more = f"\n  and {len(parts) - SHOWN_PARTS} more" if len(parts) > SHOWN_PARTS else ""
        raise NotComparable(
            "the two results were measured under different protocols:\n  "
            + "\n  ".join(list(parts.values())[:SHOWN_PARTS])
            + more
        )


def _bare(key: Key, row: ResultRow) -> tuple[Contender, str, str]:
    """The key without what belongs to the protocol rather than to what is compared."""
    return replace(key.contender, train_noise=None), row.cell.match, row.test.match


def _differing(first: Any, second: Any, part: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The parts in which two fingerprints, plain JSON values, differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differing(first.get(key), second.get(key), f"{part}.{key}" if part else str(key))
    elif first != second:
        yield part, first, second


def _difference(key: Key, before: _Result, after: _Result, metrics: Sequence[Measure], max_drop: float) -> Difference:
    a, b = before.groups[key], after.groups[key]
    changes = {metric.column: Change.of(metric, _mean(a, metric), _mean(b, metric)) for metric in metrics}
    gate = changes[GATE]
    # One image with a NaN makes the mean NaN, and no comparison with NaN is true.
    failed_a = any(row.state == "failed" for row in a) or math.isnan(gate.a)
    failed_b = any(row.state == "failed" for row in b) or math.isnan(gate.b)
    unknown = f"{GATE} is not a number" if math.isnan(gate.a) or math.isnan(gate.b) else ""
    return Difference(
        key=key,
        seeds_a=len(a),
        seeds_b=len(b),
        changes=changes,
        verdict=_verdict(gate.change, failed_a, failed_b, max_drop),
        reason=next((row.error for row in (*b, *a) if row.error), unknown or _remarks(a, b)),
        recipe=_by_recipe((before.plan, a[0]), (after.plan, b[0])),
    )


def _remarks(a: Sequence[ResultRow], b: Sequence[ResultRow]) -> str:
    """What the values of either side must not be read without."""
    sides = {"A": a, "B": b}
    found: dict[str, list[str]] = {}
    for side, rows in sides.items():
        for meaning in sorted({remark.meaning for row in rows for remark in remarks(row)}):
            found.setdefault(meaning, []).append(side)
    return "; ".join(f"{' and '.join(where)}: {meaning}" for meaning, where in found.items())


def _by_recipe(*sides: tuple[RunPlan, ResultRow]) -> str:
    """The settings that a recipe gives on either side and that differ: `optimizer adam, now muon`."""
    keys = dict.fromkeys(key for _, row in sides for key in row.cell.recipe)
    values = {key: [setting(row.cell.recipe.get(key, plan.train.get(key))) for plan, row in sides] for key in keys}
    return ", ".join(f"{key} {first}, now {then}" for key, (first, then) in values.items() if first != then)


def _verdict(change: float, failed_a: bool, failed_b: bool, max_drop: float) -> Verdict:
    if failed_a or failed_b:
        return "worse" if failed_b and not failed_a else "better" if failed_a and not failed_b else "both failed"
    if change < -max_drop:
        return "worse"
    return "better" if change > max_drop else "same"


def _mean(rows: Sequence[ResultRow], metric: Measure) -> float:
    """Over the seeds that have a result."""
    return interval(metric, [row.averages[metric.column] for row in rows if metric.column in row.averages]).mean


def _flat(row: Difference) -> dict[str, Any]:
    contender = row.key.contender
    changes = {
        f"{column}_{end}": getattr(change, end)
        for column, change in row.changes.items()
        for end in ("a", "b", "change")
    }
    return {
        "model": str(contender.model),
        "objective": contender.objective,
        "train_noise": str(contender.train_noise or ""),
        "test_noise": str(row.key.test),
        **{f"train.{key}": value for key, value in contender.settings},
        "seeds_a": row.seeds_a,
        "seeds_b": row.seeds_b,
        **changes,
        "verdict": row.verdict,
        "reason": row.reason,
        "recipe": row.recipe,
    }


def for_readers(comparison: Comparison) -> "pandas.DataFrame":
    """The differences as text: what was compared, each metric before, after and its change, and the verdict."""
    frame = comparison.frame()
    what = ["model", "objective", "train_noise", "test_noise", *(key for key in frame if str(key).startswith("train."))]
    text = frame[what].rename(columns=lambda name: name.replace("_", " "))
    for metric in comparison.metrics:
        changes = [row.changes[metric.column] for row in comparison.differences]
        text[f"{metric.column} A"] = [metric.format(change.a) for change in changes]
        text[f"{metric.column} B"] = [metric.format(change.b) for change in changes]
        text[f"{metric.column} B-A"] = [metric.format(change.change, signed=True) for change in changes]
    text["verdict"] = [row.verdict + (f" ({row.reason})" if row.reason else "") for row in comparison.differences]
    if "recipe" in frame:
        text["by recipe"] = frame["recipe"]
    return text
