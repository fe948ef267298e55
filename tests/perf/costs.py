"""What a run costs besides training and scoring, and how that grows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.perf import fresh, growth, pictures
from tests.perf.base import PROCESSES, Bench, Entry, entry

TINY = "an epoch of 128 images of 8x8 and 128 scored"
STEADY = 100  # cells from which on the start no longer shows


def small(bench: Bench) -> dict[str, Entry]:
    """Grids of cells with next to nothing to train, a rerun, and `bench --help`."""
    chosen = bench.settings
    folder = Path(bench.folder())
    grids = {count: growth.cells(folder, count) for count in sorted({*chosen.growth_cells, chosen.rerun_cells})}
    for count, found in grids.items():
        bench.say(f"  {count} cells: {found['seconds']:.1f} s, overhead {found['overhead_ms']:.0f} ms per cell")
    longer = growth.cells(folder, max(grids), chosen.busy_images)
    bench.say(f"  {max(grids)} cells of {longer['work_ms']:.0f} ms: {longer['busy']:.2f} of the time computed")
    reruns = [growth.rerun(folder, chosen.rerun_cells) for _ in range(1 + chosen.rounds)][1:]  # the first reads files
    trainings = sum(count for _, count in reruns)
    helps = [fresh.bench("--help")[0] for _ in range(chosen.help_calls)]
    steady = {count: found for count, found in grids.items() if count >= min(STEADY, max(grids))}
    points = [{"cells": count, **found} for count, found in grids.items()]
    return {
        "rerun_seconds": entry(
            [seconds for seconds, _ in reruns],
            "s",
            f"`bench run` of a finished grid of {chosen.rerun_cells} cells ({TINY}), {trainings} trainings",
            trainings=trainings,
        ),
        "cell_overhead_ms": entry(
            [found["overhead_ms"] for found in steady.values()],
            "ms",
            f"grids of {', '.join(f'{n:,}' for n in steady)} cells ({TINY}), {PROCESSES} processes: the "
            "time of both, from the first score stored to the last, less training and scoring, per cell",
        ),
        "workers_busy": entry(
            [longer["busy"]],
            "absolute",
            f"{max(grids):,} cells of {longer['work_ms']:.0f} ms (the same, {chosen.busy_images:,} images each): "
            "CPU time of both processes over twice the time from the first score stored to the last; one every "
            f"{longer['per_cell_ms']:.0f} ms",
        ),
        "help_seconds": entry(helps, "s", f"`bench --help`, {len(helps)} calls"),
        "growth_cells": _growth(
            steady[min(steady)]["per_cell_ms"],
            steady[max(steady)]["per_cell_ms"],
            f"`bench run`, each cell {TINY}: time between the first score stored and the last, per cell, with "
            f"{max(steady):,} cells over that with {min(steady):,}",
            points,
        ),
    }


def large(bench: Bench) -> dict[str, Entry]:
    """Memory and time with a tenth of the images and with all of them."""
    folder = Path(bench.folder())
    most = dict(zip(("train", "test"), bench.settings.growth_images[-1], strict=True))
    data = pictures.large(bench.data, folder, most)
    runs = []
    for train, test in bench.settings.growth_images:
        run = growth.images(folder, data, train, test)
        bench.say(f"  {train + test:,} images: {run['seconds']:.1f} s, {run['worker_peak_mb']:,.0f} MB at the peak")
        runs.append(run)
    last = runs[-1]
    said = (
        f"largest USS of a worker of `bench run --workers {PROCESSES}`, looked at every {growth.EVERY} s; "
        f"{last['images']:,} images of 32x32 ({data.name}), models of experiments/default.yaml "
        f"({', '.join(last['training_seconds'])} trained for an epoch, each as its recipe says), all scored"
    )
    return {
        "worker_peak_mb": entry([last["worker_peak_mb"]], "MB", said),
        "growth_images": _growth(
            _per_image(runs[0]),
            _per_image(last),
            f"`bench run`, each default model an epoch and a test: seconds of training and scoring, per image, with "
            f"{last['images']:,} images over that with {runs[0]['images']:,}",
            runs,
        ),
    }


def _growth(first: float, last: float, conditions: str, points: Sequence[Mapping[str, Any]]) -> Entry:
    """value: what each item costs among many over what each costs among few."""
    return entry([last / first], "ratio", f"{conditions}; 1 is linear", points=list(points))


def _per_image(run: Mapping[str, Any]) -> float:
    return (sum(run["training_seconds"].values()) + run["scoring_seconds"]) / run["images"]
