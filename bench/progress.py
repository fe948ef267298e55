"""What a run is doing, for a person: live bars on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.engine import Begun, Done, Event, Failed, Scored, Trained
from bench.plan import Work

LINE_SECONDS = 10.0  # off a terminal, a cell in training says where it is this often


class Display:
    """Shows a run's events as they come."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.bars: dict[str, int] = {}
        self.said: dict[str, float] = {}
        self.finished = 0
        self.cells = 0
        self.epochs_left = 0
        self.started = time.monotonic()
        self.epochs_done = 0

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, event: Event) -> None:
        match event:
            case Begun():
                self._begun(event)
            case Trained():
                self._trained(event)
            case Scored(work, test, means):
                found = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
                self._line(f"scored {_name(work)} on {test}: {found}")
            case Done(work):
                self._end(work)
                self._line(f"[{self.finished}/{self.cells}] done: {_name(work)}")
            case Failed(work, reason):
                self._end(work)
                self.console.print(f"[{self.finished}/{self.cells}] FAILED: {_name(work)}: {reason}", markup=False)

    def _begun(self, event: Begun) -> None:
        self.cells = event.pending
        self.epochs_left = event.epochs
        if not event.pending:
            return
        done = event.cells - event.pending
        processes = f"{event.workers} process{'es' if event.workers > 1 else ''}"
        self.console.print(
            f"{event.pending} of {event.cells} cells to run ({done} finished): "
            f"{event.epochs} epochs and {event.tests} tests in {processes}"
        )
        self.bars["all"] = self.live.add_task("all cells", total=max(1, event.epochs), unit="epochs", note="")

    def _trained(self, event: Trained) -> None:
        name = _name(event.work)
        train = event.work.cell.train
        assert train is not None
        self.epochs_done += event.new_epochs
        speed = f"{event.images_per_second:,.0f} images/s"
        if self.live.disable:
            now = time.monotonic()
            if now - self.said.get(name, self.started) >= LINE_SECONDS or event.epoch == train.epochs:
                self.said[name] = now
                row = event.row
                validation = "" if row["validation_loss"] is None else f", validation {row['validation_loss']:.5f}"
                self.console.print(
                    f"{name}: epoch {event.epoch}/{train.epochs}, loss {row['train_loss']:.5f}{validation}, "
                    f"{speed}, {self._left()} left",
                    markup=False,
                    highlight=False,
                )
            return
        if name not in self.bars:
            self.bars[name] = self.live.add_task(escape(name), total=train.epochs, unit="epochs", note="")
        self.live.update(self.bars[name], completed=event.epoch, note=speed)  # type: ignore[arg-type]
        self.live.advance(self.bars["all"], event.new_epochs)  # type: ignore[arg-type]

    def _left(self) -> str:
        rate = (time.monotonic() - self.started) / max(1, self.epochs_done)
        return duration(rate * max(0, self.epochs_left - self.epochs_done))

    def _end(self, work: Work) -> None:
        self.finished += 1
        bar = self.bars.pop(_name(work), None)
        if bar is not None:
            self.live.remove_task(bar)  # type: ignore[arg-type]

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


class Download:
    """A bar for a download, or a line for every tenth of it off a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console,
            disable=not console.is_terminal,
        )  # fmt: skip
        self.task: int | None = None
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
        self.bar.update(self.task, completed=done, total=total, description=source)  # type: ignore[arg-type]

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


def _name(work: Work) -> str:
    labels = work.cell.labels()
    objective = f" [{labels['objective']}]" if labels["objective"] == "autoencode" else ""
    trained = f" on {labels['train_noise']}" if labels["train_noise"] else ""
    seed = "" if labels["seed"] is None else f", seed {labels['seed']}"
    return f"{labels['model']}{objective}{trained}{seed}"
