"""Units on a cluster that somebody has started: workers may join, leave and die, and share no disk with this process.

Each unit is given to one worker, brief ones several at once: so it is known who has it when a worker is lost, and a
unit that asks for a GPU goes to a worker that offers one.
"""

import contextlib
import logging
import math
import pickle
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError, DataError
from bench.core.lazy import Lazy
from bench.core.plugins import module_of, uses_installed
from bench.core.sources import modules_of
from bench.datasets import cache
from bench.running.pace import TOGETHER, Pace, Unit
from bench.running.pools import Outcome, TookTooLong, WorkerDied
from bench.spec import Experiment
from bench.spec.protocol import digest
from bench.training import shipped
from bench.training.shipped import GPU, Facts, NotShipped, Shipment

dask = Lazy("dask")
distributed = Lazy("distributed")

PATIENCE = 30  # seconds until a scheduler counts as one that doesn't answer
LOOK = 1.0  # seconds between two looks at who has joined or left
TRIES = 3  # of a unit whose worker is lost each time: then the unit is the cause
GATHER = 10  # seconds between two questions whether the worker that holds a result is still there
LIMITS = {"distributed.admin.large-graph-warning-threshold": "1 TB"}  # a training's state is large and must travel


@dataclass(frozen=True)
class _Task:
    """A unit under way. lost: how many workers were lost with it. worker: who has it. since: when it was given."""

    tag: int
    unit: Unit
    lost: int = 0
    worker: str = ""
    since: float = 0.0

    @property
    def needs_gpu(self) -> bool:
        """Whether it belongs to a cell that is trained on a GPU."""
        cells = [part for part in self.unit.arguments if isinstance(part, Mapping)]
        return any((cell.get("train") or {}).get("device") == "cuda" for cell in cells)


def shipment_of(
    experiment: Experiment, plugins: Sequence[str], parts: Mapping[str, str]
) -> tuple[Shipment, Mapping[str, Any]]:
    """What workers need of a run, and its images, for those that lack them.

    plugins: files that are loaded. parts: code of every class in use. Raises DataError where images are unavailable.
    """
    label, identity = experiment.dataset.load().label, experiment.dataset.cached_as()
    entry = cache.opened(identity)
    if entry is None:
        raise DataError("the cache of images was damaged a moment ago: run again")
    names = tuple(map(module_of, plugins))
    modules = tuple({module.name: module for name in names for module in modules_of(name)}.values())
    checksums = {module.name: shipped.checksum(module.content) for module in modules}
    checksums |= {part: shipped.checksum(array.tobytes()) for part, array in entry.arrays.items()}
    run = digest([names, checksums, identity, dict(parts), shipped.versions(), uses_installed()])
    return Shipment(run, names, modules, uses_installed(), parts, identity, label, checksums, entry.made), entry.arrays


class Cluster:
    """A pool of the workers that a scheduler has.

    address: of the scheduler, or a file that says it. tell: shows a line to people. timeout: seconds that a unit may
    take; then its worker is started again, which needs Dask's nanny there.
    Raises BenchError where no scheduler answers.
    """

    def __init__(self, address: str, tell: Callable[[str], None], timeout: float | None = None) -> None:
        self.address, self.tell, self.timeout = address, tell, timeout
        self.shipment: Shipment | None = None
        self.images: Mapping[str, Any] = {}
        self.workers: dict[str, Facts] = {}  # that take part, by their address
        self.refused: dict[str, str] = {}
        self.waiting: deque[_Task] = deque()
        self.running: dict[Any, list[_Task]] = {}  # what was given to a worker at once, by its future
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.done: deque[Outcome] = deque()
        self.looked = 0.0
        self.pace = Pace()
        self.told = False
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        dask.config.set(LIMITS)
        try:
            where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
            self.client = distributed.Client(**where, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BenchError(f"--scheduler {address}: no scheduler answers there: {reason}") from None

    @property
    def size(self) -> int:
        return max(1, len(self.workers))

    @property
    def hungry(self) -> bool:
        return self.pace.hungry(self.pace.depth * self.size)

    @property
    def run(self) -> str:
        """Under what workers know the run."""
        return self.shipment.run if self.shipment else ""

    def ship(self, shipment: Shipment, images: Mapping[str, Any]) -> None:
        """Send workers what a run needs, and wait until one at least takes part.

        images: arrays by part, for those whose cache lacks them. Raises BenchError where all there are can't take part.
        """
        self.shipment, self.images = shipment, images
        self._look()
        if not self.workers and not self.refused:
            self.tell(f"waiting for a worker to join {self.address}")
        while not self.workers:
            if self.refused:
                raise BenchError(f"no worker of {self.address} can take part:\n  " + "\n  ".join(self.refused.values()))
            time.sleep(LOOK)
            self._look()

    def start(self, tag: int, unit: Unit) -> None:
        self.pace.begin(tag, unit)
        self.waiting.append(_Task(tag, unit))
        if len(self.running) < len(self.workers):  # others wait for company
            self._assign()

    def finish(self) -> Outcome:
        while True:
            if time.monotonic() - self.looked > LOOK:
                self._look()
                self._end_overdue()
            if self.done:
                outcome = self.done.popleft()
                self.pace.end(outcome.tag)
                return outcome
            self._assign()
            if self.workers and not self.running and not self.told:
                self.told = True
                self.tell(f"waiting for a worker with a GPU to join {self.address} (dask worker --resources {GPU}=1)")
            with contextlib.suppress(queue.Empty):
                self._take(self.ended.get(timeout=LOOK))

    def close(self) -> None:
        """Let the workers go; they are somebody else's and stay."""
        with contextlib.suppress(Exception):  # whatever has become of the cluster, everything is stored
            for future in self.running:
                future.cancel()
            if self.shipment and self.workers:
                self.client.run(shipped.forget, self.shipment.run, workers=list(self.workers), wait=False)
            self.client.close(timeout=2)

    def _assign(self) -> None:
        """Give waiting units to the workers that have fewest; those without a GPU come first for who needs none."""
        has = Counter(tasks[0].worker for tasks in self.running.values())
        free = {one: facts for one, facts in self.workers.items() if has[one] < self.pace.depth}
        left: list[_Task] = []
        while self.waiting and free:
            able = [one for one, facts in free.items() if facts.gpus or not self.waiting[0].needs_gpu]
            if able:
                chosen = min(able, key=lambda one: (has[one], free[one].gpus))
                self._submit(self._next(sum(not has[one] for one in able)), chosen)
                has[chosen] += 1
                if has[chosen] == self.pace.depth:
                    del free[chosen]
            else:
                left.append(self.waiting.popleft())
        self.waiting.extendleft(reversed(left))

    def _next(self, idle: int) -> list[_Task]:
        """The next waiting unit, and with it those that are brief, as long as workers without any get theirs.

        One that needs a GPU, may be ended, or whose worker was lost with it goes alone: it may be the cause.
        """
        most = 1 if self.timeout else min(TOGETHER, math.ceil(len(self.waiting) / max(1, idle)))
        company = list(takewhile(lambda task: not (task.lost or task.needs_gpu), islice(self.waiting, most)))
        count = self.pace.first([task.unit for task in company]) if company else 1
        return [self.waiting.popleft() for _ in range(count)]

    def _submit(self, tasks: Sequence[_Task], worker: str) -> None:
        assert self.shipment
        gpus = min(1.0, self.workers[worker].gpus)
        asked = {"resources": {GPU: gpus}} if tasks[0].needs_gpu else {}
        calls = [(task.unit.function, task.unit.arguments) for task in tasks]
        future = self.client.submit(
            shipped.perform,
            self.shipment.run,
            pickle.dumps(calls, pickle.HIGHEST_PROTOCOL),
            pure=False,
            workers=[worker],
            allow_other_workers=False,
            **asked,
        )
        self.running[future] = [replace(task, worker=worker, since=time.monotonic()) for task in tasks]
        future.add_done_callback(self.ended.put)

    def _take(self, future: Any) -> None:
        """Take what a worker has brought; what it lost is done again."""
        tasks = self.running.pop(future, None)
        if tasks is None:  # its worker was given up before
            return
        worker = tasks[0].worker
        self._next_begins(worker)
        try:
            found = self._result(future, worker)
        except NotShipped:  # the worker has been started again under the same address
            self.workers.pop(worker, None)
            self.waiting.extendleft(reversed(tasks))
        except (distributed.KilledWorker, distributed.client.FutureCancelledError, _Lost):
            self._give_up(worker, tasks)
        except Exception as error:  # whatever it is, the other units go on
            self.done += [Outcome(task.tag, error=error) for task in tasks]
        else:
            self.pace.note([task.unit for task in tasks], [seconds for _, seconds in found])
            outcomes = [pickle.loads(outcome) for outcome, _ in found]
            self.done += [Outcome(task.tag, *each) for task, each in zip(tasks, outcomes, strict=True)]

    def _next_begins(self, worker: str) -> None:
        """Let the time of what waited at a worker count."""
        for future, tasks in self.running.items():
            if tasks[0].worker == worker:
                self.running[future] = [replace(task, since=time.monotonic()) for task in tasks]
                return

    def _end_overdue(self) -> None:
        """Have workers started again whose unit takes too long."""
        now = time.monotonic()
        for worker in {tasks[0].worker for tasks in self.running.values()} if self.timeout else ():
            held = [future for future, tasks in self.running.items() if tasks[0].worker == worker]
            (late,) = self.running[held[0]]
            if self.timeout and now - late.since > self.timeout:
                self.done.append(Outcome(late.tag, error=TookTooLong(self.timeout)))
                self.workers.pop(worker)
                self.refused[worker] = f"worker {worker}: a unit there took too long"
                for number, future in enumerate(held):
                    tasks = self.running.pop(future)
                    future.cancel()
                    if number:
                        self._again(tasks, begun=False)
                with contextlib.suppress(Exception):  # one without a nanny stays, and is not used any more
                    self.client.restart_workers([worker], timeout=PATIENCE)

    def _result(self, future: Any, worker: str) -> Any:
        """What a worker has returned. Raises what ended it, _Lost where the worker has it and is gone."""
        if future.status != "finished":
            return future.result()
        while True:
            try:
                return future.result(timeout=GATHER)
            except TimeoutError:
                if worker not in self._addresses():
                    raise _Lost from None

    def _again(self, tasks: Sequence[_Task], begun: bool = True) -> None:
        """Put units back whose worker was lost, but for what seems to be the cause. begun: whether it had begun."""
        for task in reversed([replace(task, lost=task.lost + begun) for task in tasks]):
            if task.lost < TRIES:
                self.waiting.appendleft(task)
            else:
                died = WorkerDied(f"its worker was lost {TRIES} times: it ran out of memory or was ended from within")
                self.done.append(Outcome(task.tag, error=died))

    def _give_up(self, worker: str, begun: Sequence[_Task] = ()) -> None:
        """Have done again what a lost worker had: no other may do it.

        begun: what it was at; unless given, the first of what it still has, in the order in which that was given.
        """
        facts = self.workers.pop(worker, None)
        held = [future for future, tasks in self.running.items() if tasks[0].worker == worker]
        waited = [self.running.pop(future) for future in held]
        for future in held:
            future.cancel()
        if not begun and waited:
            begun = waited.pop(0)
        for tasks in reversed(waited):
            self._again(tasks, begun=False)
        self._again(begun)
        count = len(begun) + sum(map(len, waited))
        if facts:
            again = {0: "", 1: ": its unit is done again"}.get(count, f": its {count} units are done again")
            self.tell(f"worker {worker} on {facts.host} is gone{again}")

    def _look(self) -> None:
        """Take in workers that have joined, and give up those that have left."""
        self.looked = time.monotonic()
        there = self._addresses()
        for address in [one for one in self.workers if one not in there]:
            self._give_up(address)
        self.refused = {address: why for address, why in self.refused.items() if address in there}
        self._take_in(sorted(there - self.workers.keys() - self.refused.keys()))

    def _take_in(self, addresses: Iterable[str]) -> None:
        """Send workers what they need; those that are otherwise than this machine are refused."""
        for address in addresses:
            with contextlib.suppress(OSError):  # it left again
                facts, why = self._sent(address)
                if why:
                    self.refused[address] = f"worker {address}{f' on {facts.host}' if facts else ''}: {why}"
                    self.tell(f"{self.refused[address]}; it does not take part")
                elif facts:
                    self.workers[address] = facts

    def _sent(self, address: str) -> tuple[Facts | None, str]:
        """What a worker is, and why it can't take part."""
        assert self.shipment
        facts = self._ask(address, shipped.greet, self.shipment.run, self.shipment.identity)
        if isinstance(facts, Exception):
            return None, f"noise-bench is not installed there, or another version ({type(facts).__name__}: {facts})"
        for what, here in shipped.versions().items():
            if facts.versions.get(what) != here:
                return facts, f"it has {what} {facts.versions.get(what)}, and this machine {here}"
        if facts.ready:
            return facts, ""
        lacking = None if facts.images else {part: np.array(array) for part, array in self.images.items()}
        shipment = replace(self.shipment, images=lacking)
        failure = self._ask(address, shipped.take, shipment)
        return facts, str(failure) if isinstance(failure, Exception) else ""

    def _ask(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns on a worker, or the error it raised there. Raises OSError for one that has left."""
        found = self.client.run(function, *arguments, workers=[address], on_error="return").get(address)
        if isinstance(found, OSError):
            raise found
        return found

    def _addresses(self) -> set[str]:
        """The workers that are there. Raises BenchError where the scheduler is gone."""
        try:
            return set(self.client.nthreads())
        except (OSError, TimeoutError, RuntimeError) as error:
            raise BenchError(
                f"--scheduler {self.address}: the scheduler is gone ({error}); what is finished is kept"
            ) from None


class _Lost(Exception):
    """A result that its worker has taken away."""
