"""Two results side by side, or the models of one: what is matched with what, and whether it may be compared at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any, NamedTuple

from bench.core.errors import BenchError, shorten, unknown
from bench.metrics import Measure
from bench.results.comparison import NOT_COMPARABLE, Comparison
from bench.results.records import LEADING, Contender, ResultRow, RunPlan, setting_value
from bench.results.rows import read_rows
from bench.results.store import Store
from bench.results.verdicts import Group, Key, Pair, Rule, judge

DROP = 0.1  # dB that B may lose unless it is said otherwise
SHOWN_PARTS = 6
SAYING_IMAGES = ("data.", "code of dataset ")  # of what is different where the images may be the same


class NotComparable(BenchError):
    """Two results that were not measured alike."""

    exit_code = NOT_COMPARABLE


class _Result(NamedTuple):
    """A folder, and its rows by what they are matched by."""

    store: Store
    plan: RunPlan
    groups: Mapping[Key, Group]


def compare(
    before: Store, after: Store, max_drop: float | None = None, allow_missing: bool = False, gate: str = LEADING
) -> Comparison:
    """What changed from one result to another.

    max_drop: how much B may lose of the metric that decides, at least 0; DROP where its unit is dB.
    allow_missing: whether rows and metrics that only `before` has are no reason to call `after` worse.
    gate: the column of the metric that decides.
    Raises NotComparable where nothing matches, something is unfinished or the protocols differ.
    """
    plans = before.plan(), after.plan()
    columns = {metric.column for metric in plans[1].metrics}
    metrics = tuple(metric for metric in plans[0].metrics if metric.column in columns)
    rule = _rule(gate, metrics, max_drop)
    varied = list(dict.fromkeys(key for plan in plans for key in plan.varied))
    a, b = (
        _Result(store, plan, _grouped(store, plan, varied)) for store, plan in zip((before, after), plans, strict=True)
    )
    matched = [key for key in a.groups if key in b.groups]
    _check_protocols(matched, a.groups, b.groups, a.plan.same_images(b.plan))
    if not matched:
        first, other = (next(iter(result.groups), "nothing") for result in (a, b))
        raise NotComparable(
            f"nothing to compare: {before.root} and {after.root} have no model with the same objective, "
            f"training noise and test noise. A has {first}; B has {other}"
        )
    for result in (a, b):
        _check_finished(result.groups.values(), metrics)
    return Comparison(
        judge([Pair(a.groups[key], b.groups[key]) for key in matched], metrics, rule),
        metrics,
        rule,
        a.plan,
        tuple(_alone(a, b)),
        tuple(_alone(b, a)),
        allow_missing,
    )


def compare_within(
    store: Store,
    max_drop: float | None = None,
    models: Sequence[str] = (),
    against: str = "",
    gate: str = LEADING,
) -> Comparison:
    """How the models of one result differ: all pairs of them, or each against one that was named beforehand.

    models: names, with or without their keys; all of the result unless given. The first of a pair is A.
    against: A of every pair. Models meet that were trained on the same noise, or of which one was trained on none.
    Raises NotComparable where there is no such pair or something of them is unfinished.
    """
    plan = store.plan()
    rule = _rule(gate, plan.metrics, max_drop)
    groups = _grouped(store, plan, plan.varied)
    everyone = list(dict.fromkeys(replace(key.contender, train_noise=None) for key in groups))
    chosen = list(dict.fromkeys(who for name in models for who in _named(name, everyone))) if models else everyone
    if against:
        first = _named(against, everyone)
        if len(first) > 1:
            raise NotComparable(f"--against {against} names {len(first)} models: {', '.join(map(str, first))}")
        couples = [(first[0], who) for who in chosen if who != first[0]]
    else:
        couples = list(combinations(chosen, 2))
    pairs = [pair for couple in couples for pair in _meeting(couple, groups)]
    if not pairs:
        names = ", ".join(map(str, chosen)) or "no model"
        raise NotComparable(f"nothing to compare: {store.root} has {names}; two models with a common noise are needed")
    _check_finished(dict.fromkeys(group for pair in pairs for group in (pair.a, pair.b)), plan.metrics)
    return Comparison(judge(pairs, plan.metrics, rule), plan.metrics, rule, plan)


def _rule(gate: str, metrics: Sequence[Measure], max_drop: float | None) -> Rule:
    found = next((metric for metric in metrics if metric.column == gate), None)
    if found is None:
        raise NotComparable(
            f"both results need the metric {gate}: it decides. Add it to `metrics` and run again; nothing is trained"
        )
    if max_drop is None and found.unit != "dB":
        raise NotComparable(f"what B may lose is {DROP} dB; {gate} has another unit: say it with --max-drop")
    return Rule(found, DROP if max_drop is None else max_drop)


def _named(name: str, everyone: Sequence[Contender]) -> list[Contender]:
    """The contenders that a name stands for. Raises NotComparable where there is none."""
    found = [who for who in everyone if name in (who.model.name, str(who.model), who.title, who.with_settings())]
    if not found:
        raise NotComparable(unknown("model", name, dict.fromkeys(who.model.name for who in everyone)))
    return found


def _meeting(couple: tuple[Contender, Contender], groups: Mapping[Key, Group]) -> Iterator[Pair]:
    """What two contenders have in common."""
    sides = [[key for key in groups if replace(key.contender, train_noise=None) == who] for who in couple]
    for first in sides[0]:
        for second in sides[1]:
            noises = {key.contender.train_noise for key in (first, second)} - {None}
            if first.test == second.test and len(noises) < 2:
                yield Pair(groups[first], groups[second])


def _grouped(store: Store, plan: RunPlan, varied: Sequence[str]) -> dict[Key, Group]:
    """The rows of a result, those that differ in nothing but the seed together."""
    groups: dict[Key, list[ResultRow]] = {}
    for row in read_rows(store, plan):
        # A setting that only the other result varies has one value here, for the models that are trained.
        named = [name for name in varied if row.contender.trained and name not in row.cell.recipe]
        fixed = {name: setting_value(plan.train.get(name)) for name in named}
        settings = {**fixed, **dict(row.contender.settings)}
        known = tuple((name, value) for name, value in sorted(settings.items()) if value is not None)
        groups.setdefault(Key(replace(row.contender, settings=known), row.test.label), []).append(row)
    return {key: Group(key, tuple(rows), store, plan) for key, rows in groups.items()}


def _alone(one: _Result, other: _Result) -> Iterator[str]:
    """Rows and metrics that one result has and the other lacks."""
    yield from (str(key) for key in one.groups if key not in other.groups)
    known = {metric.column for metric in other.plan.metrics}
    yield from (f"metric {metric.column}" for metric in one.plan.metrics if metric.column not in known)


def _check_finished(groups: Iterable[Group], metrics: Sequence[Measure]) -> None:
    """Every row, those without a partner too: only then is it known what is missing."""
    left = [group for group in groups for row in group.rows if any(map(row.lacks, metrics))]
    if left:
        raise NotComparable(
            f"{left[0].store.root} is unfinished: {len(left)} of its rows are not scored, the first is "
            f"{left[0].key}. Run its spec again to go on"
        )


def _check_protocols(matched: Sequence[Key], a: Mapping[Key, Group], b: Mapping[Key, Group], same_images: bool) -> None:
    """Rows that match must be measured alike, and so must rows whose noises differ in nothing but clip or the like.

    same_images: whether the data are the same, however they are called.
    """
    pairs = [(key, key) for key in matched]
    rest = {_bare(group): key for key, group in b.items() if key not in a}
    pairs += [(key, rest[bare]) for key, group in a.items() if key not in b and (bare := _bare(group)) in rest]
    parts: dict[str, str] = {}
    for first, second in pairs:
        protocols = a[first].rows[0].test.protocol, b[second].rows[0].test.protocol
        for part, given_a, given_b in (*_differing(*protocols), *_other_code(a[first], b[second])):
            if same_images and part.startswith(SAYING_IMAGES):
                continue
            parts.setdefault(part, f"{part}: {shorten(given_a)} in A, {shorten(given_b)} in B ({first})")
    if parts:
        more = f"\n  and {len(parts) - SHOWN_PARTS} more" if len(parts) > SHOWN_PARTS else ""
        raise NotComparable(
            "the two results were measured under different protocols:\n  "
            + "\n  ".join(list(parts.values())[:SHOWN_PARTS])
            + more
        )


def _other_code(a: Group, b: Group) -> Iterator[tuple[str, str, str]]:
    """The classes, models apart, of which both groups name the code and not the same."""
    for first, second in product(a.rows, b.rows):
        for part in first.code.keys() & second.code.keys():
            if not part.startswith("model ") and first.code[part] != second.code[part]:
                yield f"code of {part}", first.code[part], second.code[part]


def _bare(group: Group) -> tuple[Contender, str, str]:
    """The key without what belongs to the protocol rather than to what is compared."""
    row = group.rows[0]
    return replace(group.key.contender, train_noise=None), row.cell.match, row.test.match


def _differing(first: Any, second: Any, part: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The parts in which two fingerprints, plain JSON values, differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differing(first.get(key), second.get(key), f"{part}.{key}" if part else str(key))
    elif first != second:
        yield part, first, second
