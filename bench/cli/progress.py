"""What a run is doing, for a person: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from bench.results.records import Contender
from bench.running.events import Done, Event, Failed, Scored, Started, Trained
from bench.spec.cells import Work

LINE_SECONDS = 10.0  # off a terminal, a cell in training says where it is this often


class Display:
    """Shows a run's events as they come: a bar for all and one for each cell in training, or lines.

    varied: the keys of `train` that tell cells apart.
    """

    def __init__(self, console: Console, varied: Sequence[str] = ()) -> None:
        self.console = console
        self.varied = varied
        self.live = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[count]}", markup=False, justify="right"),
            TextColumn("{task.fields[speed]}", markup=False, justify="right"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            expand=True,
        )
        self.all: TaskID | None = None
        self.bars: dict[str, TaskID] = {}
        self.speeds: dict[str, float] = {}
        self.said: dict[str, float] = {}
        self.begun = Started(0, 0, 0, 0, 0)
        self.finished = self.epochs = self.tests = 0
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
                self._begin(event)
            case Trained():
                self.epochs += event.new_epochs
                self.speeds[event.work.cell.id] = event.images_per_second
                self._trained(event)
            case Scored(work, test, means):
                self.tests += 1
                on = "" if work.cell.noise and test == work.cell.noise.label() else f", tested on {test}"
                found = ", ".join(f"{key} {mean:.4g}" for key, mean in means.items())
                self._line(f"scored {self._name(work)}{on}: {found}")
            case Done(work):
                self._end(work)
                self._line(f"[{self.finished}/{self.begun.pending}] done: {self._name(work)}")
            case Failed(work, reason):
                self._end(work)
                self._line(f"[{self.finished}/{self.begun.pending}] FAILED: {self._name(work)}: {reason}")
        self._update()

    def _begin(self, event: Started) -> None:
        self.begun = event
        if not event.pending:
            return
        done = event.cells - event.pending
        self._line(
            f"{event.pending} of {event.cells} cells to run ({done} finished): {event.epochs} epochs and "
            f"{event.tests} tests in {event.workers} process{'es' if event.workers > 1 else ''}"
        )
        self.all = self.live.add_task("", total=event.epochs or event.tests, count="", speed="")

    def _update(self) -> None:
        """The bar of all cells: it counts epochs, or tests where nothing is left to train."""
        if self.all is None:
            return
        done, total = (
            (self.epochs, f"{self.begun.epochs} epochs")
            if self.begun.epochs
            else (self.tests, f"{self.begun.tests} tests")
        )
        self.live.update(
            self.all,
            completed=done,
            description=f"cells: {self.finished} of {self.begun.pending}",
            count=f"{done}/{total}",
            speed=_speed(sum(self.speeds.values())) if self.speeds else "",
        )

    def _trained(self, event: Trained) -> None:
        cell, train, epochs = event.work.cell.id, event.work.cell.train, event.work.cell.epochs
        assert train is not None
        last, count, speed = event.last, f"{event.last.epoch}/{epochs}", _speed(event.images_per_second)
        if not self.live.disable:
            if cell not in self.bars:
                self.bars[cell] = self.live.add_task(self._name(event.work), total=epochs, count="", speed="")
            self.live.update(self.bars[cell], completed=last.epoch, count=count, speed=speed)
            return
        now = time.monotonic()
        if now - self.said.get(cell, self.started) >= LINE_SECONDS or last.epoch == epochs:
            self.said[cell] = now
            validation = "" if last.validation_loss is None else f", validation {last.validation_loss:.5f}"
            self._line(
                f"{self._name(event.work)}: epoch {count}, loss {last.train_loss:.5f}{validation}, "
                f"{speed}{'' if train.seconds else f', {self._left()} left'}"
            )

    def _left(self) -> str:
        rate = (time.monotonic() - self.started) / max(1, self.epochs)
        return duration(rate * max(0, self.begun.epochs - self.epochs))

    def _end(self, work: Work) -> None:
        self.finished += 1
        self.speeds.pop(work.cell.id, None)
        bar = self.bars.pop(work.cell.id, None)
        if bar is not None:
            self.live.remove_task(bar)

    def _name(self, work: Work) -> str:
        seed = "" if work.cell.seed is None else f", seed {work.cell.seed}"
        contender = Contender.of(work.cell, self.varied)
        trained = f" on {contender.train_noise}" if contender.train_noise else ""
        return f"{contender.with_settings()}{trained}{seed}"

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


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
