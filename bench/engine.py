"""Runs what is pending, in this process or in local ones, and reports each step as an event.

A cell is a generator that yields units of work and stores what comes back; the engine keeps as many of them under way
as there are workers. Only this process writes.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench import machine, profile
from bench.datasets import Dataset
from bench.errors import BenchError
from bench.lazy import Lazy
from bench.metrics import Metric
from bench.models import Model
from bench.plan import Work, test_id
from bench.spec import Experiment
from bench.store import CellStore, Store, missing_columns
from bench.worker import Context, score_step, train_step

distributed = Lazy("distributed")

STEP_SECONDS = 3.0  # how long one unit of training should take: what an interruption may lose, how often progress shows


@dataclass(frozen=True)
class Unit:
    """A function and its arguments, to be run by a worker."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


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
    """Epochs of one cell that were just finished."""

    work: Work
    epoch: int
    new_epochs: int
    images_per_second: float
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    work: Work
    test: str
    means: Mapping[str, float]


@dataclass(frozen=True)
class Done:
    work: Work


@dataclass(frozen=True)
class Failed:
    work: Work
    reason: str


Event = Begun | Trained | Scored | Done | Failed
Steps = Generator[Unit | Event, Any, None]


class Pool(Protocol):
    """Where units run. `start` takes one; `finish` waits for any and gives its tag and its outcome."""

    size: int

    def start(self, tag: int, unit: Unit) -> None: ...
    def finish(self) -> tuple[int, Any, BaseException | None]: ...
    def close(self) -> None: ...


class Inline:
    """Runs each unit in this process when its result is asked for."""

    size = 1

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Unit]] = deque()

    def start(self, tag: int, unit: Unit) -> None:
        self.waiting.append((tag, unit))

    def finish(self) -> tuple[int, Any, BaseException | None]:
        tag, unit = self.waiting.popleft()
        try:
            return tag, unit.function(*unit.arguments), None
        except Exception as error:  # a cell that fails becomes a row with its reason; the others go on
            return tag, None, error

    def close(self) -> None:
        self.waiting.clear()


class Processes:
    """Runs units in local processes of one unit each, through Dask."""

    def __init__(self, size: int) -> None:
        self.size = size
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.cluster = distributed.LocalCluster(
            n_workers=size, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        )
        self.client = distributed.Client(self.cluster)
        self.tags: dict[Any, int] = {}
        self.completed = distributed.as_completed()

    def start(self, tag: int, unit: Unit) -> None:
        future = self.client.submit(unit.function, *unit.arguments, pure=False)
        self.tags[future] = tag
        self.completed.add(future)

    def finish(self) -> tuple[int, Any, BaseException | None]:
        future = next(self.completed)
        tag, error = self.tags.pop(future), future.exception()
        return tag, None if error else future.result(), error

    def close(self) -> None:
        self.client.close(timeout=2)
        self.cluster.close(timeout=5)


def pending(works: Sequence[Work], store: Store, metrics: Sequence[Metric]) -> list[Work]:
    """The cells that are not finished, each with the tests it lacks."""
    columns = [metric.column for metric in metrics]
    found = []
    for work in works:
        folder = store.cell(work.cell.id)
        tests = tuple(
            noise for noise in work.tests if missing_columns(folder.score(test_id(noise, work.cell.data)), columns)
        )
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
    size = min(workers or default_workers(experiment), max(1, len(todo)))
    untrained = [work for work in todo if not store.cell(work.cell.id).finished]
    yield Begun(
        cells=len(works),
        pending=len(todo),
        epochs=sum(work.cell.train.epochs for work in untrained if work.cell.train),
        tests=sum(len(work.tests) for work in todo),
        workers=size,
    )
    if todo:
        context = Context(experiment.dataset.node(), plugins)
        facts = {work.cell.model: _facts(work.cell.model, experiment.dataset) for work in todo}
        todo.sort(key=lambda work: -_cost(work, facts[work.cell.model]))
        cells = [
            (work, _steps(work, store.cell(work.cell.id), context, experiment, facts[work.cell.model])) for work in todo
        ]
        pool: Pool = Inline() if size == 1 else Processes(size)
        try:
            yield from _drive(cells, pool, store)
        finally:
            pool.close()


def default_workers(experiment: Experiment) -> int:
    """As many processes as fit the machine's processors with the threads each training takes."""
    return max(1, machine.cores() // max(train.threads for train in experiment.train))


def _drive(cells: Sequence[tuple[Work, Steps]], pool: Pool, store: Store) -> Iterator[Event]:
    """Keep the pool full: one unit of each cell under way at a time, in the order given."""
    waiting = deque(range(len(cells)))
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < pool.size:
            tag = waiting.popleft()
            running.add(tag)
            yield from _resume(cells[tag], None, None, tag, pool, running, store)
        if running:
            tag, result, error = pool.finish()
            yield from _resume(cells[tag], result, error, tag, pool, running, store)


def _resume(
    cell: tuple[Work, Steps],
    result: Any,
    error: BaseException | None,
    tag: int,
    pool: Pool,
    running: set[int],
    store: Store,
) -> Iterator[Event]:
    """Give a cell its result, pass on its events, and start the unit it asks for next."""
    work, steps = cell
    try:
        item = steps.throw(error) if error else steps.send(result)
        while not isinstance(item, Unit):
            yield item
            item = steps.send(None)
        pool.start(tag, item)
    except StopIteration:
        running.discard(tag)
        yield Done(work)
    except Exception as failure:  # whatever a cell dies of is kept as its reason; the others go on
        running.discard(tag)
        reason = _reason(failure)
        store.cell(work.cell.id).fail(reason)
        yield Failed(work, reason)


def _steps(work: Work, folder: CellStore, context: Context, experiment: Experiment, facts: Mapping[str, Any]) -> Steps:
    """One cell from its stored state to its last test."""
    cell = work.cell
    if not folder.finished:
        state = None
        if cell.train is not None:
            state = folder.state()
            images = 0
            while state.epoch < cell.train.epochs:
                before = state
                state = yield Unit(train_step, (context, cell.node(), state, _epochs_per_step(before.history)))
                folder.save_state(state)
                new = state.history[before.epoch :]
                images = experiment_images(cell.data) * len(new)
                yield Trained(
                    work, state.epoch, len(new), images / sum(row["seconds"] for row in new), state.history[-1]
                )
        folder.finish(cell, state, facts)
    weights = folder.weights()
    for noise in work.tests:
        nodes = tuple(metric.node() for metric in experiment.metrics)
        score = yield Unit(score_step, (context, cell.node(), weights, noise.node(), nodes))
        folder.finish_score(noise, cell.data, score)
        record = folder.score(test_id(noise, cell.data)) or {}
        yield Scored(work, noise.label(), record["means"])


def experiment_images(data: Mapping[str, Any]) -> int:
    """Training images per epoch, as a dataset's identity counts them."""
    return int(data["train"])


def _epochs_per_step(history: Sequence[Mapping[str, Any]]) -> int:
    return max(1, round(STEP_SECONDS / max(history[-1]["seconds"], 1e-3))) if history else 1


def _facts(model: Model, dataset: Dataset) -> dict[str, Any]:
    counted = profile.count(model, dataset.size)
    return {"dataset": dataset.label(), "size": dataset.size, "parameters": counted.parameters, "macs": counted.macs}


def _cost(work: Work, facts: Mapping[str, Any]) -> float:
    epochs = work.cell.train.epochs if work.cell.train else 0
    return float(facts["macs"] or 0) * (3 * epochs + 0.1)


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    known = isinstance(error, BenchError) or type(error).__name__ == "Diverged"
    return text[0] if known and text else f"{type(error).__name__}: {text[0] if text else 'no message'}"
