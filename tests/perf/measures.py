"""What `make perf` measures, group by group: each gives the entries of results/perf.json that it stands for."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.spec import Train

from . import fresh, growth, pictures, reference
from .ours import METRICS
from .script import BATCH

Entry = dict[str, Any]
PROCESSES = 2  # on as many cores: what `make perf` is about
LOADERS = (0, 1, 2)

# What reaches the study's PSNR soonest; epochs: the budgets to try, smallest first, each a full cosine schedule.
RECIPES: dict[str, dict[str, Any]] = {
    "unet": {"batch_size": 32, "lr": 2e-3, "epochs": [8, 10, 13, 16]},
    "conv": {"batch_size": 32, "lr": 2e-3, "epochs": [30, 40, 50, 60]},
}


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    rounds: of each comparison. images, epochs, cells: of the grid that training speed is measured on.
    grid_cells, grid_epochs: of the grid that two processes and one take.
    scored, peer_scored: images for the metrics, and how many of them scikit-image gets.
    growth_cells, rerun_cells: sizes of grids. growth_images: training and test images of small and large data.
    help_calls: of `bench --help`. recipes: model -> training settings that reach the study's PSNR.
    """

    rounds: int = 3
    images: int = 2500
    epochs: int = 6
    cells: int = 4
    grid_cells: int = 8
    grid_epochs: int = 4
    scored: int = 10_000
    peer_scored: int = 2000
    growth_cells: tuple[int, ...] = (10, 100, 1000)
    rerun_cells: int = 200
    growth_images: tuple[tuple[int, int], ...] = ((4850, 1000), (48_500, 10_000))
    help_calls: int = 11
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: RECIPES)


@dataclass(frozen=True)
class Bench:
    """Where and how a group measures. data: an ImageFolder. work: a folder that is removed afterwards."""

    data: Path
    work: Path
    settings: Settings
    say: Callable[[str], None]

    def folder(self) -> str:
        """A new folder, so that no result is taken up again."""
        return tempfile.mkdtemp(dir=self.work)

    def grid(self, **arguments: Any) -> dict[str, Any]:
        """One run of our engine on the data."""
        return fresh.call("ours:grid", **{"root": str(self.data), "results": self.folder(), **arguments})

    def rounds(self, figure: str, **sides: Callable[[], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        return fresh.rounds(self.settings.rounds, sides, figure, self.say)


def entry(values: Sequence[float], unit: str, conditions: str, **more: Any) -> Entry:
    """The median of what was found, its range, and what it holds for."""
    return {
        "value": float(np.median(values)),
        "unit": unit,
        "range": [min(values), max(values)],
        "conditions": conditions,
        **more,
    }


def training(bench: Bench) -> dict[str, Entry]:
    """Training speed of the whole machine: our grid, the study's kind of script, deepinv's Trainer."""
    chosen = bench.settings
    load = {"root": str(bench.data), "images": chosen.images, "epochs": max(1, chosen.epochs // 2)}
    probes = {workers: fresh.call("script:speed", **load, workers=workers) for workers in LOADERS}
    best = max(probes, key=lambda workers: probes[workers]["images_per_second"])
    ours = {"model": "conv", "cells": chosen.cells, "workers": PROCESSES, "images": chosen.images, "test": 128}
    recipe = {"epochs": chosen.epochs, "threads": 1}
    found = bench.rounds(
        "images_per_second",
        ours=lambda: bench.grid(**ours, recipe=recipe),
        script=lambda: fresh.call("script:speed", **load, workers=best),
        float32=lambda: bench.grid(**ours, recipe={**recipe, "precision": "float32"}),
        deepinv=lambda: fresh.call("peers:deepinv_trainer", **load),
    )
    tried = ", ".join(f"{workers}: {probe['images_per_second']:,.0f}" for workers, probe in probes.items())
    others = {
        "script": f"script: PIL, torchvision transforms, DataLoader, float32, batch {BATCH}, "
        f"{found['script'][0]['threads']} threads, {best} loader workers, the best of {{{tried}}} images/s",
        "deepinv": f"deepinv Trainer: images in memory as float tensors, float32, batch {BATCH}, "
        f"{found['deepinv'][0]['threads']} threads, no progress bar, metrics or files",
    }
    return {
        f"train_vs_{other}{suffix}": _speeds(found[side], found[other], f"{_grid(found[side], chosen)}; {text}")
        for other, text in others.items()
        for side, suffix in (("ours", ""), ("float32", "_float32"))
    }


def _grid(runs: Sequence[Mapping[str, Any]], chosen: Settings) -> str:
    run = runs[0]
    starts = fresh.median([each["total_seconds"] - each["work_seconds"] for each in runs])
    return (
        f"the study's network at 28x28, {run['images']:,} images; ours: {chosen.cells} cells of {chosen.epochs} epochs, "
        f"{PROCESSES} processes of {run['threads']} thread, {run['precision']}, batch {run['batch_size']}, from the start of "
        f"the first epoch to the end of the last one (starting processes and reading images took {starts:.1f} s before)"
    )


def _speeds(ours: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], conditions: str) -> Entry:
    """Images per second, ours over the other's, round by round."""
    mine, theirs = ([run["images_per_second"] for run in runs] for runs in (ours, other))
    return entry(_ratios(mine, theirs), "ratio", conditions, ours=_figure(mine), other=_figure(theirs))


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _figure(values: Sequence[float], unit: str = "images/s") -> Entry:
    return {"value": float(np.median(values)), "unit": unit, "range": [min(values), max(values)]}


def bare(bench: Bench) -> dict[str, Entry]:
    """What is lost between PyTorch's own speed and ours, in one process of one thread."""
    chosen = bench.settings
    batch = Train().batch_size
    load = {"images": max(batch, chosen.images // batch * batch), "epochs": chosen.epochs, "batch": batch}
    precision = fresh.call("ours:advance", **{**load, "epochs": 1}, precision="auto")["precision"]
    found = bench.rounds(
        "images_per_second",
        ours=lambda: fresh.call("ours:advance", **load, precision=precision),
        bare=lambda: fresh.call("peers:bare", **load, precision=precision),
    )
    said = (
        f"the study's network at 28x28, {precision}, batch {batch}, 1 thread, channels_last, fused Adam; "
        f"ours: bench.train.advance, {chosen.epochs} epochs of {load['images']:,} images in memory, gaussian noise, its "
        "set-up and state included; bare: forward, backward and step, again and again on one batch"
    )
    return {"train_vs_bare": _speeds(found["ours"], found["bare"], said)}


def evaluation(bench: Bench) -> dict[str, Entry]:
    """MSE, PSNR and both SSIMs: our two processes against one of scikit-image."""
    chosen = bench.settings
    folder = bench.folder()
    pictures.pairs(bench.data, Path(folder), chosen.scored)
    found = bench.rounds(
        "seconds",
        ours=lambda: fresh.call("ours:evaluate", folder=folder, count=chosen.scored, values=chosen.peer_scored),
        skimage=lambda: fresh.call("peers:evaluate", folder=folder, count=chosen.peer_scored),
    )
    scale = chosen.scored / chosen.peer_scored
    mine = [run["seconds"] for run in found["ours"]]
    theirs = [scale * run["seconds"] for run in found["skimage"]]
    said = (
        f"MSE, PSNR, SSIM (Gaussian) and SSIM (7x7) of {chosen.scored:,} images of 32x32, float64; ours: {PROCESSES} "
        f"processes of 1 thread, in chunks as tests are scored; scikit-image: one process, timed on {chosen.peer_scored:,} "
        f"images and scaled"
    )
    apart = {
        name: float(np.abs(np.subtract(found["ours"][0]["values"][name], found["skimage"][0]["values"][name])).max())
        for name in METRICS
    }
    listed = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    return {
        "eval_vs_skimage": entry(
            _ratios(theirs, mine), "ratio", said, ours=_figure(mine, "s"), other=_figure(theirs, "s")
        ),
        "metric_max_difference": entry(
            [max(apart.values())], "absolute", f"largest of {chosen.peer_scored:,} images and four metrics: {listed}"
        ),
    }


def processes(bench: Bench) -> dict[str, Entry]:
    """The same grid in two processes of one thread and in one process of two threads."""
    chosen = bench.settings
    load = {"model": "conv", "cells": chosen.grid_cells, "images": chosen.images}
    found = bench.rounds(
        "work_seconds",
        two=lambda: bench.grid(**load, workers=2, recipe={"epochs": chosen.grid_epochs, "threads": 1}),
        one=lambda: bench.grid(**load, workers=1, recipe={"epochs": chosen.grid_epochs, "threads": 2}),
    )
    two, one = ([run["work_seconds"] for run in found[side]] for side in ("two", "one"))
    whole = [fresh.median([run["total_seconds"] for run in found[side]]) for side in ("one", "two")]
    run = found["two"][0]
    psnr = ", ".join(f"{found[side][0]['psnr']:.3f}" for side in ("two", "one"))
    said = (
        f"{chosen.grid_cells} cells of the study's network at 28x28, {chosen.grid_epochs} epochs of {run['images']:,} "
        f"images each, {run['precision']}, batch {run['batch_size']}, trained and scored; from the start of the first epoch "
        f"to the last score; with the start of processes {whole[0] / whole[1]:.2f} ({whole[0]:.1f} s / {whole[1]:.1f} s); "
        f"mean PSNR {psnr} dB"
    )
    return {
        "grid_two_vs_one": entry(_ratios(one, two), "ratio", said, ours=_figure(two, "s"), other=_figure(one, "s"))
    }


def quality(bench: Bench) -> dict[str, Entry]:
    """Seconds to the PSNR that the study's recipe ends with: its script against our models."""
    if not pictures.CIFAR10.is_dir():
        return {
            key: {"value": None, "unit": "ratio", "range": None, "conditions": f"not measured: needs {pictures.CIFAR10.name}"}
            for key in ("time_to_quality", "time_to_quality_same_network")
        }
    bench = Bench(pictures.CIFAR10, bench.work, bench.settings, bench.say)
    chosen, wanted = bench.settings, reference.target()
    recipes = {model: _enough(bench, model, wanted) for model in chosen.recipes}
    load = {"root": str(bench.data), "images": None, "epochs": 2, "workers": 0}
    found = bench.rounds(
        "training_seconds",
        script=lambda: _whole_training(fresh.call("script:speed", **load)),
        **{model: partial(_to_quality, bench, model, recipe) for model, recipe in recipes.items()},
    )
    names = {"unet": "time_to_quality", "conv": "time_to_quality_same_network"}
    theirs = [run["training_seconds"] for run in found["script"]]
    entries = {}
    for model, recipe in recipes.items():
        mine = [run["training_seconds"] for run in found[model]]
        run = found[model][0]
        said = (
            f"{wanted:.2f} dB on {pictures.number(bench.data, 'test')} held-out images of {bench.data.name} at 28x28, gaussian "
            f"sigma 0.1, {run['images']:,} training images; script: seconds per epoch x {reference.EPOCHS} epochs, scoring "
            f"not counted; ours: {model}, {recipe['epochs']} epochs, batch {recipe['batch_size']}, lr {recipe['lr']:g}, cosine, "
            f"{run['precision']}, 2 threads, reaches {run['psnr']:.2f} dB; with start and scoring {run['total_seconds']:.1f} s"
        )
        reached = run["psnr"] >= wanted
        ratios = _ratios(theirs, mine)
        entries[names[model]] = entry(
            ratios, "ratio", said if reached else f"NOT REACHED: {said}", ours=_figure(mine, "s"), other=_figure(theirs, "s")
        )
    return entries


def _enough(bench: Bench, model: str, wanted: float) -> dict[str, Any]:
    """The recipe with the smallest budget of epochs that reaches the PSNR wanted; the largest if none does."""
    recipe = dict(bench.settings.recipes[model])
    for epochs in recipe.pop("epochs"):
        tried = {**recipe, "epochs": epochs, "threads": 2}
        psnr = _to_quality(bench, model, tried)["psnr"]
        bench.say(f"  {model}, {epochs} epochs: {psnr:.3f} dB of {wanted:.3f} dB")
        if psnr >= wanted:
            break
    return tried


def _to_quality(bench: Bench, model: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    return bench.grid(model=model, cells=1, workers=1, recipe=recipe)


def _whole_training(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "training_seconds": reference.EPOCHS * run["seconds_per_epoch"]}


def small(bench: Bench) -> dict[str, Entry]:
    """What a run costs besides training and scoring."""
    chosen = bench.settings
    folder = Path(bench.folder())
    grids = {count: growth.cells(folder, count) for count in sorted({*chosen.growth_cells, chosen.rerun_cells})}
    for count, found in grids.items():
        bench.say(f"  {count} cells: {found['seconds']:.1f} s, overhead {found['overhead_ms']:.0f} ms per cell")
    growth.rerun(folder, chosen.rerun_cells)
    reruns = [growth.rerun(folder, chosen.rerun_cells) for _ in range(chosen.rounds)]
    helps = [fresh.bench("--help")[0] for _ in range(chosen.help_calls)]
    steady = [found["overhead_ms"] for count, found in grids.items() if count >= min(100, max(grids))]
    tiny = "one epoch of 128 images of 8x8, 128 scored"
    return {
        "rerun_seconds": entry(
            [seconds for seconds, _ in reruns],
            "s",
            f"`bench run` of a finished grid of {chosen.rerun_cells} cells, {sum(n for _, n in reruns)} trainings",
            trainings=sum(n for _, n in reruns),
        ),
        "cell_overhead_ms": entry(
            steady,
            "ms",
            f"{PROCESSES} processes, grids of {', '.join(f'{n:,}' for n in grids)} cells ({tiny}): time of both processes per "
            "cell from the first score stored to the last, less training and scoring",
        ),
        "help_seconds": entry(helps, "s", f"`bench --help`, {len(helps)} calls"),
        "growth_cells": _growth(
            [{"cells": count, **found} for count, found in grids.items()], "cells", f"`bench run` of cells with {tiny}"
        ),
    }


def large(bench: Bench) -> dict[str, Entry]:
    """Memory and time with a tenth of the images and with all of them."""
    folder = Path(bench.folder())
    most = dict(zip(("train", "test"), bench.settings.growth_images[-1], strict=True))
    data = pictures.large(bench.data, folder, most)
    runs = []
    for train, test in bench.settings.growth_images:
        runs.append(growth.images(folder, data, train, test))
        bench.say(f"  {train + test:,} images: {runs[-1]['seconds']:.1f} s, {runs[-1]['worker_peak_mb']:,.0f} MB at the peak")
    last = runs[-1]
    models = ", ".join(last["training_seconds"])
    said = (
        f"largest USS of a worker process of `bench run --workers {PROCESSES}`, looked at every {growth.EVERY} s; {last['images']:,} "
        f"images of 32x32 ({data.name}), models of experiments/default.yaml ({models} trained an epoch, batch "
        f"{last['batch_size']}), all scored"
    )
    return {
        "worker_peak_mb": entry([last["worker_peak_mb"]], "MB", said),
        "growth_images": _growth(runs, "images", "`bench run` of one epoch of each default model and one test"),
    }


def _growth(points: Sequence[Mapping[str, Any]], what: str, conditions: str) -> Entry:
    """value: time for each further cell or image between smallest and largest, over that of the smallest."""
    first, last = points[0], points[-1]
    slope = (last["seconds"] / first["seconds"]) / (last[what] / first[what])
    text = f"{conditions}: cost per item, largest over smallest ({last[what]:,} and {first[what]:,} {what}); 1 is linear"
    return {"value": slope, "unit": "ratio", "range": [slope, slope], "conditions": text, "points": list(points)}


GROUPS: dict[str, Callable[[Bench], dict[str, Entry]]] = {
    "training": training,
    "bare": bare,
    "evaluation": evaluation,
    "processes": processes,
    "small": small,
    "large": large,
    "quality": quality,
}
