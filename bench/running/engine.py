"""Runs what is pending, in this process or in local ones, and reports each step as an event.

A cell is a generator that yields units of work and stores what comes back; the engine keeps as many of them under way
as there are workers. Only this process writes.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core import machine
from bench.core.errors import BenchError, DataError
from bench.metrics import Metric
from bench.models import Model
from bench.results.store import CellStore, Store
from bench.running.pools import Pool, Unit, WorkerDied, open_pool
from bench.spec import Experiment
from bench.spec.cells import Cell, Work
from bench.spec.protocol import score_id
from bench.training import complexity
from bench.training.state import Epoch, State
from bench.training.train import Diverged, finished
from bench.training.units import Context, complexity_step, score_step, train_step

STEP_SECONDS = 3.0  # how long one unit of training should take: what an interruption may lose, how often progress shows
SAVING_SHARE = 40  # a unit takes at least this many times as long as saving its state
GPU_SHARE = 3 * 2**30  # bytes of GPU memory for one process: CUDA's own half a GiB, and room for the default models
LITTLE = 30_000  # images, each training pass counted three times: less work than starting processes costs


class CellFailed(Exception):
    """A unit of a cell that raised; the text is the reason.

    tests: reasons by test id where only tests failed; the cell itself is trained.
    """

    def __init__(self, reason: str, tests: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.tests = tests or {}


@dataclass(frozen=True)
class Begun:
    """units: epochs and tests that are pending, in the pending cells."""

    cells: int
    pending: int
    epochs: int
    tests: int
    workers: int


@dataclass(frozen=True)
class Trained:
    """Epochs of one cell that were just finished. last: the latest of them."""

    work: Work
    new_epochs: int
    images_per_second: float
    last: Epoch


@dataclass(frozen=True)
class Scored:
    """One cell met one test noise. test: the noise's label. means: over the test images, by metric column."""

    work: Work
    test: str
    means: Mapping[str, float]


@dataclass(frozen=True)
class Done:
    """A cell that is finished, its tests included."""

    work: Work


@dataclass(frozen=True)
class Failed:
    """A cell, or some of its tests, that has no result, and why."""

    work: Work
    reason: str


Event = Begun | Trained | Scored | Done | Failed
Steps = Generator[Unit | Event, Any, None]


def pending(works: Sequence[Work], store: Store, metrics: Sequence[Metric]) -> list[Work]:
    """The cells that are not finished, each with its tests that are not; what is damaged is not finished."""
    found = []
    for work in works:
        folder = store.cell(work.cell.id)
        tests = tuple(noise for noise in work.tests if not folder.scored(score_id(noise, work.cell.data), metrics))
        if tests and folder.finished and not folder.intact():
            tests = work.tests
        if tests or not folder.finished:
            found.append(Work(work.cell, tests))
    return found


def run(
    experiment: Experiment,
    works: Sequence[Work],
    store: Store,
    workers: int | None = None,
    plugins: tuple[str, ...] = (),
) -> Iterator[Event]:
    """Train and score whatever is pending, as a stream of events. A finished run imports nothing heavy."""
    todo = pending(works, store, experiment.metrics)
    untrained = [work for work in todo if not store.cell(work.cell.id).finished]
    epochs = sum(work.cell.epochs * max(1, len(work.cell.trials())) for work in untrained)
    tests = sum(len(work.tests) for work in todo)
    size = min(workers or default_workers(experiment, todo, untrained), max(1, len(todo)))
    yield Begun(cells=len(works), pending=len(todo), epochs=epochs, tests=tests, workers=size)
    if not todo:
        return
    context = Context(experiment.dataset.node(), plugins)
    pool = open_pool(size)
    try:
        costs = _profiles([work.cell.model for work in todo], pool, context, experiment.dataset.size)
        todo.sort(key=lambda work: -_effort(work, costs[work.cell.model]))
        cells = [
            (work, _steps(work, store.cell(work.cell.id), context, experiment, costs[work.cell.model])) for work in todo
        ]
        yield from _drive(cells, pool, store)
    finally:
        pool.close()


def default_workers(experiment: Experiment, todo: Sequence[Work], untrained: Sequence[Work]) -> int:
    """As many processes as fit the machine's processors with the threads each training takes; one for little work.

    On a GPU they share its memory, so there are no more than fit into it.
    """
    trained = sum(work.cell.images * max(1, len(work.cell.trials())) for work in untrained)
    scored = sum(work.cell.data[noise.split] for work in todo for noise in work.tests)
    if 3 * trained + scored < LITTLE:
        return 1
    fitting = machine.cores() // max(train.threads for train in experiment.train)
    if any(train.device == "cuda" for train in experiment.train):
        fitting = min(fitting, machine.gpu_memory() // GPU_SHARE)
    return max(1, fitting)


def _profiles(
    models: Iterable[Model], pool: Pool, context: Context, size: int
) -> "dict[Model, complexity.Complexity | Exception]":
    """What each model costs, or why that can't be told."""
    distinct = list(dict.fromkeys(models))
    for tag, model in enumerate(distinct):
        pool.start(tag, Unit(complexity_step, (context, model.node(), size)))
    outcomes = [pool.finish() for _ in distinct]
    return {distinct[tag]: error or found for tag, found, error in outcomes}


def _drive(cells: Sequence[tuple[Work, Steps]], pool: Pool, store: Store) -> Iterator[Event]:
    """Keep the pool full: one unit of each cell under way at a time, in the order given."""
    waiting = deque(range(len(cells)))
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < pool.slots:
            tag = waiting.popleft()
            running.add(tag)
            yield from _resume(cells[tag], None, None, tag, pool, running, store)
        if running:
            tag, result, error = pool.finish()
            yield from _resume(cells[tag], result, error, tag, pool, running, store)


def _resume(
    cell: tuple[Work, Steps],
    result: Any,
    error: Exception | None,
    tag: int,
    pool: Pool,
    running: set[int],
    store: Store,
) -> Iterator[Event]:
    """Give a cell its result, pass on its events, and start the unit it asks for next."""
    work, steps = cell
    if isinstance(error, DataError):  # without data no cell can do better
        raise error
    try:
        item = steps.throw(CellFailed(_reason(error))) if error else steps.send(result)
        while not isinstance(item, Unit):
            yield item
            item = steps.send(None)
        pool.start(tag, item)
    except StopIteration:
        running.discard(tag)
        yield Done(work)
    except CellFailed as failure:
        running.discard(tag)
        store.cell(work.cell.id).fail(str(failure), failure.tests)
        yield Failed(work, str(failure))


def _steps(
    work: Work,
    folder: CellStore,
    context: Context,
    experiment: Experiment,
    cost: "complexity.Complexity | Exception",
) -> Steps:
    """One cell from its stored state to its last test."""
    folder.forget_failure()
    if not folder.intact():
        folder.discard()
        if isinstance(cost, Exception):
            raise CellFailed(_reason(cost))
        facts = {
            "dataset": experiment.dataset.label(),
            "size": experiment.dataset.size,
            "parameters": cost.parameters,
            "macs": cost.macs,
        }
        if work.cell.trials():
            yield from _search(work.cell, folder, context, facts)
        else:
            state = (yield from _training(work, folder, context)) if work.cell.train else None
            folder.finish(work.cell, state, facts)
    yield from _scoring(work, folder, context, experiment.metrics)


def _search(cell: Cell, folder: CellStore, context: Context, facts: Mapping[str, Any]) -> Steps:
    """Train with each learning rate, each a cell of its own, and keep the one that validates best as this cell's."""
    tried: list[dict[str, Any]] = []
    for trial in cell.trials():
        assert trial.train is not None
        place = folder.beside(trial.id)
        try:
            if not place.intact():
                place.finish(trial, (yield from _training(Work(trial, ()), place, context)), facts)
        except CellFailed as failure:
            tried.append({"lr": trial.train.lr, "error": str(failure)})
            continue
        state = place.last_state()
        loss = state.history[state.kept_epoch - 1].validation_loss
        tried.append({"lr": trial.train.lr, "validation_loss": loss, "seconds": state.seconds, "cell": trial.id})
    done = [trial for trial in tried if "cell" in trial]
    if not done:
        raise CellFailed(f"every learning rate failed: {tried[0]['error']}")
    best = min(done, key=lambda trial: trial["validation_loss"])
    spent = {"lr": best["lr"], "search": tried, "train_seconds": sum(trial["seconds"] for trial in done)}
    folder.finish(cell, folder.beside(best["cell"]).last_state(), {**facts, **spent})


def _training(work: Work, folder: CellStore, context: Context) -> Generator[Unit | Event, Any, State]:
    """The cell's last state, by way of states that are kept."""
    cell = work.cell
    assert cell.train is not None
    state, saving = folder.state(), 0.0
    while not finished(cell, state):
        before = state
        epochs = _epochs_per_step(before.history, saving)
        state = yield Unit(train_step, (context, cell.node(), before, epochs))
        if not finished(cell, state):
            started = time.perf_counter()
            folder.save_state(state)
            saving = time.perf_counter() - started
        new = state.history[before.epoch :]
        speed = cell.data["train"] * len(new) / sum(epoch.seconds for epoch in new)
        yield Trained(work, len(new), speed, new[-1])
    return state


def _scoring(work: Work, folder: CellStore, context: Context, metrics: Sequence[Metric]) -> Steps:
    """Score every test, or only make its samples where no metric is missing. One that fails leaves the others."""
    cell, weights = work.cell, folder.weights()
    reasons: dict[str, str] = {}
    for noise in work.tests:
        test = score_id(noise, cell.data)
        nodes = tuple(metric.node() for metric in folder.lacking(test, metrics))
        try:
            score = yield Unit(score_step, (context, cell.node(), weights, noise.node(), nodes))
        except CellFailed as failure:
            reasons[test] = str(failure)
            continue
        if nodes:
            folder.finish_score(noise, cell.data, score)
        else:
            folder.renew_samples(test, score.samples)
        yield Scored(work, noise.label(), (folder.score(test) or {})["means"])
    if reasons:
        others = f" (and {len(reasons) - 1} more tests failed)" if len(reasons) > 1 else ""
        raise CellFailed(next(iter(reasons.values())) + others, reasons)


def _epochs_per_step(history: Sequence[Epoch], saving: float) -> int:
    if not history:
        return 1
    seconds = max(STEP_SECONDS, SAVING_SHARE * saving)
    return max(1, round(seconds / max(history[-1].seconds, 1e-3)))


def _effort(work: Work, cost: "complexity.Complexity | Exception") -> float:
    """What sorts cells, longest first."""
    epochs = work.cell.epochs * max(1, len(work.cell.trials()))
    macs = 0 if isinstance(cost, Exception) else cost.macs or 0
    return float(macs) * (3 * epochs + 0.1)


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    known = isinstance(error, BenchError | Diverged | WorkerDied)
    return ": ".join([*([] if known and text else [type(error).__name__]), *text[:1]])
