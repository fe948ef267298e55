"""What a person sees of a run: bars on a terminal, plain lines elsewhere."""

import io
import time
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from bench.cli.progress import Display, Download, Drawing, Measuring, duration
from bench.models import models
from bench.noises import Noise, noises
from bench.results.records import PlannedCell
from bench.running.events import Begun, Done, Event, Failed, Scored, Started, Trained
from bench.running.forecast import Expected
from bench.running.pending import Pending
from bench.spec import Train
from bench.spec.cells import Cell, Scoring, Work
from bench.training.state import Epoch

GAUSSIAN = noises.parse("gaussian")
MASKING = noises.parse("masking")


def work(model: Any = "conv", noise: Noise | None = GAUSSIAN, seed: int | None = 0, lr: float = 0.001) -> Work:
    trained = seed is not None
    train = Train(epochs=4, lr=lr) if trained else None
    return Work(
        Cell(models.parse(model), noise if trained else None, seed, train, {"train": 100}),
        (Scoring(GAUSSIAN), Scoring(MASKING)),
    )


def begun(of: Work, done: int = 0) -> Begun:
    return Begun(Pending(of, of.cell.epochs * max(1, len(of.cell.trials())), done))


def trained(of: Work, epoch: int, new: int = 1, validation: float | None = 0.02, cell: Cell | None = None) -> Trained:
    return Trained(of, cell or of.cell, new, 1234.5, Epoch(epoch, 0.01, validation, 1.0))


def show(*events: Event, width: int | None = None, varied: tuple[str, ...] = ()) -> tuple[Display, str]:
    out = io.StringIO()
    live = width is not None
    console = Console(file=out, width=width or 80, force_terminal=live, soft_wrap=not live, color_system=None)
    left = {event.left.work.cell.id: event.left for event in events if isinstance(event, Begun)}
    with Display(console, [PlannedCell.of(one.work, varied) for one in left.values()]) as display:
        for event in events:
            display.show(replace(event, left=tuple(left.values())) if isinstance(event, Started) else event)
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
    conv, identity, other = work(), work("identity", None, None), work(seed=1)
    _, text = show(
        STARTED, begun(conv), trained(conv, 4, 4), Scored(conv, Scoring(GAUSSIAN), {"mse": 0.01, "psnr": 20.0}),
        Done(conv), begun(identity), Scored(identity, Scoring(MASKING), {"psnr": 10.0}), Done(identity),
        begun(other), Failed(other, "diverged: [red] nan"),
    )  # fmt: skip
    assert text.splitlines() == [
        "3 of 5 cells to run (2 finished): 8 epochs and 6 tests in 2 processes",
        "conv · gaussian 0.1 · seed 0: epoch 4/4, loss 0.01000, validation 0.02000, 1,234 images/s, 0 s left",
        "scored conv · gaussian 0.1 · seed 0: mse 0.01, psnr 20",
        "[1/3] done: conv · gaussian 0.1 · seed 0",
        "scored identity, tested on masking 0.25: psnr 10",
        "[2/3] done: identity",
        "[3/3] FAILED: conv · gaussian 0.1 · seed 1: diverged: [red] nan",
    ]


def test_lines_come_at_intervals_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    conv = work()

    def at(seconds: float, event: Event) -> Event:
        now[0] += seconds
        return event

    display, _ = show(STARTED, begun(conv), begun(work(noise=MASKING)))
    out = io.StringIO()
    display.console = Console(file=out, soft_wrap=True)
    for seconds, epoch in ((1, 1), (10, 2), (1, 3), (1, 4)):
        display.show(at(seconds, replace(trained(conv, epoch, validation=None), images_per_second=10.0)))
    said = out.getvalue().splitlines()
    assert [line.partition("epoch ")[2][:3] for line in said] == ["2/4", "4/4"]
    assert "validation" not in said[0]
    assert said[0].endswith("30 s left")  # 600 images in two processes


RESUMED = Started(cells=2, pending=2, epochs=8, tests=4, workers=1, done=3, resumed=1)


def test_what_is_resumed_is_said_and_counted() -> None:
    conv, other = work(), work(noise=MASKING)
    display, text = show(RESUMED, begun(conv, done=3), begun(other))
    assert text.splitlines() == [
        "2 of 2 cells to run (0 finished, 1 begun: 3 of 8 epochs done): 5 epochs and 4 tests in 1 process",
        "resuming conv · gaussian 0.1 after epoch 3 of 4",
    ]
    display.console = Console(file=io.StringIO(), soft_wrap=True)
    display.show(replace(trained(conv, 4), images_per_second=50.0))
    assert "epoch 4/4" in display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "8 s left" in display.console.file.getvalue()  # type: ignore[attr-defined]


def test_the_bar_of_all_cells_agrees_with_those_of_each() -> None:
    conv = work()
    _, text = show(Started(1, 1, 4, 1, 1, done=2, resumed=1), begun(conv, done=2), trained(conv, 3), width=80)
    lines = text.splitlines()
    assert "3/4 epochs" in lines[0] and "3/4" in lines[1]


def test_what_a_cell_leaves_undone_is_behind_us() -> None:
    conv, other = work(), work(noise=MASKING)
    _, text = show(STARTED, begun(conv), trained(conv, 1), Failed(conv, "diverged"), begun(other), width=80)
    assert "4/8 epochs" in text


def test_each_running_cell_has_one_line_whatever_it_does() -> None:
    search = Cell(models.parse("conv"), GAUSSIAN, 0, Train(epochs=4, lr=0.1, lr_search=(0.1, 0.2)), {"train": 100})
    of, identity = Work(search, (Scoring(GAUSSIAN), Scoring(MASKING))), work("identity", None, None)
    first, second = search.trials()
    events = (STARTED, begun(of), trained(of, 4, 4, cell=first), trained(of, 1, cell=second), begun(identity))
    _, text = show(*events, width=80)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 3
    assert lines[1].startswith("conv · gaussian 0.1 · lr 0.2") and "5/8" in lines[1]
    assert lines[2].startswith("identity") and "0/2 tests" in lines[2]
    _, text = show(*events, Scored(identity, Scoring(GAUSSIAN), {"psnr": 1.0}), Done(of), width=80)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 2 and "1/2 tests" in lines[1] and "images/s" not in text


@pytest.mark.parametrize("noise", list(noises))
@pytest.mark.parametrize("model", [name for name in models if models[name].trains])
def test_model_and_noise_show_at_80_columns(model: str, noise: str) -> None:
    node: Any = {"compose": {"of": ["gaussian", "masking"]}} if noise == "compose" else noise
    of = work(model, noises.parse(node))
    _, text = show(STARTED, begun(of), trained(of, 1), width=80)
    line = text.splitlines()[1]
    assert line.startswith(f"{model} · {noise}"), line
    assert "…" not in line or noise == "compose", line


def test_nothing_pending_says_nothing() -> None:
    assert show(Started(5, 0, 0, 0, 1))[1] == ""


@pytest.mark.parametrize("width", [60, 80, 120])
def test_bars_fit_the_terminal(width: int) -> None:
    long = work({"unet": {"depth": 1}}, MASKING)
    _, text = show(STARTED, begun(work()), trained(work(), 1), begun(long), trained(long, 2, 2), width=width)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 3 and max(map(len, lines)) <= width
    assert lines[0].startswith("cells: 0 of 3") and "3/8 epochs" in lines[0] and "2,469 images/s" in lines[0]
    assert lines[1].startswith("conv · gaussian 0.1") and "1/4" in lines[1] and "1,234 images/s" in lines[1]
    assert lines[2].startswith("unet · masking 0.25") and "2/4" in lines[2]


def test_of_many_cells_under_way_as_many_have_bars_and_count_for_the_speed_as_there_are_processes() -> None:
    works = [work(seed=seed) for seed in range(30)]
    started = replace(STARTED, cells=30, pending=30, epochs=120, workers=2)
    events = [event for one in works for event in (begun(one), trained(one, 1))]
    _, text = show(started, *events, width=100)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1 + 2 * 2 and "2,469 images/s" in lines[0]
    _, text = show(started, *events, *(Done(one) for one in works[:28]), width=100)
    lines = [line for line in text.splitlines() if line.strip()]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "conv · gaussian 0.1 · seed 28",
        "conv · gaussian 0.1 · seed 29",
    ]


def test_a_finished_cell_has_no_bar() -> None:
    conv = work()
    _, text = show(STARTED, begun(conv), trained(conv, 4, 4), Done(conv), width=100)
    assert "conv" not in text and "cells: 1 of 3" in text and "4/8 epochs" in text


def test_cells_that_differ_in_their_training_have_bars_of_their_own() -> None:
    one, other = work(), work(lr=0.01)
    events = (begun(one), trained(one, 1), begun(other), trained(other, 2, 2))
    _, text = show(STARTED, *events, width=120, varied=("lr",))
    assert "conv · gaussian 0.1 · lr 0.001" in text and "conv · gaussian 0.1 · lr 0.01 " in text


def test_where_nothing_is_left_to_train_tests_are_counted() -> None:
    identity = work("identity", None, None)
    started = Started(1, 1, 0, 2, 1)
    _, text = show(started, begun(identity), Scored(identity, Scoring(GAUSSIAN), {"psnr": 1.0}), width=80)
    assert "1/2 tests" in text


def test_drawing_shows_on_a_terminal_and_is_a_line_elsewhere() -> None:
    for live, said in ((True, "drawing figures: 2 done"), (False, "drawing figures")):
        out = io.StringIO()
        drawing = Drawing(Console(file=out, force_terminal=live, width=80, color_system=None))
        for count in range(3):
            drawing(count)
        drawing.close()
        assert said in out.getvalue()
    assert out.getvalue() == "drawing figures\n"


def test_where_nothing_is_drawn_nothing_is_said() -> None:
    out = io.StringIO()
    Drawing(Console(file=out, width=80)).close()
    assert out.getvalue() == ""


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


def test_what_is_left_is_weighed_by_the_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    slow, fast = work("unet"), work("conv")
    display, _ = show(Started(2, 2, 8, 4, 1), begun(slow), begun(fast))
    display.expected = Expected({slow.cell.id: 90.0, fast.cell.id: 10.0}, wall=100.0)
    display.console = Console(file=io.StringIO(), soft_wrap=True)

    def left() -> float:
        found = display._left()
        assert found is not None
        return found

    assert left() == pytest.approx(100)
    now[0] += 45
    display.show(trained(slow, 2, 2))
    assert left() == pytest.approx(0.55 * (55 + 45)), "half of 90 is done, not a quarter of 8 epochs"
    now[0] += 45
    display.show(trained(slow, 4, 2))
    display.show(Done(slow))
    assert left() == pytest.approx(0.1 * (10 + 90))
    now[0] += 10
    display.show(trained(fast, 4, 4))
    assert left() == pytest.approx(0)


def test_measuring_says_what_it_does() -> None:
    told = io.StringIO()
    with Measuring(Console(file=told, width=120)) as measuring:
        measuring(0, 12)
        measuring(1, 12)
    assert "12 kinds of work" in told.getvalue()
