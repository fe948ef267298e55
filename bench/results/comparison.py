"""What was found between two results, or between the models of one: its exit code, and its tables."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.core.lazy import pandas
from bench.core.words import counted
from bench.metrics import Measure
from bench.results.records import RunPlan
from bench.results.sampling import images_of
from bench.results.verdicts import Difference, Rule, Verdict

MODERATED = (
    "'moderated': 95 % of this row alone, were the variances of all rows' seeds of one family (empirical Bayes); it "
    "decides nothing."
)
NO_WORSE, WORSE, NOT_COMPARABLE, UNDECIDED = 0, 1, 2, 3


@dataclass(frozen=True)
class Comparison:
    """What changed between two results, or differs between the models of one.

    metrics: those that both have. only_in_a, only_in_b: rows without a partner, and metrics that only one result has.
    allow_missing: whether B may lack what A has. plan: of A.
    """

    differences: tuple[Difference, ...]
    metrics: tuple[Measure, ...]
    rule: Rule
    plan: RunPlan
    only_in_a: tuple[str, ...] = ()
    only_in_b: tuple[str, ...] = ()
    allow_missing: bool = False

    def count(self, verdict: Verdict) -> int:
        """How many rows have a verdict."""
        return [row.verdict for row in self.differences].count(verdict)

    @property
    def doubtful(self) -> tuple[Difference, ...]:
        """Rows that are undecided with a mean below what B may lose."""
        gate, drop = self.rule
        merit = gate.merit(1.0)
        open_ = (row for row in self.differences if row.verdict == "undecided")
        return tuple(row for row in open_ if merit * row.changes[gate.column].change < -drop)

    @property
    def exit_code(self) -> int:
        """Of a command that accepts no doubtful row."""
        if self.count("worse") or (self.only_in_a and not self.allow_missing):
            return WORSE
        return UNDECIDED if self.doubtful else NO_WORSE

    @property
    def intervals(self) -> str:
        """What the intervals are, for whoever reads the table."""
        family = [row for row in self.differences if not math.isnan(row.decision.level)]
        keys = [key for row in family for key in (row.key, row.other) if key]
        over = ["seeds (unpaired)"] if any(key.contender.trained for key in keys) else []
        sample = images_of(self.plan).sample
        over += ["test images (paired)"] if sample else []
        said = "" if sample else "These photographs only: their crops are no sample of other images. "
        if not family:
            return said.strip()
        return (
            f"{said}Intervals of B - A are over {' and '.join(over)}. '95 %': of this row alone. 'decides': at the "
            f"level that Holm's correction for {counted(len(family), 'row')} leaves it; the verdict goes by it."
        )

    @property
    def moderated(self) -> str:
        """What the moderated intervals are; empty where there are none."""
        return MODERATED if any(not math.isnan(row.moderated[0]) for row in self.differences) else ""

    def frame(self) -> "pandas.DataFrame":
        """A row per difference; each metric gives NAME_a, NAME_b, NAME_change (B - A) and its plain 95 % interval.

        decides_low, decides_high, decides_level: the interval of the gate that the verdict goes by. moderated_low,
        moderated_high: its 95 % interval where the seeds' variances are shrunk to each other.
        `recipe`, and `model_b` with the like, are there only where some rows differ by them.
        """
        found = pandas.DataFrame([_flat(row) for row in self.differences])
        return found if any(row.recipe for row in self.differences) else found.drop(columns="recipe")

    def for_readers(self) -> "pandas.DataFrame":
        """The differences as text: what was compared, each metric before, after and its change, and the verdict."""
        frame = self.frame()
        what = ["model", "objective", "train_noise", "test_noise", "model_b", "objective_b", "train_noise_b"]
        settings = [key for key in frame if str(key).startswith("train.")]
        text = frame[[key for key in (*what, *settings) if key in frame]]
        text = text.rename(columns=lambda name: name.replace("_", " "))
        for metric in self.metrics:
            changes = [row.changes[metric.column] for row in self.differences]
            text[f"{metric.column} A"] = [metric.format(change.a) for change in changes]
            text[f"{metric.column} B"] = [metric.format(change.b) for change in changes]
            text[f"{metric.column} B-A"] = [metric.format(change.change, signed=True) for change in changes]
            text[f"{metric.column} B-A, 95 %"] = [span(metric, change.low, change.high) for change in changes]
        gate = self.rule.gate
        if self.moderated:
            text[f"{gate.column} B-A, moderated"] = [span(gate, *row.moderated) for row in self.differences]
        text[f"{gate.column} B-A, decides"] = [decides(gate, row) for row in self.differences]
        text["verdict"] = [row.verdict + (f" ({row.reason})" if row.reason else "") for row in self.differences]
        if "recipe" in frame:
            text["by recipe"] = frame["recipe"]
        return text


def span(metric: Measure, low: float, high: float) -> str:
    """An interval as text, empty where there is none."""
    if math.isnan(low):
        return ""
    return f"[{metric.format(low, signed=True)}, {metric.format(high, signed=True)}]"


def decides(gate: Measure, row: Difference) -> str:
    """The interval that decides a row, with its level."""
    low, high, level = row.decision
    return f"{span(gate, low, high)} at {100 * level:.4g} %" if not math.isnan(low) else ""


def _flat(row: Difference) -> dict[str, Any]:
    gate = {f"decides_{end}": value for end, value in zip(("low", "high", "level"), row.decision, strict=True)}
    changes = {
        f"{column}_{end}": getattr(change, end)
        for column, change in row.changes.items()
        for end in ("a", "b", "change", "low", "high")
    }
    return {
        **dict(_who(row)),
        "seeds_a": row.seeds_a,
        "seeds_b": row.seeds_b,
        **changes,
        **gate,
        **{f"moderated_{end}": value for end, value in zip(("low", "high"), row.moderated, strict=True)},
        "verdict": row.verdict,
        "reason": row.reason,
        "recipe": row.recipe,
    }


def _who(row: Difference) -> Iterator[tuple[str, Any]]:
    for ending, key in (("", row.key), *((("_b", row.other),) if row.other else ())):
        contender = key.contender
        yield f"model{ending}", str(contender.model)
        yield f"objective{ending}", contender.objective
        yield f"train_noise{ending}", str(contender.train_noise or "")
        if not ending:
            yield "test_noise", str(key.test)
        yield from ((f"train.{name}{ending}", value) for name, value in contender.settings)
