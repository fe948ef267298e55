"""Runs what is pending, in this process, in local ones or on a cluster, and reports each step as an event.

Each cell is a generator that yields units of work and stores what comes back; as many of them are under way as there
are workers. Only this process writes.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from bench.core import machine
from bench.core.errors import BenchError, DataError
from bench.datasets import cache
from bench.models import Model
from bench.results.code import Code
from bench.results.files import NotWritable, check_writable
from bench.results.store import Store
from bench.running.cluster import Cluster, shipment_of
from bench.running.events import Counted, Done, Event, Failed, Started
from bench.running.pace import Unit
from bench.running.pending import Pending, pending
from bench.running.pools import Outcome, Pool, open_pool
from bench.running.steps import CellFailed, CellRun, Steps, reason
from bench.spec import Experiment
from bench.spec.cells import Work
from bench.training.complexity import Complexity
from bench.training.units import Context, complexity_step

GPU_SHARE = 3 * 2**30  # bytes of GPU memory for one process: CUDA's own half a GiB, and room for the default models
LITTLE = 30_000  # images, each training pass counted three times: less work than starting processes costs


def run(
    experiment: Experiment,
    works: Sequence[Work],
    store: Store,
    workers: int | None = None,
    plugins: tuple[str, ...] = (),
    keep_stale: bool = False,
    cluster: Callable[[], Cluster] | None = None,
    timeout: float | None = None,
) -> Generator[Event, None, None]:
    """Train and score whatever is pending, as a stream of events. A finished run imports nothing heavy.

    keep_stale: whether what other code has made is finished. cluster: reaches the one to run on instead of here.
    timeout: seconds that a unit may take here; no limit by default.
    Raises NotWritable or DataError, before any event, where results or images can't be kept; BenchError where the
    cluster has no worker that can take part.
    """
    left = pending(works, store, experiment, keep_stale)
    if left:
        check_writable(store.root)
        cache.check(experiment.dataset.cached_as())
    code = Code.of(experiment, keep_stale)
    with contextlib.ExitStack() as until_the_end:
        there = until_the_end.enter_context(contextlib.closing(cluster())) if cluster and left else None
        if there:
            there.ship(*shipment_of(experiment, plugins, code.everything(works)))
        size = there.size if there else min(workers or default_workers(experiment, left), max(1, len(left)))
        yield _started(works, left, size)
        if not left:
            return
        pool: Pool = there or until_the_end.enter_context(contextlib.closing(open_pool(size, timeout)))
        context = Context(experiment.dataset.node(), plugins, there.run if there else "")
        found = _complexities([one.work.cell.model for one in left], pool, context, experiment.dataset.size)
        yield Counted({model: one.macs for model, one in found.items() if isinstance(one, Complexity) and one.macs})
        cells = (
            CellRun(one, store.cell(one.work.cell.id), context, experiment, found[one.work.cell.model], code)
            for one in left
        )
        yield from _Driver(pool, sorted(cells, key=lambda cell: -cell.effort)).events()


def _started(works: Sequence[Work], left: Sequence[Pending], size: int) -> Started:
    return Started(
        cells=len(works),
        pending=len(left),
        epochs=sum(cell.epochs for cell in left),
        tests=sum(len(cell.work.tests) for cell in left),
        workers=size,
        done=sum(cell.done for cell in left),
        resumed=sum(cell.done > 0 for cell in left),
        left=tuple(left),
    )


def default_workers(experiment: Experiment, left: Sequence[Pending]) -> int:
    """As many processes as fit the machine's processors with the threads each training takes; one for little work.

    On a GPU they share its memory, so there are no more than fit into it.
    """
    trained = sum(one.work.cell.images * max(1, len(one.work.cell.trials())) for one in left if one.epochs)
    scored = sum(one.work.cell.data[test.noise.split] * test.ensemble for one in left for test in one.work.tests)
    if 3 * trained + scored < LITTLE:
        return 1
    fitting = machine.cores() // max(train.threads for train in experiment.trainings)
    if any(train.device == "cuda" for train in experiment.trainings):
        fitting = min(fitting, machine.gpu_memory() // GPU_SHARE)
    return max(1, fitting)


def _complexities(
    models: Iterable[Model], pool: Pool, context: Context, size: int
) -> dict[Model, Complexity | Exception]:
    """The complexity of each model, or why it has none."""
    distinct = list(dict.fromkeys(models))
    for tag, model in enumerate(distinct):
        pool.start(tag, Unit(complexity_step, (context, model.node(), size)))
    outcomes = [pool.finish() for _ in distinct]
    return {distinct[outcome.tag]: outcome.error or outcome.result for outcome in outcomes}


class _Driver:
    """Keeps a pool full with cells in the order given, one unit of each at a time."""

    def __init__(self, pool: Pool, cells: Sequence[CellRun]) -> None:
        self.pool = pool
        self.cells = dict(enumerate(cells))  # those that have not ended: what they remember is let go with them
        self.waiting = deque(self.cells)
        self.running: dict[int, Steps] = {}

    def events(self) -> Iterator[Event]:
        """Run every cell to its end."""
        while self.waiting or self.running:
            if self.waiting and self.pool.hungry:
                tag = self.waiting.popleft()
                self.running[tag] = self.cells[tag].steps()
                yield from self._go_on(Outcome(tag))
            else:
                yield from self._go_on(self.pool.finish())

    def _go_on(self, outcome: Outcome) -> Iterator[Event]:
        """Give a cell the outcome of its unit, pass on its events, and start its next unit."""
        tag, cell, steps = outcome.tag, self.cells[outcome.tag], self.running[outcome.tag]
        if isinstance(outcome.error, DataError):  # without data no cell can do better
            raise outcome.error
        try:
            error = outcome.error
            step = steps.throw(CellFailed(reason(error))) if error else steps.send(outcome.result)
            while not isinstance(step, Unit):
                yield step
                step = next(steps)
            self.pool.start(tag, step)
        except StopIteration:
            del self.running[tag], self.cells[tag]
            yield Done(cell.work)
        except CellFailed as failure:
            yield self._failed(tag, failure)
        except Exception as error:
            yield self._failed(
                tag, CellFailed(reason(error)), None if isinstance(error, BenchError | OSError) else error
            )

    def _failed(self, tag: int, failure: CellFailed, error: Exception | None = None) -> Failed:
        """End a cell and keep why; the others go on."""
        cell = self.cells.pop(tag)
        del self.running[tag]
        with contextlib.suppress(NotWritable):  # a disk that is full may be the reason
            cell.folder.fail(str(failure), failure.tests)
        return Failed(cell.work, str(failure), error)
