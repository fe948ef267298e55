"""How long a plan will take: the measured costs of its kinds of work, added up."""

import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.cache import cache_dir
from bench.results.files import read_json
from bench.running.pace import Unit
from bench.running.pending import Pending
from bench.running.pools import open_pool
from bench.spec import Experiment
from bench.spec.cells import Work
from bench.spec.protocol import CHUNK
from bench.training.costs import Cost, Costs, scoring_kind, start_kind, training_kind
from bench.training.units import Context, measure_scoring, measure_training

CELL = 0.03  # seconds to store a cell and to pass it between processes
VALIDATING = 1 / 3  # of the cost of a training image: forward without backward


def remembered() -> Costs:
    """The costs that were measured before; those of other machines go unused."""
    return Costs.from_node(read_json(path()) or {})


def path() -> Path:
    """Where costs are kept from one plan to the next."""
    return cache_dir() / "costs.json"


def measure(
    experiment: Experiment,
    works: Sequence[Work],
    workers: int,
    plugins: tuple[str, ...] = (),
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Costs:
    """Benchmark every kind of work in a plan, in as many processes at once as will do the work.

    tell: called with how many kinds are measured, at first 0, and how many there are.
    Raises whatever a model raises when it is built or trained.
    """
    context, size = Context(experiment.dataset.node(), plugins), experiment.dataset.size
    compiled = any(train.compile == "auto" for train in experiment.trainings)
    units: dict[str, Unit] = {}
    # The longest training of a kind says whether compiling might pay.
    for work in sorted(works, key=lambda work: -work.cell.images):
        cell = work.cell
        if cell.train:
            kind = training_kind(cell.model, cell.noise, cell.train, size)
            units.setdefault(kind, Unit(measure_training, (context, cell.node(), size, compiled)))
        for test in work.tests:
            nodes = tuple(metric.node() for metric in experiment.metrics)
            kind = scoring_kind(cell.model, test, experiment.metrics, size)
            measured = (context, cell.model.node(), test.noise.node(), test.ensemble, nodes, size)
            units.setdefault(kind, Unit(measure_scoring, measured))
    tell(0, len(units))
    started = time.perf_counter()
    pool = open_pool(workers)
    try:
        found = {start_kind(): Cost(time.perf_counter() - started)}
        kinds = list(units)
        for tag, kind in enumerate(kinds):
            pool.start(tag, units[kind])
        for done in range(1, len(kinds) + 1):
            outcome = pool.finish()
            if outcome.error:
                raise outcome.error
            found[kinds[outcome.tag]] = outcome.result
            tell(done, len(kinds))
    finally:
        pool.close()
    return Costs({**remembered().known, **found})


def seconds(experiment: Experiment, left: Pending, costs: Costs) -> float | None:
    """How long what is left of a cell keeps one process busy; None where a cost is not known."""
    cell, size, total = left.work.cell, experiment.dataset.size, CELL
    if cell.train and left.epochs:
        cost = costs.training(cell.model, cell.noise, cell.train, size)
        if cost is None:
            return None
        once = cost.seconds * (cell.images + VALIDATING * cell.epochs * cell.data["validation"])
        if cell.train.compile == "on":
            once -= cost.gain(cell.images)
        total += min(once, cell.train.seconds or once) * (left.epochs - left.done) / cell.epochs
    for test in left.work.tests:
        cost = costs.scoring(cell.model, test, experiment.metrics, size)
        if cost is None:
            return None
        count = cell.data[test.noise.split]
        chunks = -(-count // CHUNK) * CHUNK if cell.model.trains else count  # filters aren't padded
        total += cost.seconds * (chunks + cell.model.fitting(cell.data["validation"]))
    return total


@dataclass(frozen=True)
class Expected:
    """What a run was forecast to take.

    busy: seconds that each cell keeps one process busy, by the cell's id. wall: wall-clock seconds of the whole run.
    """

    busy: Mapping[str, float]
    wall: float

    def left(self, done: float, elapsed: float) -> float:
        """Wall-clock seconds still to go: those of the forecast at first, and more and more what the run shows.

        done: how many of the seconds in `busy` are behind us. elapsed: wall-clock seconds since the start.
        """
        undone = 1 - min(1.0, done / max(sum(self.busy.values()), 1e-9))
        return undone * (undone * self.wall + elapsed)


def expected(experiment: Experiment, left: Sequence[Pending], costs: Costs, workers: int) -> Expected | None:
    """What a run will take; None where a cost is not known."""
    busy = {}
    for one in left:
        taken = seconds(experiment, one, costs)
        if taken is None:
            return None
        busy[one.work.cell.id] = taken
    return Expected(busy, costs.start + wall(busy.values(), workers))


def wall(busy: Iterable[float], workers: int) -> float:
    """Wall-clock seconds of cells in so many processes, each of which takes the longest cell that is left.

    busy: seconds of each cell.
    """
    ends = [0.0] * workers
    for cell in sorted(busy, reverse=True):
        heapq.heapreplace(ends, ends[0] + cell)
    return max(ends)
