"""What more cells and more images cost, through the `bench` command and what it stores."""

import contextlib
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from tests.perf import fresh
from tests.perf.base import DEFAULT
from tests.perf.script import SIGMA

WORKERS = 2
EVERY = 0.1  # seconds between two looks at the memory of workers


def cells(folder: Path, count: int, images: int = 128) -> dict[str, float]:
    """Seconds of `bench run` on a grid of cells with next to nothing to train, and its steady state.

    work_ms: training and scoring of a cell. per_cell_ms: between the first score stored and the last, per cell.
    overhead_ms: of the time of all workers in that span, per cell, what is neither training nor scoring. busy: the
    share of it in which they compute anything.
    """
    content: dict[str, Any] = {
        "name": f"cells-{count}" + (f"-{images}-images" if images != 128 else ""),
        "dataset": {"name": "photos", "size": 8, "train": images, "validation": 0, "test": 128},
        "models": [{"conv": {"width": 2}}],
        "noises": [{"gaussian": {"sigma": SIGMA}}],
        "train": {"optimizer": "adam", "epochs": 1, "batch_size": 128},
        "metrics": ["mse", "psnr"],
        "seeds": list(range(count)),
    }
    seconds, used = _computing(spec(folder, content), folder)
    stored = folder / str(content["name"]) / "cells"
    scores = sorted(stored.glob("*/scores/*.json"), key=lambda path: path.stat().st_mtime_ns)
    if len(scores) != count:
        raise fresh.Failed(f"{len(scores)} of {count} cells were scored")
    first, last = (path.stat().st_mtime_ns / 1e9 for path in (scores[0], scores[-1]))
    span = last - first
    busy = sum(_busy(path) for path in scores[1:])
    return {
        "seconds": seconds,
        "work_ms": 1000 * busy / (count - 1),
        "per_cell_ms": 1000 * span / (count - 1),
        "overhead_ms": 1000 * (WORKERS * span - busy) / (count - 1),
        "busy": float(np.interp(last, *used) - np.interp(first, *used)) / (WORKERS * span),
    }


def _computing(path: Path, folder: Path) -> tuple[float, tuple[list[float], list[float]]]:
    """Seconds of `bench run`, and the CPU seconds of its workers by the time of day."""
    command = [*fresh.product(), "run", str(path), "--results", str(folder), "--workers", str(WORKERS)]
    times, used, started = [0.0], [0.0], time.perf_counter()
    with subprocess.Popen(command, cwd=fresh.ROOT, env=fresh.environment(), stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            times.append(time.time())
            used.append(max(used[-1], _cpu_below(running.pid)))
            time.sleep(EVERY)
    if running.returncode:
        raise fresh.Failed(f"{' '.join(command)}: exit code {running.returncode}")
    return time.perf_counter() - started, (times, used)


def _cpu_below(command: int) -> float:
    """CPU seconds of all processes below one, but for those that have just ended."""
    found = 0.0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(command).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                found += times.user + times.system
    return found


def _busy(score: Path) -> float:
    cell = json.loads((score.parents[1] / "cell.json").read_text())
    return float(cell["train_seconds"] + json.loads(score.read_text())["evaluate_seconds"])


def rerun(folder: Path, count: int) -> tuple[float, int]:
    """Seconds of `bench run` on a grid that `cells` has finished, and how many trainings it says it has to do."""
    seconds, said = fresh.bench(
        "run", str(folder / f"cells-{count}.yaml"), "--results", str(folder), "--workers", str(WORKERS)
    )
    return seconds, 0 if re.search(rf"nothing to run: all {count} cells", said) else count


def images(folder: Path, root: Path, train: int, test: int) -> dict[str, Any]:
    """One epoch and one test of every default model through `bench run`: its times, and the memory of its workers.

    Reading the pictures into the cache comes first and is timed apart. worker_peak_mb: the largest USS of a worker.
    """
    content = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    size = {"train": train, "validation": 0.1, "test": test, "size": 32}
    content |= {"name": f"images-{train + test}", "dataset": {"name": "folder", "root": str(root), **size}}
    content |= {"noises": content["noises"][:1], "train": {"epochs": 1}}
    path = spec(folder, content)
    reading = fresh.call("growth:load", node={"folder": {"root": str(root), **size}})
    command = [*fresh.product(), "run", str(path), "--results", str(folder), "--workers", str(WORKERS)]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=fresh.ROOT, env=fresh.environment(), stdout=subprocess.DEVNULL) as running:
        peaks = _watch(psutil.Process(running.pid))
    if running.returncode:
        raise fresh.Failed(f"{' '.join(command)}: exit code {running.returncode}")
    seconds = time.perf_counter() - started
    stored = folder / str(content["name"]) / "cells"
    trained = [cell for path in stored.glob("*/cell.json") if "train_seconds" in (cell := json.loads(path.read_text()))]
    scored = [json.loads(score.read_text()) for score in stored.glob("*/scores/*.json")]
    return {
        "images": train + test,
        "seconds": seconds,
        "reading_seconds": reading,
        "training_seconds": {cell["labels"]["model"]: cell["train_seconds"] for cell in trained},
        "scoring_seconds": sum(score["evaluate_seconds"] for score in scored),
        "worker_peak_mb": max(peaks.values()),
    }


def load(node: dict[str, Any]) -> float:
    """Seconds of reading a dataset that is not in the cache yet."""
    from bench.datasets import datasets

    started = time.perf_counter()
    datasets.parse(node).load()
    return time.perf_counter() - started


def _watch(command: psutil.Process) -> dict[int, float]:
    """The largest USS in MB that each process below a command has had, until the command ends."""
    peaks: dict[int, float] = {}
    while command.is_running() and command.status() != psutil.STATUS_ZOMBIE:
        for process in command.children(recursive=True):
            try:
                peaks[process.pid] = max(peaks.get(process.pid, 0.0), process.memory_full_info().uss / 1e6)
            except psutil.Error:  # it has just ended
                continue
        time.sleep(EVERY)
    return peaks


def spec(folder: Path, content: dict[str, Any]) -> Path:
    """Write a spec."""
    path = folder / f"{content['name']}.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
