"""What a run is doing, for a person: live bars on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from bench.core.labels import shortened
from bench.core.words import counted
from bench.results.names import brief, cell_names
from bench.results.records import PlannedCell
from bench.running.events import Begun, Counted, Done, Event, Failed, Scored, Started, Trained
from bench.running.forecast import Expected
from bench.running.pending import Pending
from bench.running.rates import Rates
from bench.spec.cells import Scoring, Work

LINE_SECONDS = 10.0  # off a terminal, a cell in training says where it is this often
ROOMY = 100  # columns of a terminal from which on bars are wide
SHOWN = 2  # bars of cells for each process: where units are brief, many more cells are under way


@dataclass
class Running:
    """A cell under way. done: epochs, those of earlier runs included. tested: tests scored. speed: images per second.

    told: when a line last said how far its training is.
    """

    left: Pending
    bar: TaskID
    done: int
    told: float
    tested: int = 0
    speed: float = 0.0

    @property
    def share(self) -> float:
        """How much of what this run has to train, or to test where all is trained, is done: 0 to 1."""
        epochs, tests = self.left.epochs - self.left.done, len(self.left.work.tests)
        return (self.done - self.left.done) / epochs if epochs else self.tested / max(1, tests)


class Left(TimeRemainingColumn):
    """How long it will take yet: what is given for all cells, and by its speed for each cell."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return Text(duration(left), style="progress.remaining") if left is not None else super().render(task)


class Display:
    """Shows a run's events as they come: a bar for all and one for each cell under way, or lines.

    cells: those of the plan, which are called by what sets them apart.
    expected: how long they were forecast to take; None where that was not measured.
    """

    expected: Expected | None = None

    def __init__(self, console: Console, cells: Iterable[PlannedCell]) -> None:
        planned = list(cells)
        self.console = console
        self.names = cell_names(planned)
        tests = shortened((test.label for cell in planned for test in cell.tests), keep=1)
        self.tests = {str(label): brief(short) for label, short in tests.items()}
        self.live = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=12 if console.width >= ROOMY else 6),
            TextColumn("{task.fields[count]}", markup=False, justify="right"),
            TextColumn("{task.fields[speed]}", markup=False, justify="right"),
            Left(compact=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            expand=True,
        )
        self.all: TaskID | None = None
        self.running: dict[str, Running] = {}
        self.begun = Started(0, 0, 0, 0, 0)
        self.ended = self.tested = 0
        self.behind = 0.0  # forecast seconds of the cells that have ended
        self.epochs = 0  # behind us, those of earlier runs too
        self.rates = Rates()
        self.started = time.monotonic()

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, event: Event) -> None:
        """Say what happened and bring the bars up to date."""
        match event:
            case Started():
                self._start(event)
            case Counted(macs):
                self.rates.macs = macs
            case Begun(left):
                self._begin(left)
            case Trained():
                self._trained(event)
            case Scored(work, test, means):
                self._scored(work, test, means)
            case Done(work):
                self._end(work)
                self._line(f"[{self.ended}/{self.begun.pending}] done: {self._name(work)}")
            case Failed(work, reason):
                self._end(work)
                self._line(f"[{self.ended}/{self.begun.pending}] FAILED: {self._name(work)}: {reason}")
        self._update()

    def _start(self, event: Started) -> None:
        self.begun, self.epochs, self.rates = event, event.done, Rates(event.left)
        if not event.pending:
            return
        finished = f"{event.cells - event.pending} finished"
        resumed = f", {event.resumed} begun: {event.done} of {event.epochs} epochs done" if event.resumed else ""
        self._line(
            f"{event.pending} of {counted(event.cells, 'cell')} to run ({finished}{resumed}): "
            f"{counted(event.epochs - event.done, 'epoch')} and {counted(event.tests, 'test')} in "
            f"{counted(event.workers, 'process')}"
        )
        self.all = self.live.add_task("", total=event.epochs or event.tests, completed=event.done, count="", speed="")

    def _begin(self, left: Pending) -> None:
        name, done, tests = self._name(left.work), left.done, len(left.work.tests)
        count = f"{done}/{left.epochs}" if left.epochs else f"0/{tests} tests"
        shown = len(self.running) < SHOWN * self.begun.workers
        bar = self.live.add_task(name, visible=shown, total=left.epochs or tests, completed=done, count=count, speed="")
        self.running[left.work.cell.id] = Running(left, bar, done, self.started)
        if done:
            self._line(f"resuming {name} after epoch {done} of {left.epochs}")

    def _update(self) -> None:
        """The bar of all cells: it counts epochs, or tests where nothing is left to train."""
        if self.all is None:
            return
        speeds = [cell.speed for cell in self.running.values() if cell.speed]
        speed = sum(speeds) * min(1, self.begun.workers / max(1, len(speeds)))  # more cells than that only wait
        counted = (
            (self.epochs, self.begun.epochs, "epochs")
            if self.begun.epochs
            else (self.tested, self.begun.tests, "tests")
        )
        self.live.update(
            self.all,
            completed=counted[0],
            description=f"cells: {self.ended} of {self.begun.pending}",
            count="{}/{} {}".format(*counted),
            speed=_speed(speed) if speed else "",
            left=self._left(),
        )

    def _trained(self, event: Trained) -> None:
        cell = self.running[event.work.cell.id]
        self.epochs += event.new_epochs
        self.rates.note(cell.left, event.cell, event.new_epochs, event.images_per_second)
        cell.done += event.new_epochs
        cell.speed = event.images_per_second
        name, count = self._name(event.work), f"{cell.done}/{cell.left.epochs}"
        if event.cell != event.work.cell and event.cell.train:
            name += f" · lr {event.cell.train.lr:g}"
        self.live.update(
            cell.bar, description=name, completed=cell.done, count=count, speed=_speed(event.images_per_second)
        )
        now = time.monotonic()
        if self.live.disable and (now - cell.told >= LINE_SECONDS or cell.done == cell.left.epochs):
            cell.told = now
            self._line(f"{name}: epoch {count}, {self._how_it_goes(event)}")

    def _how_it_goes(self, event: Trained) -> str:
        """Losses, speed and, where the time is not given, what is left of it."""
        last = event.last
        validation = "" if last.validation_loss is None else f"validation {last.validation_loss:.5f}, "
        found = None if event.cell.train and event.cell.train.seconds else self._left()
        left = "" if found is None else f", {duration(found)} left"
        return f"loss {last.train_loss:.5f}, {validation}{_speed(event.images_per_second)}{left}"

    def _left(self) -> float | None:
        """Seconds still to go, by the forecast or else by what the trainings have shown; None as long as none has."""
        if self.expected is None:
            return self.rates.left(min(self.begun.workers, self.begun.pending - self.ended))
        under_way = sum(self.expected.busy[key] * cell.share for key, cell in self.running.items())
        return self.expected.left(self.behind + under_way, time.monotonic() - self.started)

    def _scored(self, work: Work, test: Scoring, means: Mapping[str, float]) -> None:
        cell = self.running[work.cell.id]
        self.tested += 1
        cell.tested, cell.speed = cell.tested + 1, 0.0
        tests = len(cell.left.work.tests)
        done = cell.done if cell.left.epochs else cell.tested
        self.live.update(cell.bar, completed=done, count=f"{cell.tested}/{tests} tests", speed="")
        label = test.noise.label()
        on = "" if test.noise == work.cell.noise else f", tested on {self.tests.get(label, label)}"
        on += f", ensemble of {test.ensemble}" if test.ensemble > 1 else ""
        found = ", ".join(f"{key} {'perfect' if math.isinf(mean) else f'{mean:.4g}'}" for key, mean in means.items())
        self._line(f"scored {self._name(work)}{on}: {found}")

    def _end(self, work: Work) -> None:
        """What a cell has left undone, for want of time or because it failed, is behind us too."""
        cell = self.running.pop(work.cell.id)
        self.ended += 1
        self.epochs += cell.left.epochs - cell.done
        self.rates.end(cell.left, cell.done)
        if self.expected:
            self.behind += self.expected.busy[work.cell.id]
        self.live.remove_task(cell.bar)
        for other in islice(self.running.values(), SHOWN * self.begun.workers):
            self.live.update(other.bar, visible=True)

    def _name(self, work: Work) -> str:
        return self.names[work.cell.id]

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


class Drawing:
    """Says that figures are being drawn: a line that moves on a terminal, one that stays elsewhere.

    Called with how many are done, at first with 0.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Progress(
            SpinnerColumn(),
            TextColumn("drawing figures: {task.completed:g} done"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.task = self.live.add_task("", total=None)

    def __call__(self, done: int) -> None:
        if not done:
            self.live.start()
        if not done and self.live.disable:
            self.console.print("drawing figures", markup=False, highlight=False)
        self.live.update(self.task, completed=done)

    def close(self) -> None:
        self.live.stop()


class Measuring:
    """Says what `bench plan --measure` is doing, which takes a minute or more. Called with kinds done and in all."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = console.status("starting processes")

    def __enter__(self) -> Self:
        self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.status.stop()

    def __call__(self, done: int, total: int) -> None:
        if not done:
            self.console.print(
                f"measuring how fast this machine trains and tests: {total} kinds of work, some seconds each",
                highlight=False,
            )
        else:
            self.status.update(f"{done} of {total} measured")


class Download:
    """A bar for a download, or a line for every tenth of it off a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task: TaskID | None = None
        self.tenth = -1

    def __call__(self, done: int, total: int, source: str) -> None:
        if self.bar.disable:
            tenth = 10 * done // max(1, total)
            if tenth != self.tenth:
                self.tenth = tenth
                self.console.print(f"{source}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", markup=False, highlight=False)
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task(source, total=total)
        self.bar.update(self.task, completed=done, total=total, description=source)

    def close(self) -> None:
        self.bar.stop()


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _speed(images_per_second: float) -> str:
    return f"{images_per_second:,.0f} images/s"
