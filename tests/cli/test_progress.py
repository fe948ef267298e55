"""What a person sees of a run: bars on a terminal, plain lines elsewhere."""

import io
import time
from typing import Any

import pytest
from rich.console import Console

from bench.cli.progress import Display, Download, duration
from bench.models import models
from bench.noises import Noise, noises
from bench.running.events import Done, Event, Failed, Scored, Started, Trained
from bench.spec import Train
from bench.spec.cells import Cell, Work
from bench.training.state import Epoch

GAUSSIAN = noises.parse("gaussian")
MASKING = noises.parse("masking")


def work(model: Any = "conv", noise: Noise | None = GAUSSIAN, seed: int | None = 0, lr: float = 0.001) -> Work:
    trained = seed is not None
    train = Train(epochs=4, lr=lr) if trained else None
    return Work(Cell(models.parse(model), noise if trained else None, seed, train, {"train": 100}), (GAUSSIAN, MASKING))


def trained(of: Work, epoch: int, new: int = 1, validation: float | None = 0.02) -> Trained:
    return Trained(of, new, 1234.5, Epoch(epoch, 0.01, validation, 1.0))


def show(*events: Event, width: int | None = None, varied: tuple[str, ...] = ()) -> tuple[Display, str]:
    out = io.StringIO()
    live = width is not None
    console = Console(file=out, width=width or 80, force_terminal=live, soft_wrap=not live, color_system=None)
    with Display(console, varied) as display:
        for event in events:
            display.show(event)
        if live:
            display.live.refresh()
            console.print("", end="")
            return display, frame(display)
    return display, out.getvalue()


def frame(display: Display) -> str:
    """What stands on the terminal now."""
    out = io.StringIO()
    Console(file=out, width=display.console.width, color_system=None).print(display.live.get_renderable())
    return out.getvalue()


STARTED = Started(cells=5, pending=3, epochs=8, tests=6, workers=2)


def test_lines_tell_the_whole_run() -> None:
    conv, identity = work(), work("identity", None, None)
    _, text = show(
        STARTED, trained(conv, 4, 4), Scored(conv, GAUSSIAN.label(), {"mse": 0.01, "psnr": 20.0}), Done(conv),
        Scored(identity, MASKING.label(), {"psnr": 10.0}), Done(identity), Failed(work(seed=1), "diverged: [red] nan"),
    )  # fmt: skip
    assert text.splitlines() == [
        "3 of 5 cells to run (2 finished): 8 epochs and 6 tests in 2 processes",
        "conv(width=16) on gaussian(sigma=0.1), seed 0: epoch 4/4, loss 0.01000, validation 0.02000, 1,234 images/s, "
        "0 s left",
        "scored conv(width=16) on gaussian(sigma=0.1), seed 0: mse 0.01, psnr 20",
        "[1/3] done: conv(width=16) on gaussian(sigma=0.1), seed 0",
        "scored identity, tested on masking(p=0.25, fill=0.0, per=element): psnr 10",
        "[2/3] done: identity",
        "[3/3] FAILED: conv(width=16) on gaussian(sigma=0.1), seed 1: diverged: [red] nan",
    ]


def test_lines_come_at_intervals_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    conv = work()

    def at(seconds: float, event: Event) -> Event:
        now[0] += seconds
        return event

    display, _ = show(STARTED)
    out = io.StringIO()
    display.console = Console(file=out, soft_wrap=True)
    for seconds, epoch in ((1, 1), (10, 2), (1, 3), (1, 4)):
        display.show(at(seconds, trained(conv, epoch, validation=None)))
    said = out.getvalue().splitlines()
    assert [line.partition("epoch ")[2][:3] for line in said] == ["2/4", "4/4"]
    assert "validation" not in said[0]
    assert said[0].endswith("33 s left")  # 2 of 8 epochs took 11 s


def test_nothing_pending_says_nothing() -> None:
    assert show(Started(5, 0, 0, 0, 1))[1] == ""


@pytest.mark.parametrize("width", [60, 80, 120])
def test_bars_fit_the_terminal(width: int) -> None:
    long = work({"unet": {"depth": 1}}, MASKING)
    _, text = show(STARTED, trained(work(), 1), trained(long, 2, 2), width=width)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 3 and max(map(len, lines)) <= width
    assert lines[0].startswith("cells: 0 of 3") and "3/8 epochs" in lines[0] and "2,469 images/s" in lines[0]
    assert lines[1].startswith("conv(width=16)") and "1/4" in lines[1] and "1,234 images/s" in lines[1]
    assert lines[2].startswith("unet(") and "2/4" in lines[2]


def test_a_finished_cell_has_no_bar() -> None:
    conv = work()
    _, text = show(STARTED, trained(conv, 4, 4), Done(conv), width=100)
    assert "conv(width=16)" not in text and "cells: 1 of 3" in text and "4/8 epochs" in text


def test_cells_that_differ_in_their_training_have_bars_of_their_own() -> None:
    _, text = show(STARTED, trained(work(), 1), trained(work(lr=0.01), 2, 2), width=120, varied=("lr",))
    assert "conv(width=16), lr=0.001 on" in text and "conv(width=16), lr=0.01 on" in text


def test_where_nothing_is_left_to_train_tests_are_counted() -> None:
    identity = work("identity", None, None)
    started = Started(1, 1, 0, 2, 1)
    _, text = show(started, Scored(identity, GAUSSIAN.label(), {"psnr": 1.0}), width=80)
    assert "1/2 tests" in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_download_off_a_terminal_is_a_line_for_every_tenth() -> None:
    out = io.StringIO()
    bar = Download(Console(file=out, soft_wrap=True))
    for done in range(0, 101):
        bar(done * 1_000_000, 100_000_000, "example.org")
    bar.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 11 and lines[5] == "example.org: 50 of 100 MB"


def test_a_download_on_a_terminal_is_a_bar() -> None:
    out = io.StringIO()
    bar = Download(Console(file=out, force_terminal=True, width=80))
    bar(50_000_000, 100_000_000, "[example.org]")
    bar.close()
    assert "[example.org]" in out.getvalue() and "50.0/100.0 MB" in out.getvalue()
