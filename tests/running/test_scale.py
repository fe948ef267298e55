"""What a run itself takes of each cell, beside training and scoring: as much of the last one as of the first."""

import time
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import spec
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.running import engine
from bench.running.events import Done
from bench.running.pace import Unit
from bench.running.pools import Outcome
from bench.spec.plan import works_of
from bench.training.complexity import Complexity
from bench.training.score import Score
from bench.training.state import Epoch, State

pytestmark = pytest.mark.usefixtures("cache")

SPEC = """\
name: scale
dataset: {name: photos, size: 16, train: 64, validation: 0.1, test: 16}
models: [{conv: {width: 4}}]
noises: [gaussian]
train: {epochs: 1, batch_size: 32, optimizer: adam, lr: 2.0e-3, precision: float32, device: cpu}
seeds: SEEDS
"""
IMAGE = np.zeros((8, 3, 16, 16), np.uint8)
RESULTS = {
    "complexity_step": Complexity(7, 11),
    "train_step": State(kept={"a": np.zeros(8, np.float32)}, history=(Epoch(1, 0.1, 0.1, 0.01),), kept_epoch=1),
    "diagnose_step": {},
    "score_step": Score(
        {column: np.full(16, 0.5) for column in ("mse", "psnr", "ssim")},
        0.1,
        0.1,
        {"original": IMAGE, "noisy": IMAGE, "output": IMAGE},
    ),
}


class Instant:
    """A pool in which every unit has ended before it begins."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Unit]] = deque()

    @property
    def hungry(self) -> bool:
        return len(self.waiting) < 2

    def start(self, tag: int, unit: Unit) -> None:
        self.waiting.append((tag, unit))

    def finish(self) -> Outcome:
        tag, unit = self.waiting.popleft()
        return Outcome(tag, RESULTS[unit.function.__name__])

    def close(self) -> None:
        pass


def run(cells: int, folder: Path, monkeypatch: pytest.MonkeyPatch, measure: Any) -> list[float]:
    """What is measured at the end of each cell of a run."""
    monkeypatch.setattr(engine, "open_pool", lambda *size: Instant())
    experiment = spec.parse(SPEC.replace("SEEDS", str(list(range(cells)))))
    works = works_of(experiment)
    store = Store(folder)
    store.begin(experiment.node(), RunPlan.of(experiment, works))
    events = engine.run(experiment, works, store, 2)
    return [measure() for event in events if isinstance(event, Done)]


def test_memory_does_not_grow_with_the_cells_that_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracemalloc.start()
    try:
        found = run(120, tmp_path, monkeypatch, lambda: tracemalloc.get_traced_memory()[0] / 1024)
    finally:
        tracemalloc.stop()
    assert (found[-1] - found[20]) / 100 < 8, "KB a cell"


@pytest.mark.long
def test_the_last_of_2000_cells_takes_no_more_time_than_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the processor, so that what else a machine does is no matter."""
    ends = run(2000, tmp_path, monkeypatch, time.process_time)
    each = np.diff(ends)
    first, last = np.median(each[:200]), np.median(each[-200:])
    assert last < 1.1 * first and last < 0.05
