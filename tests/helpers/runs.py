"""Small things to train, score and run: images, cells, specs, and the command line."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from bench.cli.main import main
from bench.datasets import Data
from bench.models import models
from bench.noises import Noise, noises
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.results.tables import VOLATILE
from bench.spec import Train, load, parse
from bench.spec.cells import Cell, Work
from bench.spec.plan import works_of
from bench.spec.protocol import score_id
from bench.training.score import Score
from bench.training.state import Epoch, State

SPEC = """\
name: tiny
dataset: {name: folder, root: ROOT, size: 16, train: 40, validation: 0.2, test: 10}
models: [{conv: {width: 4}}, identity]
noises:
  - gaussian: {sigma: 0.1}
  - masking: {p: 0.25}
train: {epochs: 2, batch_size: 16, lr: 2.0e-3, device: cpu}
"""


class Forbidden:
    """Stands for images that must not be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"read {name} of images that are none of its business")

    def __len__(self) -> int:
        raise AssertionError("counted images that are none of its business")

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("read images that are none of its business")


def pictures(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """(count, 3, size, size) uint8, smooth."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in coarse]
    return np.stack(large).transpose(0, 3, 1, 2).copy()


def images(train: int = 40, validation: int = 10, test: int = 10, size: int = 16) -> Data:
    return Data(
        pictures(train, size, 1), pictures(validation, size, 2), pictures(test, size, 3), label="made up", notes=()
    )


def cell(
    model: Any = "identity", noise: Any = "gaussian", seed: int = 0, objective: str = "denoise", **train: Any
) -> Cell:
    """A cell; its training is short, on the processor and in float32 unless said otherwise."""
    found = models.parse(model)
    if not found.trains:
        return Cell(found, None, None, None, {"train": 40, "test": 10})
    settings = Train(**{"epochs": 3, "batch_size": 16, "precision": "float32", "device": "cpu", "lr": 2e-3, **train})
    met: Noise | None = noises.parse(noise) if objective != "autoencode" else None
    return Cell(found, met, seed, settings, {"train": 40, "test": 10})


def spec(folder: Path, *changes: tuple[str, str]) -> Path:
    """The small spec in a folder, its pictures beside it, with parts of the text replaced."""
    root = folder / "images"
    if not root.exists():
        for split, count, seed in (("train", 40, 1), ("test", 10, 3)):
            home = root / split
            home.mkdir(parents=True)
            for position, image in enumerate(pictures(count, 16, seed)):
                Image.fromarray(image.transpose(1, 2, 0)).save(home / f"{position:02}.png")
    text = SPEC.replace("ROOT", str(root))
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


def stored(
    root: Path, text: str | Path, score: Callable[[Work, Noise], Mapping[str, np.ndarray] | str | None]
) -> Store:
    """A results folder as if a spec had been run.

    score: the values of every test image by metric, or the reason of a failure, or nothing for what wasn't run.
    """
    experiment = load(text) if isinstance(text, Path) else parse(text)
    works = works_of(experiment)
    store = Store(root)
    store.begin(experiment.node(), RunPlan.of(experiment, works))
    store.describe_environment({"noise-bench": "0", "cpu": "none", "libraries": {"torch": "0"}})
    history = (Epoch(1, 0.5, 0.25, 2.0),)
    for work in works:
        folder = store.cell(work.cell.id)
        seed = np.full(1, work.cell.seed or 0, np.float32)
        state = State(kept={"a": seed}, history=history, kept_epoch=1) if work.cell.train else None
        folder.finish(work.cell, state, {"dataset": "made up", "size": 16, "parameters": 7, "macs": 11})
        reasons = {}
        for noise in work.tests:
            values = score(work, noise)
            if isinstance(values, str):
                reasons[score_id(noise, work.cell.data)] = values
            elif values is not None:
                sample = np.zeros((2, 3, 16, 16), np.uint8)
                samples = {"original": sample, "noisy": sample, "output": sample}
                folder.finish_score(noise, work.cell.data, Score(dict(values), 3.0, 4.0, samples))
        if reasons:
            folder.fail("a test failed", reasons)
    return store


def bench(*words: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


# Whoever runs the tests in the background of a shell lets them start with interrupts ignored.
HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def run(spec: Path, results: Path, *options: object) -> Result:
    """`bench run` in this process, without figures, which take seconds."""
    return bench("run", spec, "--results", results, "--no-figures", *options)


def run_command(spec: Path, results: Path, *options: object) -> list[str]:
    """The same for a process of its own."""
    words = ["run", spec, "--results", results, "--no-figures", *options]
    return [sys.executable, "-c", f"{HEEDING}; from bench.cli.main import entry; entry()", *map(str, words)]


def run_apart(spec: Path, results: Path, *options: object, cache: Path) -> "subprocess.CompletedProcess[str]":
    """`bench run` in a process of its own, without figures."""
    command = run_command(spec, results, *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment(cache))


def steady(results: Path) -> list[dict[str, str]]:
    """The rows of results.csv without what may differ between two runs."""
    rows = csv.DictReader(io.StringIO(results.read_text()))
    return [{key: value for key, value in row.items() if key not in VOLATILE} for row in rows]


def family(leader: int) -> list[int]:
    """The processes of a process group that are still alive, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == leader and state != "Z":
                found.append(int(entry.name))
    return found


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "NOISE_BENCH_CACHE": str(cache)}
