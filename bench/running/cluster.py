"""Units on a cluster that somebody has started: workers may join, leave and die, and share no disk with this process.

Each unit is given to one worker: so it is known who has it when a worker is lost, and a unit that asks for a GPU goes
to a worker that offers one.
"""

import contextlib
import logging
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError, DataError
from bench.core.lazy import Lazy
from bench.core.plugins import module_of, uses_installed
from bench.core.sources import modules_of
from bench.datasets import cache
from bench.running.pools import BRIEF, Outcome, TookTooLong, Unit, WorkerDied
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
        self.running: dict[Any, _Task] = {}
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.dead: deque[Outcome] = deque()
        self.looked = 0.0
        self.depth = 1  # units that a worker has at once: more than one where units are brief
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
    def slots(self) -> int:
        return max(1, self.depth * len(self.workers))

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
        self.waiting.append(_Task(tag, unit))
        self._assign()

    def finish(self) -> Outcome:
        while True:
            if time.monotonic() - self.looked > LOOK:
                self._look()
                self._end_overdue()
            self._assign()
            if self.dead:
                return self.dead.popleft()
            if self.workers and not self.running and not self.told:
                self.told = True
                self.tell(f"waiting for a worker with a GPU to join {self.address} (dask worker --resources {GPU}=1)")
            with contextlib.suppress(queue.Empty):
                outcome = self._outcome(self.ended.get(timeout=LOOK))
                if outcome:
                    return outcome

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
        has = Counter(task.worker for task in self.running.values())
        for task in list(self.waiting):
            able = [one for one, facts in self.workers.items() if facts.gpus or not task.needs_gpu]
            able = [one for one in able if has[one] < self.depth]
            if able:
                chosen = min(able, key=lambda one: (has[one], self.workers[one].gpus))
                has[chosen] += 1
                self.waiting.remove(task)
                self._submit(replace(task, worker=chosen, since=time.monotonic()))

    def _submit(self, task: _Task) -> None:
        assert self.shipment
        asked = {"resources": {GPU: min(1.0, self.workers[task.worker].gpus)}} if task.needs_gpu else {}
        arguments = (self.shipment.run, task.unit.function, task.unit.arguments)
        future = self.client.submit(
            shipped.perform, *arguments, pure=False, workers=[task.worker], allow_other_workers=False, **asked
        )
        self.running[future] = task
        future.add_done_callback(self.ended.put)

    def _outcome(self, future: Any) -> Outcome | None:
        """How a unit ended; None where it has to be done again."""
        task = self.running.pop(future, None)
        if task is None:  # its worker was given up before
            return None
        self._next_begins(task.worker)
        self.depth = 2 if time.monotonic() - task.since < self.depth * BRIEF else 1
        try:
            return Outcome(task.tag, self._result(future, task))
        except NotShipped:  # the worker has been started again under the same address
            self.workers.pop(task.worker, None)
            self.waiting.appendleft(task)
        except (distributed.KilledWorker, distributed.client.FutureCancelledError, _Lost):
            self.workers.pop(task.worker, None)
            self._again(task)
        except Exception as error:  # whatever it is, the other units go on
            return Outcome(task.tag, error=error)
        return None

    def _next_begins(self, worker: str) -> None:
        """Let the time of the unit count that waited at a worker."""
        for future, task in self.running.items():
            if task.worker == worker:
                self.running[future] = replace(task, since=time.monotonic())
                return

    def _end_overdue(self) -> None:
        """Have workers started again whose unit takes too long."""
        now = time.monotonic()
        for worker in {task.worker for task in self.running.values()} if self.timeout else ():
            held = [future for future, task in self.running.items() if task.worker == worker]
            if self.timeout and now - self.running[held[0]].since > self.timeout:
                self.dead.append(Outcome(self.running[held[0]].tag, error=TookTooLong(self.timeout)))
                self.workers.pop(worker)
                self.refused[worker] = f"worker {worker}: a unit there took too long"
                for number, future in enumerate(held):
                    task = self.running.pop(future)
                    future.cancel()
                    if number:
                        self._again(task, begun=False)
                with contextlib.suppress(Exception):  # one without a nanny stays, and is not used any more
                    self.client.restart_workers([worker], timeout=PATIENCE)

    def _result(self, future: Any, task: _Task) -> Any:
        """What a unit has returned, or raises what it raised. Raises _Lost where its worker has it and is gone."""
        if future.status != "finished":
            return future.result()
        while True:
            try:
                return future.result(timeout=GATHER)
            except TimeoutError:
                if task.worker not in self._addresses():
                    raise _Lost from None

    def _again(self, task: _Task, begun: bool = True) -> None:
        """Put a unit back whose worker was lost, unless it seems to be the cause. begun: whether it was under way."""
        task = replace(task, lost=task.lost + begun)
        if task.lost < TRIES:
            self.waiting.appendleft(task)
        else:
            died = WorkerDied(f"its worker was lost {TRIES} times: it ran out of memory or was ended from within")
            self.dead.append(Outcome(task.tag, error=died))

    def _look(self) -> None:
        """Take in workers that have joined, and give up those that have left."""
        self.looked = time.monotonic()
        there = self._addresses()
        for address in [one for one in self.workers if one not in there]:
            host = self.workers.pop(address).host
            held = [future for future, task in self.running.items() if task.worker == address]
            self.tell(f"worker {address} on {host} is gone" + (": its unit is done again" if held else ""))
            for number, future in enumerate(held):  # in the order in which they were given; the first was under way
                task = self.running.pop(future)
                future.cancel()
                self._again(task, number == 0)
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
