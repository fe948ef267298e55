"""Results folders as if a spec had been run."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from bench.noises import Noise
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.results.tables import VOLATILE
from bench.spec import load, parse
from bench.spec.cells import Work
from bench.spec.plan import works_of
from bench.training.score import Score
from bench.training.state import Epoch, State

# How a test of a cell ends: every test image's value by metric, the reason of a failure, or None where it wasn't run.
Scores = Callable[[Work, Noise], Mapping[str, np.ndarray] | str | None]


def store_of(root: Path, text: str | Path, score: Scores) -> Store:
    """A results folder as if a spec had been run.

    score: as if every test had ended like this.
    """
    experiment = load(text) if isinstance(text, Path) else parse(text)
    works = works_of(experiment)
    store = Store(root)
    store.begin(experiment.node(), RunPlan.of(experiment, works))
    store.describe_environment({"noise-bench": "0", "cpu": "none", "libraries": {"torch": "0"}})
    history = (Epoch(1, 0.5, 0.25, 2.0),)
    for work in works:
        folder = store.cell(work.cell.id)
        seed = np.full(1, work.cell.seed or 0, np.float32)
        state = State(kept={"a": seed}, history=history, kept_epoch=1) if work.cell.train else None
        folder.finish(work.cell, state, {"dataset": "made up", "size": 16, "parameters": 7, "macs": 11})
        reasons = {}
        for test in work.tests:
            values = score(work, test.noise)
            if isinstance(values, str):
                reasons[test.id(work.cell.data)] = values
            elif values is not None:
                sample = np.zeros((2, 3, 16, 16), np.uint8)
                samples = {"original": sample, "noisy": sample, "output": sample}
                found = Score(dict(values), 3.0, 4.0, samples)
                folder.finish_score(test, work.cell.data, found, experiment.metrics)
        if reasons:
            folder.fail("a test failed", reasons)
    return store


def steady_rows(results: Path) -> list[dict[str, str]]:
    """The rows of results.csv without what may differ between two runs."""
    rows = csv.DictReader(io.StringIO(results.read_text()))
    return [{key: value for key, value in row.items() if key not in VOLATILE} for row in rows]


def rows_of(results: Path) -> list[dict[str, str]]:
    return steady_rows(results / "tiny" / "tables" / "results.csv")


def weights_of(results: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in results.rglob("weights.safetensors")}
