"""`make perf`: its table and files come together, its sides do equal work. How fast they are is not tested."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from bench.models import models
from tests.perf import clusters, fresh, growth, pictures, reference, report, script
from tests.perf.__main__ import GROUPS
from tests.perf.base import Bench, Settings
from tests.perf.ours import METRICS

Answer = Callable[..., dict[str, Any]]  # what a process that is measured would send back
Entries = dict[str, Any]
Measure = Callable[..., Entries]

KEYS = [
    "train_vs_script",
    "train_vs_script_float32",
    "train_vs_deepinv",
    "train_vs_deepinv_float32",
    "train_vs_bare",
    "eval_vs_skimage",
    "metric_max_difference",
    "grid_two_vs_one",
    "time_to_quality",
    "time_to_quality_same_network",
    "rerun_seconds",
    "cell_overhead_ms",
    "workers_busy",
    "scheduler_vs_processes",
    "help_seconds",
    "worker_peak_mb",
]


def grid(psnr: float, **arguments: Any) -> dict[str, Any]:
    recipe = arguments["recipe"]
    length = recipe.get("epochs") or recipe["images"] / 100
    seconds = (
        length * (1 if "epochs" in recipe else 0.1) * arguments["cells"] / (1 if recipe.get("threads") == 2 else 1.5)
    )
    return {
        "images": 100, "images_per_second": 3000.0, "training_seconds": seconds, "work_seconds": seconds + 1,
        "total_seconds": seconds + 3, "psnr": psnr + length, "tested": 50, "precision": "bfloat16", "batch_size": 128,
        "optimizer": "muon", "threads": 1,
    }  # fmt: skip


def speed(rate: float) -> Answer:
    return lambda **_: {
        "images_per_second": rate,
        "seconds_per_epoch": 200 / rate,
        "threads": 2,
        "precision": "float32",
    }


def turns(**_: Any) -> dict[str, Any]:
    return {"ours": [2000.0, 1900.0], "bare": [2100.0, 1995.0], "precision": "bfloat16"}


def scores(seconds: float) -> Answer:
    return lambda **_: {"seconds": seconds, "values": {name: [0.5] for name in METRICS}}


def cells(folder: Path, count: int, images: int = 128) -> dict[str, float]:
    return {"seconds": 2 + 0.1 * count, "work_ms": 50.0, "per_cell_ms": 50.0, "overhead_ms": 90.0, "busy": 0.9}


def images(folder: Path, root: Path, train: int, test: int) -> dict[str, Any]:
    times = {"seconds": train / 100, "reading_seconds": 1.0, "scoring_seconds": 2.0, "training_seconds": {"conv": 3.0}}
    return {**times, "images": train + test, "worker_peak_mb": 700.0}


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Measure:
    """Every group's entries, with made-up times in place of the processes that would be measured."""

    def run(psnr: float = 26.0) -> Entries:
        answers["ours:grid"] = partial(grid, psnr)
        entries: Entries = {"machine": report.machine()}
        for group in GROUPS.values():
            entries |= group(bench)
        return entries

    answers: dict[str, Answer] = {
        "ours:beside_bare": turns, "script:speed": speed(1000.0),
        "peers:deepinv_trainer": speed(1900.0), "ours:evaluate": scores(1.0), "peers:evaluate": scores(3.0),
    }  # fmt: skip
    monkeypatch.setattr(fresh, "call", lambda function, **arguments: answers[function](**arguments))
    monkeypatch.setattr(fresh, "bench", lambda *words: (0.2, ""))
    monkeypatch.setattr(growth, "cells", cells)
    monkeypatch.setattr(growth, "rerun", lambda folder, count: (1.5, 0))
    monkeypatch.setattr(growth, "images", images)
    monkeypatch.setattr(clusters, "cluster", lambda folder: contextlib.nullcontext(mock.Mock(file="scheduler.json")))
    for name in ("pairs", "large"):
        monkeypatch.setattr(pictures, name, lambda *_: tmp_path)
    monkeypatch.setattr(pictures, "CIFAR10", tmp_path)
    budgets = dict.fromkeys(("res_unet", "conv"), (200, 100, 300))
    bench = Bench(tmp_path, tmp_path, Settings(budgets=budgets), lambda text: None)
    return run


@pytest.fixture
def found(measure: Measure) -> Entries:
    return measure()


def test_every_key_is_measured_and_says_what_it_holds_for(found: Entries, tmp_path: Path) -> None:
    report.write(found, tmp_path / "perf.json")
    stored = json.loads((tmp_path / "perf.json").read_text())
    for key in KEYS:
        low, high = stored[key]["range"]
        assert low <= stored[key]["value"] <= high
        assert isinstance(stored[key]["unit"], str) and len(stored[key]["conditions"]) > 10


def test_ratios_are_stated_so_that_more_is_better(found: Entries) -> None:
    assert found["train_vs_script"]["value"] == pytest.approx(3.0)
    assert found["train_vs_bare"]["value"] == pytest.approx(2000 / 2100)
    assert found["eval_vs_skimage"]["value"] == pytest.approx(3 * 10_000 / 2000)
    assert found["grid_two_vs_one"]["value"] == pytest.approx((8 * 6 + 1) / (8 * 6 / 1.5 + 1))
    assert found["time_to_quality"]["value"] == pytest.approx(250 * 0.2 / 0.2)  # 200 images in 0.2 s: 28 dB


def test_the_budget_that_counts_is_given_and_the_others_are_points_of_a_curve(found: Entries) -> None:
    assert 27 < reference.target() <= 28
    assert "200 images" in found["time_to_quality"]["conditions"]
    assert "NOT REACHED" not in found["time_to_quality"]["conditions"]
    points = [(point["images"], point["psnr"]) for point in found["time_to_quality"]["points"]]
    assert points == [(100, 27.0), (200, 28.0), (300, 29.0)]
    assert found["time_to_quality"]["seconds_per_epoch"] == 0.2


def test_without_the_studys_quality_there_is_no_ratio(measure: Measure) -> None:
    found = measure(psnr=20.0)
    assert found["time_to_quality"]["value"] is None
    assert found["time_to_quality"]["conditions"].startswith("NOT REACHED")
    assert report.markdown(found).count("(missed)") == 2


def test_a_figure_that_misses_is_marked(found: Entries) -> None:
    found["train_vs_script"]["value"] = 2.69
    found["help_seconds"]["value"] = 0.31
    text = report.markdown(found)
    assert text.count("(missed)") == 2 and report.table(found).count("(missed)") == 2
    assert text.count("\n| ") >= len(KEYS)


def test_what_was_not_measured_again_stays_on_one_machine_and_commit(found: Entries, tmp_path: Path) -> None:
    path = tmp_path / "perf.json"
    report.write(found, path)
    again = {"machine": found["machine"], "help_seconds": {**found["help_seconds"], "value": 9.0}}
    report.write(again, path)
    stored = json.loads(path.read_text())
    assert stored["help_seconds"]["value"] == 9.0 and stored["train_vs_bare"] == found["train_vs_bare"]
    report.write({**again, "machine": {**found["machine"], "git_commit": "another"}}, path)
    assert "train_vs_bare" not in json.loads(path.read_text())


def test_the_page_takes_the_table_between_its_marks(
    found: Entries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "PICTURE", tmp_path / "img/growth.png")
    monkeypatch.setattr(report, "CURVES", tmp_path / "img/quality.png")
    report.render(found)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "\nold\n" not in text and "deepinv" in text
    for name in ("growth", "quality"):
        assert (tmp_path / f"img/{name}.png").stat().st_size > 10_000


def test_the_script_trains_the_same_network_as_ours() -> None:
    theirs = [tuple(parameter.shape) for parameter in script.network().parameters()]
    ours = [tuple(parameter.shape) for parameter in models.parse("conv").build(script.SIZE).parameters()]
    assert theirs == ours
    assert sum(int(np.prod(shape)) for shape in theirs) == 121_091


def test_our_side_runs_through_the_engine(photos: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(tmp_path / "cache"))
    for split, pixels in (("train", photos[:64]), ("test", photos[64:])):
        pictures._write(tmp_path, split, iter(pixels.transpose(0, 2, 3, 1)), len(pixels), "png")
    load = {"root": str(tmp_path), "results": str(tmp_path / "results"), "model": "conv", "cells": 2, "workers": 1}
    found = fresh.call("ours:grid", **load, recipe={"epochs": 2, "batch_size": 32})
    assert found["images"] == 64 and found["tested"] == 32 and 5 < found["psnr"] < 40
    assert 0 < found["training_seconds"] < found["work_seconds"] < found["total_seconds"]
    assert found["images_per_second"] == pytest.approx(2 * 2 * 64 / found["training_seconds"])


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(fresh.Failed, match=r"(?s)growth:load.*absent"):
        fresh.call("growth:load", node={"folder": {"root": "absent"}})


def test_the_script_learns() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(16, 3, 1, 1).expand(16, 3, script.SIZE, script.SIZE)
    epochs = script.train(script.network(), [pixels] * 4)
    losses = [next(epochs)[0] for _ in range(6)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_reference_curve_is_the_whole_training() -> None:
    conditions, rows = reference.curve()
    assert rows[-1][0] == reference.EPOCHS and all(
        word in conditions for word in ("Adam", "batch 64", "28x28", "torch")
    )
    assert [epoch for epoch, _, _ in rows][-reference.LAST :] == list(range(241, 251))


def test_made_up_images_are_all_different(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    base = draw.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    endless = pictures._moved(base)
    made = {next(endless).tobytes() for _ in range(5 * 8 * 8)}
    assert len(made) == 5 * 8 * 8
