"""Where units of work run: in this process, or in local processes through Dask."""

import contextlib
import ctypes
import logging
import math
import os
import pickle
import queue
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from typing import Any, NamedTuple, Protocol

from bench.core import interrupts
from bench.core.errors import BenchError
from bench.core.lazy import Lazy
from bench.running import sockets
from bench.running.pace import TOGETHER, Pace, Unit
from bench.training.shipped import guarded_each

asyncio = Lazy("asyncio")
dask = Lazy("dask")
distributed = Lazy("distributed")
distributed_gc = Lazy("distributed.gc")
resource = Lazy("resource")

COPIED = sys.platform == "linux"  # elsewhere copies of a process that has imported libraries are not safe
# Imported before workers are forked; torch would import its compiler, for more than a second, with the first optimiser.
SHARED = ["torch", "torch._dynamo", "distributed.nanny", "bench.training.units"]
LOOK = 0.5  # seconds between two looks for units that take too long
# glibc would give the memory of every large tensor back to the system and fault it in again at the next step.
KEPT = 2**30  # bytes of free memory that a process keeps
OWN = 2**25  # bytes from which on a tensor gets memory of its own, which is always given back
ALONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "MALLOC_TRIM_THRESHOLD_": str(KEPT),
    "MALLOC_MMAP_THRESHOLD_": str(OWN),
    "MALLOC_ARENA_MAX": "1",
    "PYTHONSAFEPATH": "1",  # or a file in the current folder, called random.py, would be imported in place of Python's
}
FILES, FILES_EACH = 32, 12  # that a pool has open in this process, and for each of its own; 22 and 11 were measured
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # what glibc's mallopt calls them
SETTINGS = {
    "distributed.worker.multiprocessing-method": "forkserver" if COPIED else "spawn",
    "distributed.scheduler.allowed-failures": 0,  # the pool decides itself what is tried again
    "distributed.deploy.lost-worker-timeout": "1000 days",  # or no process that dies again is replaced
    "distributed.scheduler.worker-ttl": None,  # a unit may keep its process from answering for long
    # A process that was stopped (SIGSTOP) for minutes would be cut off, end when it goes on, and not be replaced. One
    # that has died is noticed without these: the system closes its connections.
    "distributed.comm.timeouts.tcp": "1 day",
    "distributed.comm.timeouts.connect": "1 hour",
    "distributed.admin.large-graph-warning-threshold": "1 TB",  # a training's state is large and must travel
    # Dask profiles itself and its processes many times a second, for a dashboard that is not shown.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


class WorkerDied(Exception):
    """A unit's process died, even when no other unit was running."""


class TookTooLong(BenchError):
    """A unit that was ended after the time that units may take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a unit of its work took longer than --timeout {seconds:g} and was ended")


Tagged = tuple[int, Unit]


class Outcome(NamedTuple):
    """How a unit ended. tag: as it was started with. result: what its function returned. error: what it raised."""

    tag: int
    result: Any = None
    error: Exception | None = None


class Pool(Protocol):
    """Where units run. `start` takes one with a tag; `finish` waits until any has ended.

    hungry: whether it should get another unit before one has ended.
    """

    @property
    def hungry(self) -> bool: ...
    def start(self, tag: int, unit: Unit) -> None: ...
    def finish(self) -> Outcome: ...
    def close(self) -> None: ...


def open_pool(size: int, timeout: float | None = None) -> Pool:
    """A pool of this process for one unit at a time, of as many processes for more.

    timeout: seconds that a unit may take; it needs a process that can be ended.
    """
    return Inline() if size == 1 and timeout is None else Processes(size, timeout)


class Inline:
    """Runs each unit in this process when its result is asked for."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Unit]] = deque()
        keep_memory()

    @property
    def hungry(self) -> bool:
        return not self.waiting

    def start(self, tag: int, unit: Unit) -> None:
        self.waiting.append((tag, unit))

    def finish(self) -> Outcome:
        tag, unit = self.waiting.popleft()
        try:
            return Outcome(tag, unit.function(*unit.arguments))
        except Exception as error:  # whatever it is, the other units go on
            return Outcome(tag, error=error)

    def close(self) -> None:
        self.waiting.clear()


class Processes:
    """Runs units in local processes, through Dask, brief ones several to a task. A process that dies is replaced.

    A unit whose process has died is tried once more, on its own: if that process dies too, the unit is the cause.
    timeout: seconds after which a unit's process is ended; units are not put together then.
    """

    def __init__(self, size: int, timeout: float | None = None) -> None:
        self.size, self.timeout = size, timeout
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        dask.config.refresh(paths=[], env={})  # settings that the user has for other clusters can break this one
        dask.config.set(SETTINGS)
        self.cluster: Any = None
        self.client: Any = None
        try:
            _allow_files(FILES + FILES_EACH * size)
            with interrupts_held():
                if COPIED:
                    _start_server()
                self.cluster = distributed.LocalCluster(
                    n_workers=size,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,  # Dask's own would end processes that the system still has room for
                    dashboard_address="127.0.0.1:0",  # any free port: Dask warns where its own is taken
                    scheduler_kwargs={"dashboard": False},
                    # Without keys of its own the scheduler would run whatever any user of this machine sends it.
                    security=distributed.Security.temporary(),
                    silence_logs=logging.CRITICAL,
                )
                self.client = distributed.Client(self.cluster)
                # An interrupt that arrives inside a callback of the garbage collector would be lost.
                distributed_gc.disable_gc_diagnosis(force=True)
        except KeyboardInterrupt:
            self.close()
            raise
        except (RuntimeError, OSError) as error:
            self.close()
            raise BenchError(
                f"{size} processes can't be started: {_root_cause(error)}. Remove the limit, if it is one (ulimit -a), "
                "or use one process (--workers 1)"
            ) from error
        self.waiting: deque[Tagged] = deque()
        self.suspects: deque[Tagged] = deque()
        self.done: deque[Outcome] = deque()
        self.running: dict[Any, list[Tagged]] = {}
        self.pace = Pace()
        self.since: dict[Any, float] = {}
        self.overdue: set[Any] = set()
        self.alone = False
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @property
    def hungry(self) -> bool:
        return self.pace.hungry(self.tasks)

    @property
    def tasks(self) -> int:
        """How many to have under way at once; none waits where it may be ended: it would be late with the other."""
        return self.size * (1 if self.timeout else self.pace.depth)

    def start(self, tag: int, unit: Unit) -> None:
        self.pace.begin(tag, unit)
        self.waiting.append((tag, unit))
        if len(self.running) < self.size:  # others wait for company
            self._submit()

    def finish(self) -> Outcome:
        while not self.done:
            self._submit()
            try:
                self._take(self.ended.get(timeout=self.timeout and LOOK))
            except queue.Empty:
                self._end_overdue()
        outcome = self.done.popleft()
        self.pace.end(outcome.tag)
        return outcome

    def _submit(self) -> None:
        """Submit what is waiting; a suspect only on its own."""
        while not self.alone and (self.suspects or self.waiting):
            if (self.suspects and self.running) or len(self.running) >= self.tasks:
                return
            self.alone = bool(self.suspects)
            units = [self.suspects.popleft()] if self.alone else self._next()
            calls = pickle.dumps([(unit.function, unit.arguments) for _, unit in units], pickle.HIGHEST_PROTOCOL)
            future = self.client.submit(guarded_each, calls, pure=False)
            self.running[future] = units
            self.since[future] = time.monotonic()
            future.add_done_callback(self.ended.put)

    def _next(self) -> list[Tagged]:
        """The next waiting unit, and with it those that are brief, as long as processes without any get theirs."""
        idle = max(1, self.size - len(self.running))
        most = 1 if self.timeout else math.ceil(len(self.waiting) / idle)
        count = self.pace.first([unit for _, unit in islice(self.waiting, min(most, TOGETHER))])
        return [self.waiting.popleft() for _ in range(count)]

    def _take(self, future: Any) -> None:
        """Take what a task has brought; its units are tried again, each on its own, where it brought nothing."""
        units = self.running.pop(future)
        del self.since[future]
        was_alone, self.alone = self.alone, False
        try:
            found = future.result()
        except distributed.KilledWorker:  # while it ran, or while it was run again because its result was lost
            if future in self.overdue:
                self.overdue.remove(future)
                self.done += [Outcome(tag, error=TookTooLong(self.timeout or 0)) for tag, _ in units]
                return
            failed: Exception = WorkerDied("its process died twice: it ran out of memory or was ended from within")
        except Exception as error:  # whatever it is, the other units go on
            failed = error
        else:
            self.pace.note([unit for _, unit in units], [seconds for _, seconds in found])
            self.done += [
                Outcome(tag, *pickle.loads(outcome)) for (tag, _), (outcome, _) in zip(units, found, strict=True)
            ]
            return
        if was_alone:
            self.done.append(Outcome(units[0][0], error=failed))
        else:
            self.suspects += units

    def _end_overdue(self) -> None:
        """End the processes of units that take too long; they are replaced."""
        late = {future for future, since in self.since.items() if time.monotonic() - since > (self.timeout or math.inf)}
        for address, keys in self.client.processing().items() if late - self.overdue else ():
            found = [future for future in late if future.key in keys]
            self.overdue |= set(found)
            for nanny in self.cluster.workers.values():
                if found and nanny.worker_address == address and nanny.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def close(self) -> None:
        """Terminate the processes: they hold nothing that is not stored."""
        with interrupts_held():
            if self.cluster is not None:
                self.cluster.sync(self._end)
            for part in (self.client, self.cluster):
                if part is not None:
                    with contextlib.suppress(TimeoutError):  # a busy machine; they are left, and everything is stored
                        part.close(timeout=2)

    async def _end(self) -> None:
        nannies = list(self.cluster.workers.values())
        await asyncio.gather(*(nanny.close(timeout=0.5) for nanny in nannies), return_exceptions=True)


def _root_cause(error: BaseException) -> BaseException:
    """The error at the start of a chain of errors."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _allow_files(needed: int) -> None:
    """Let this process have so many files open; raises OSError where it may not, since Dask would wait without end."""
    if os.name != "posix":
        return
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < needed:  # negative: no limit
        if 0 <= most < needed:
            raise OSError(f"Too many open files: {needed} are needed, the limit is {most}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def keep_memory() -> None:
    """Make this process keep freed memory, as ALONE does for processes to come; needs glibc."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(TRIM_THRESHOLD, KEPT)
        library.mallopt(MMAP_THRESHOLD, OWN)


def _start_server() -> None:
    """Start the fork server: workers are forks of it, share the memory of its libraries and start at once."""
    with _alone():
        sockets.place()
        forkserver.set_forkserver_preload(SHARED)
        forkserver.ensure_running()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Start processes inside this block with the environment of workers; libraries read it when they are imported."""
    before = {name: os.environ.get(name) for name in ALONE}
    os.environ.update(ALONE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold signals that ask for the end back until the end of this block.

    Threads and processes that start inside never receive those that a terminal sends to every process of a program:
    only the main one should react.
    """
    with interrupts.held() as heeded:
        unblock = _block_interrupts() if heeded else lambda: None
        try:
            yield
        finally:
            unblock()


def _block_interrupts() -> Callable[[], object]:
    """Block interrupts in this thread and all it starts; returns a function that undoes it."""
    if not hasattr(signal, "pthread_sigmask"):
        return lambda: None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.FROM_TERMINALS)
    with _alone():
        resource_tracker.ensure_running()  # which lets Ctrl-C through again when it starts, now or later
    signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.FROM_TERMINALS)
    return lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask)
