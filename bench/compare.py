"""Two results side by side: which rows got better, which worse, and whether they may be compared at all."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError, shorten
from bench.lazy import pandas
from bench.metrics import Metric
from bench.store import Store
from bench.tables import chosen_metrics, records

GATE = "psnr"  # the metric that decides; its unit is that of --max-drop
NO_WORSE, WORSE, NOT_COMPARABLE = 0, 1, 2
SHOWN_PARTS = 6

Key = tuple[str, ...]


class NotComparable(BenchError):
    """Two results that were not measured alike."""

    exit_code = NOT_COMPARABLE


@dataclass(frozen=True)
class Comparison:
    """differences: a row per matched model, objective, train noise and test noise; see `compare`.
    only_in_a, only_in_b: rows without a partner.
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
    Each metric gives three columns: NAME_a, NAME_b and NAME_change (b - a).
    Raises NotComparable where nothing matches, something is unfinished or the protocols differ.
    """
    plans = before.plan(), after.plan()
    metrics = _common(*(chosen_metrics(plan) for plan in plans))
    a, b = (_grouped(store, plan) for store, plan in zip((before, after), plans, strict=True))
    matched = [key for key in a if key in b]
    if not matched:
        first, other = (shorten(_title(next(iter(groups), ()))) for groups in (a, b))
        raise NotComparable(
            f"nothing to compare: {before.root} and {after.root} have no model with the same objective, "
            f"train noise and test noise. A has {first}, B has {other}"
        )
    _check_finished(before, a, matched)
    _check_finished(after, b, matched)
    _check_protocols((a[key][0]["protocol"], b[key][0]["protocol"], key) for key in matched)
    found = [_difference(key, a[key], b[key], metrics, max_drop) for key in matched]
    return Comparison(
        pandas.DataFrame(found),
        [_title(key) for key in a if key not in b],
        [_title(key) for key in b if key not in a],
    )


def _common(first: Iterable[Metric], second: Iterable[Metric]) -> list[Metric]:
    others = {metric.column for metric in second}
    found = [metric for metric in first if metric.column in others]
    if GATE not in {metric.column for metric in found}:
        raise NotComparable(
            f"both results need the metric {GATE}: it decides. Add it to `metrics` and run again; nothing is trained"
        )
    return found


def _grouped(store: Store, plan: Mapping[str, Any]) -> dict[Key, list[dict[str, Any]]]:
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in records(store, plan):
        groups.setdefault((row["model"], row["objective"], *row["match"]), []).append(row)
    return groups


def _check_finished(store: Store, groups: Mapping[Key, list[dict[str, Any]]], matched: Iterable[Key]) -> None:
    open_rows = [key for key in matched for row in groups[key] if not row["done"] and not row["error"]]
    if open_rows:
        raise NotComparable(
            f"{store.root} is unfinished: {len(open_rows)} of its rows are not scored, the first is "
            f"{_title(open_rows[0])}. Run its spec again to go on"
        )


def _check_protocols(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any], Key]]) -> None:
    parts: dict[str, str] = {}
    for first, second, key in pairs:
        for part, given_a, given_b in _differing(first, second):
            parts.setdefault(part, f"{part}: {shorten(given_a)} in A, {shorten(given_b)} in B ({_title(key)})")
    if parts:
        more = f"\n  and {len(parts) - SHOWN_PARTS} more" if len(parts) > SHOWN_PARTS else ""
        raise NotComparable(
            "the two results were measured under different protocols:\n  "
            + "\n  ".join(list(parts.values())[:SHOWN_PARTS])
            + more
        )


def _differing(first: Any, second: Any, part: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differing(first.get(key), second.get(key), f"{part}.{key}" if part else str(key))
    elif first != second:
        yield part, first, second


def _difference(
    key: Key, a: list[dict[str, Any]], b: list[dict[str, Any]], metrics: list[Metric], max_drop: float
) -> dict[str, Any]:
    model, objective, train_noise, test_noise = key
    row: dict[str, Any] = {
        "model": model, "objective": objective, "train_noise": train_noise, "test_noise": test_noise,
        "seeds_a": len(a), "seeds_b": len(b),
    }  # fmt: skip
    for metric in metrics:
        first, second = _mean(a, metric.column), _mean(b, metric.column)
        row |= {f"{metric.column}_a": first, f"{metric.column}_b": second, f"{metric.column}_change": second - first}
    row["verdict"] = _verdict(row[f"{GATE}_change"], any(r["error"] for r in a), any(r["error"] for r in b), max_drop)
    row["reason"] = next((r["error"] for r in (*b, *a) if r["error"]), "")
    return row


def _verdict(change: float, failed_a: bool, failed_b: bool, max_drop: float) -> str:
    if failed_a or failed_b:
        return "worse" if failed_b and not failed_a else "better" if failed_a and not failed_b else "both failed"
    if change < -max_drop:
        return "worse"
    return "better" if change > max_drop else "same"


def _mean(rows: list[dict[str, Any]], column: str) -> float:
    values = [row[column] for row in rows if row[column] is not None]
    return math.fsum(values) / len(values) if values else math.nan


def _title(key: Key) -> str:
    if not key:
        return "nothing"
    model, objective, train_noise, test_noise = key
    objective = f" [{objective}]" if objective else ""
    return f"{model}{objective}{f' trained on {train_noise}' if train_noise else ''}, tested on {test_noise}"


def for_readers(differences: "pandas.DataFrame") -> "pandas.DataFrame":
    """The differences as text: what was compared, each metric before, after and its change, and the verdict."""
    text = differences[["model", "objective", "train_noise", "test_noise"]].rename(
        columns=lambda name: name.replace("_", " ")
    )
    for name in (str(column).removesuffix("_change") for column in differences if str(column).endswith("_change")):
        text[f"{name} A"] = differences[f"{name}_a"].map("{:.4g}".format)
        text[f"{name} B"] = differences[f"{name}_b"].map("{:.4g}".format)
        text[f"{name} B-A"] = differences[f"{name}_change"].map("{:+.3g}".format)
    reasons = (f" ({reason})" if reason else "" for reason in differences["reason"])
    text["verdict"] = [verdict + reason for verdict, reason in zip(differences["verdict"], reasons, strict=True)]
    return text
