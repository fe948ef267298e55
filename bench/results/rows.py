"""The rows of a results folder, read from its markers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench.results.code import changed
from bench.results.costs import costs_of
from bench.results.files import DamagedResult
from bench.results.records import PlannedCell, ResultRow, RunPlan
from bench.results.store import CellStore, Store


def read_rows(store: Store, plan: RunPlan, keep: bool = False) -> list[ResultRow]:
    """Every planned row in the plan's order, those that failed or are still to be run included.

    keep: bring the markers of an older version up to date; if false, what they lack is computed again each time.
    """
    costs = costs_of(store)
    rows = _told_apart([row for cell in plan.cells for row in _of_cell(store.cell(cell.id), cell, plan, keep)])
    return [replace(row, **costs.get(str(row.contender.model), {})) if row.state == "scored" else row for row in rows]


def _told_apart(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows, with what they were made with where most on the same device were made with something else."""
    usual: dict[str, str] = {}
    for made_with, _ in Counter(made_with for row in rows for made_with in row.made_with).most_common():
        usual.setdefault(made_with.partition(":")[0], made_with)
    others = [tuple(made for made in row.made_with if made not in usual.values()) for row in rows]
    return [replace(row, elsewhere=other) if other else row for row, other in zip(rows, others, strict=True)]


def _of_cell(folder: CellStore, cell: PlannedCell, plan: RunPlan, keep: bool) -> Iterator[ResultRow]:
    record = folder.record() or {}
    facts: dict[str, Any] = {key: record.get(key) for key in ("parameters", "macs", "train_seconds")}
    facts |= {"chosen_lr": record.get("lr"), "diagnostics": record.get("diagnostics", {})}
    if facts["macs"]:
        facts["macs"] *= cell.ensemble
    for test in cell.tests:
        stored = test.stored_as(cell.ensemble)
        score = folder.score(stored)
        try:
            averages = folder.averages(stored, plan.metrics, keep) if score else {}
        except DamagedResult:
            score = None
        if score is None:
            error = folder.failure(stored)
            yield ResultRow(cell, test, "failed" if error else "open", error, **facts)
        else:
            measured: dict[str, Any] = {key: score.get(key) for key in ("n_images", "evaluate_seconds", "latency_ms")}
            measured["fitted"] = score.get("fitted") or ""
            measured["code"] = {**record.get("code", {}), **score.get("code", {})}
            parts = [part for marker in (record, score) for part in changed(marker, plan.code)]
            measured["made_with"] = tuple(dict.fromkeys((*record.get("made_with", ()), *score.get("made_with", ()))))
            measured["stale"] = tuple(dict.fromkeys(parts))
            yield ResultRow(cell, test, "scored", averages=averages, **facts, **measured)
