"""The rows of a results folder, read from its markers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench.metrics import Measure
from bench.results.costs import costs_of
from bench.results.files import DamagedResult
from bench.results.records import PlannedCell, ResultRow, RunPlan
from bench.results.store import CellStore, Store


def read_rows(store: Store, plan: RunPlan, keep: bool = False) -> list[ResultRow]:
    """Every planned row in the plan's order, those that failed or are still to be run included.

    keep: bring the markers of an older version up to date; if false, what they lack is computed again each time.
    """
    costs = costs_of(store)
    rows = (row for cell in plan.cells for row in _of_cell(store.cell(cell.id), cell, plan.metrics, keep))
    return [replace(row, **costs.get(str(row.contender.model), {})) if row.state == "scored" else row for row in rows]


def _of_cell(folder: CellStore, cell: PlannedCell, metrics: Sequence[Measure], keep: bool) -> Iterator[ResultRow]:
    record = folder.record() or {}
    facts: dict[str, Any] = {key: record.get(key) for key in ("parameters", "macs", "train_seconds")}
    facts |= {"chosen_lr": record.get("lr"), "diagnostics": record.get("diagnostics", {})}
    if facts["macs"]:
        facts["macs"] *= cell.ensemble
    for test in cell.tests:
        stored = test.stored_as(cell.ensemble)
        score = folder.score(stored)
        try:
            averages = folder.averages(stored, metrics, keep) if score else {}
        except DamagedResult:
            score = None
        if score is None:
            error = folder.failure(stored)
            yield ResultRow(cell, test, "failed" if error else "open", error, **facts)
        else:
            measured = {key: score[key] for key in ("n_images", "evaluate_seconds", "latency_ms", "fitted")}
            yield ResultRow(cell, test, "scored", averages=averages, **facts, **measured)
