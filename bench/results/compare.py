"""Two results side by side: which rows got better, which worse, and whether they may be compared at all."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.core.errors import BenchError, shorten
from bench.core.lazy import pandas
from bench.results.store import Store
from bench.results.tables import chosen_metrics, records

GATE = "psnr"  # the metric that decides; its unit is that of --max-drop
NO_WORSE, WORSE, NOT_COMPARABLE = 0, 1, 2
SHOWN_PARTS = 6

Row = Mapping[str, Any]


class NotComparable(BenchError):
    """Two results that were not measured alike."""

    exit_code = NOT_COMPARABLE


@dataclass(frozen=True)
class Key:
    """What rows of two results are matched by. settings: of training, where either result varies them."""

    model: str
    objective: str
    train_noise: str
    test_noise: str
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        objective = f" [{self.objective}]" if self.objective else ""
        settings = "".join(f", {name}={value}" for name, value in self.settings)
        trained = f" trained on {self.train_noise}" if self.train_noise else ""
        return f"{self.model}{objective}{trained}{settings}, tested on {self.test_noise}"


@dataclass(frozen=True)
class Comparison:
    """What changed between two results.

    differences: a row per matched model, objective, train noise, test noise and varied setting; see `compare`.
    only_in_a, only_in_b: rows without a partner, and metrics that only one result has.
    """

    differences: "pandas.DataFrame"
    only_in_a: list[str]
    only_in_b: list[str]

    @property
    def exit_code(self) -> int:
        return WORSE if (self.differences["verdict"] == "worse").any() else NO_WORSE


def compare(before: Store, after: Store, max_drop: float) -> Comparison:
    """What changed from one result to another, averaged over seeds.

    max_drop: dB that PSNR may fall (or rise) and still count as the same; at least 0.
    Each metric gives three columns: NAME_a, NAME_b and NAME_change (b - a). PSNR without noise left is infinite.
    Raises NotComparable where nothing matches, something is unfinished or the protocols differ.
    """
    plans = before.plan(), after.plan()
    names = [[metric.column for metric in chosen_metrics(plan)] for plan in plans]
    columns = [column for column in names[0] if column in names[1]]
    if GATE not in columns:
        raise NotComparable(
            f"both results need the metric {GATE}: it decides. Add it to `metrics` and run again; nothing is trained"
        )
    varied = list(dict.fromkeys(key for plan in plans for key in plan["varied"]))
    a, b = (_grouped(store, plan, varied) for store, plan in zip((before, after), plans, strict=True))
    matched = [key for key in a if key in b]
    _check_protocols(matched, a, b)
    if not matched:
        first, other = (next(iter(groups), "nothing") for groups in (a, b))
        raise NotComparable(
            f"nothing to compare: {before.root} and {after.root} have no model with the same objective, "
            f"train noise and test noise. A has {first}; B has {other}"
        )
    _check_finished(before, a, matched)
    _check_finished(after, b, matched)
    return Comparison(
        pandas.DataFrame([_difference(key, a[key], b[key], columns, max_drop) for key in matched]),
        [*(str(key) for key in a if key not in b), *(f"metric {name}" for name in names[0] if name not in columns)],
        [*(str(key) for key in b if key not in a), *(f"metric {name}" for name in names[1] if name not in columns)],
    )


def _grouped(store: Store, plan: Mapping[str, Any], varied: Sequence[str]) -> dict[Key, list[Row]]:
    """The rows of a result, those that differ in nothing but the seed together."""
    groups: dict[Key, list[Row]] = {}
    for row in records(store, plan):
        # A setting that only the other result varies has one value here, for the models that are trained.
        fixed = {name: plan["train"].get(name.removeprefix("train.")) for name in varied} if row["objective"] else {}
        settings = tuple({**fixed, **row["varied"]}.items())
        key = Key(row["model"], row["objective"], row["train_noise"], row["test_noise"], _known(settings))
        groups.setdefault(key, []).append(row)
    return groups


def _known(settings: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in sorted(settings) if value is not None)


def _check_finished(store: Store, groups: Mapping[Key, list[Row]], matched: Iterable[Key]) -> None:
    left = [key for key in matched for row in groups[key] if not row["done"] and not row["error"]]
    if left:
        raise NotComparable(
            f"{store.root} is unfinished: {len(left)} of its rows are not scored, the first is "
            f"{left[0]}. Run its spec again to go on"
        )


def _check_protocols(matched: Sequence[Key], a: Mapping[Key, list[Row]], b: Mapping[Key, list[Row]]) -> None:
    """Rows that match must be measured alike, and so must rows whose noises differ in nothing but clip or the like."""
    pairs = [(key, key) for key in matched]
    rest = {_bare(key, rows): key for key, rows in b.items() if key not in a}
    pairs += [(key, rest[bare]) for key, rows in a.items() if key not in b and (bare := _bare(key, rows)) in rest]
    parts: dict[str, str] = {}
    for first, second in pairs:
        for part, given_a, given_b in _differing(a[first][0]["protocol"], b[second][0]["protocol"]):
            parts.setdefault(part, f"{part}: {shorten(given_a)} in A, {shorten(given_b)} in B ({first})")
    if parts:
        more = f"\n  and {len(parts) - SHOWN_PARTS} more" if len(parts) > SHOWN_PARTS else ""
        raise NotComparable(
            "the two results were measured under different protocols:\n  "
            + "\n  ".join(list(parts.values())[:SHOWN_PARTS])
            + more
        )


def _bare(key: Key, rows: Sequence[Row]) -> Key:
    """The key without what belongs to the protocol rather than to what is compared."""
    train_noise, test_noise = rows[0]["match"]
    return replace(key, train_noise=train_noise, test_noise=test_noise)


def _differing(first: Any, second: Any, part: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differing(first.get(key), second.get(key), f"{part}.{key}" if part else str(key))
    elif first != second:
        yield part, first, second


def _difference(
    key: Key, a: Sequence[Row], b: Sequence[Row], columns: Sequence[str], max_drop: float
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": key.model, "objective": key.objective, "train_noise": key.train_noise, "test_noise": key.test_noise,
        **dict(key.settings), "seeds_a": len(a), "seeds_b": len(b),
    }  # fmt: skip
    for column in columns:
        first, second = _mean(a, column), _mean(b, column)
        change = 0.0 if first == second else second - first
        row |= {f"{column}_a": first, f"{column}_b": second, f"{column}_change": change}
    failed_a, failed_b = (any(found["error"] for found in rows) for rows in (a, b))
    row["verdict"] = _verdict(row[f"{GATE}_change"], failed_a, failed_b, max_drop)
    row["reason"] = next((found["error"] for found in (*b, *a) if found["error"]), "")
    return row


def _verdict(change: float, failed_a: bool, failed_b: bool, max_drop: float) -> str:
    if failed_a or failed_b:
        return "worse" if failed_b and not failed_a else "better" if failed_a and not failed_b else "both failed"
    if change < -max_drop:
        return "worse"
    return "better" if change > max_drop else "same"


def _mean(rows: Sequence[Row], column: str) -> float:
    """Over the seeds that have a result; infinite where all images of one are perfect."""
    done = [row for row in rows if row["done"]]
    values = [_value(row, column) for row in done]
    return sum(values) / len(values) if values else math.nan


def _value(row: Row, column: str) -> float:
    if row[column] is None:
        return math.inf if row["perfect_images"] == row["n_images"] else math.nan
    return float(row[column])


def for_readers(differences: "pandas.DataFrame") -> "pandas.DataFrame":
    """The differences as text: what was compared, each metric before, after and its change, and the verdict."""
    names = [str(column) for column in differences]
    what = ["model", "objective", "train_noise", "test_noise", *(name for name in names if name.startswith("train."))]
    text = differences[what].rename(columns=lambda name: name.replace("_", " "))
    for name in (name.removesuffix("_change") for name in names if name.endswith("_change")):
        text[f"{name} A"] = differences[f"{name}_a"].map("{:.4g}".format)
        text[f"{name} B"] = differences[f"{name}_b"].map("{:.4g}".format)
        text[f"{name} B-A"] = differences[f"{name}_change"].map("{:+.3g}".format)
    reasons = (f" ({reason})" if reason else "" for reason in differences["reason"])
    text["verdict"] = [verdict + reason for verdict, reason in zip(differences["verdict"], reasons, strict=True)]
    return text
