"""The rows of a results folder, read from its markers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bench.results.records import PlannedCell, ResultRow, RunPlan
from bench.results.store import CellStore, Store


def read_rows(store: Store, plan: RunPlan) -> list[ResultRow]:
    """Every planned row in the plan's order, those that failed or are still to be run included."""
    return [row for cell in plan.cells for row in _of_cell(store.cell(cell.id), cell)]


def _of_cell(folder: CellStore, cell: PlannedCell) -> Iterator[ResultRow]:
    record = folder.record() or {}
    facts: dict[str, Any] = {key: record.get(key) for key in ("parameters", "macs", "train_seconds")}
    for test in cell.tests:
        score = folder.score(test.id)
        if score is None:
            error = folder.failure(test.id)
            yield ResultRow(cell, test, "failed" if error else "open", error, **facts, chosen_lr=record.get("lr"))
        else:
            yield ResultRow(cell, test, "scored", **facts, chosen_lr=record.get("lr"), **_scores(score))


def _scores(score: Mapping[str, Any]) -> dict[str, Any]:
    """What a marker says of a test, as fields of a row."""
    unknown = math.inf if score["perfect"] == score["n_images"] else math.nan
    return {
        "n_images": score["n_images"],
        "means": {column: unknown if mean is None else mean for column, mean in score["means"].items()},
        "deviations": score["deviations"],
        "exact": score["perfect"],
        "evaluate_seconds": score["evaluate_seconds"],
        "latency_ms": score["latency_ms"],
        "fitted": score["fitted"],
    }
