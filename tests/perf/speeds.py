"""Speeds beside those of others: training, scoring, and a grid in two processes."""

from pathlib import Path

import numpy as np

from bench.spec import Train
from tests.perf import fresh, pictures
from tests.perf.base import ADAM, PROCESSES, Bench, Entry, Runs, Settings, entry, faster, middle
from tests.perf.ours import METRICS
from tests.perf.script import BATCH

LOADERS = (0, 1, 2)


def training(bench: Bench) -> dict[str, Entry]:
    """Training speed of the whole machine: our grid, the study's kind of script, deepinv's Trainer."""
    chosen = bench.settings
    load = {"root": str(bench.data), "images": chosen.images, "epochs": max(1, chosen.epochs // 2)}
    tries = [{workers: fresh.call("script:speed", **load, workers=workers) for workers in LOADERS} for _ in range(2)]
    probes = {workers: max(float(probe[workers]["images_per_second"]) for probe in tries) for workers in LOADERS}
    best = max(probes, key=lambda workers: probes[workers])
    ours = {"model": "conv", "cells": chosen.cells, "workers": PROCESSES, "images": chosen.images}
    settings = {"optimizer": "adam", "epochs": chosen.epochs, "threads": 1}
    found = bench.rounds(
        "images_per_second",
        ours=lambda: bench.grid(**ours, recipe=settings),
        script=lambda: fresh.call("script:speed", **load, workers=best),
        float32=lambda: bench.grid(**ours, recipe={**settings, "precision": "float32"}),
        deepinv=lambda: fresh.call("peers:deepinv_trainer", **load),
    )
    tried = ", ".join(f"{speed:,.0f} with {workers}" for workers, speed in probes.items())
    others = {
        "script": f"script: PIL, torchvision transforms, DataLoader, float32, batch {BATCH}, "
        f"{found['script'][0]['threads']} threads, {best} loader workers, the best of two trials each ({tried})",
        "deepinv": f"deepinv's Trainer: images in memory as float tensors, float32, batch {BATCH}, "
        f"{found['deepinv'][0]['threads']} threads, no progress bar, metrics or files",
    }
    sides = {"ours": "", "float32": "_float32"}
    return {
        f"train_vs_{other}{suffix}": faster(
            found[side], found[other], "images_per_second", "images/s", f"{_grid(found[side], chosen)}; {text}"
        )
        for other, text in others.items()
        for side, suffix in sides.items()
    } | {"psnr_precision": _apart(found["ours"], found["float32"], chosen.cells, "the grids of `train_vs_script`")}


def _grid(runs: Runs, chosen: Settings) -> str:
    run = runs[0]
    starts = middle(runs, "total_seconds") - middle(runs, "work_seconds")
    return (
        f"the study's network at 28x28, {run['images']:,} images; ours: {chosen.cells} cells of {chosen.epochs} "
        f"epochs, {PROCESSES} processes of {run['threads']} thread, {run['precision']}, batch {run['batch_size']}, "
        "from the start of the first epoch to the end of the last one; starting processes and reading images took "
        f"{starts:.1f} s before"
    )


def _apart(first: Runs, second: Runs, cells: int, where: str) -> Entry:
    """How far two ways to train are apart in quality."""
    ours, theirs = first[0]["psnr"], second[0]["psnr"]
    names = [f"{run['precision']}, {run['threads']} threads {run['psnr']:.3f} dB" for run in (first[0], second[0])]
    said = f"{where}, mean over {cells} seeds and {first[0]['tested']} images: {'; '.join(names)}"
    return entry([abs(ours - theirs)], "dB", said)


def bare(bench: Bench) -> dict[str, Entry]:
    """What is lost between PyTorch's own speed and ours, in one process of one thread, in short turns."""
    chosen, batch = bench.settings, Train().batch_size
    images = max(batch, chosen.images // batch * batch)
    run = fresh.call("ours:beside_bare", images=images, epochs=chosen.turn_epochs, batch=batch, pairs=chosen.turns)
    ratios = [f"{ours / other:.2f}" for ours, other in zip(run["ours"], run["bare"], strict=True)]
    bench.say(f"  ours / bare in {chosen.turns} turns: {', '.join(ratios)}")
    said = (
        f"the study's network at 28x28, {run['precision']}, batch {batch}, 1 thread, channels_last, fused Adam; one "
        f"process, {chosen.turns} turns of {chosen.turn_epochs} x {images:,} images each; ours: `advance`, "
        "images in memory, gaussian noise, its set-up and state included; bare: forward, backward and step on one batch"
    )
    ours, other = ([{"images_per_second": value} for value in run[side]] for side in ("ours", "bare"))
    return {"train_vs_bare": faster(ours, other, "images_per_second", "images/s", said)}


def evaluation(bench: Bench) -> dict[str, Entry]:
    """MSE, PSNR and both SSIMs: our two processes against one of scikit-image."""
    count, peer = bench.settings.scored, bench.settings.peer_scored
    folder = bench.folder()
    pictures.pairs(bench.data, Path(folder), count)
    found = bench.rounds(
        "seconds",
        ours=lambda: fresh.call("ours:evaluate", folder=folder, count=count, values=peer),
        skimage=lambda: fresh.call("peers:evaluate", folder=folder, count=peer),
    )
    whole = [{"seconds": run["seconds"] * count / peer} for run in found["skimage"]]
    said = (
        f"MSE, PSNR, SSIM (Gaussian) and SSIM (7x7) of {count:,} images of 32x32, float64; ours: {PROCESSES} processes "
        f"of 1 thread, in chunks as tests are scored, mean of several passes; scikit-image: one process, timed on "
        f"{peer:,} images and scaled"
    )
    mine, theirs = found["ours"][0]["values"], found["skimage"][0]["values"]
    apart = {name: float(np.abs(np.subtract(mine[name], theirs[name])).max()) for name in METRICS}
    listed = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    return {
        "eval_vs_skimage": faster(found["ours"], whole, "seconds", "s", said),
        "metric_max_difference": entry([max(apart.values())], "absolute", f"largest over {peer:,} images: {listed}"),
    }


def processes(bench: Bench) -> dict[str, Entry]:
    """The same grid in two processes of one thread and in one process of two threads."""
    cells, epochs = bench.settings.grid_cells, bench.settings.grid_epochs
    load = {"model": "conv", "cells": cells, "images": bench.settings.images}
    settings = {**ADAM, "epochs": epochs}
    found = bench.rounds(
        "work_seconds",
        two=lambda: bench.grid(**load, workers=2, recipe={**settings, "threads": 1}),
        one=lambda: bench.grid(**load, workers=1, recipe={**settings, "threads": 2}),
    )
    two, one = (middle(found[side], "total_seconds") for side in ("two", "one"))
    run = found["two"][0]
    said = (
        f"{cells} cells of the study's network at 28x28, {epochs} epochs of {run['images']:,} images, "
        f"{run['precision']}, batch {run['batch_size']}, trained and scored; from the start of the first epoch to the "
        f"last score; with the start of processes {one:.1f} s / {two:.1f} s = {one / two:.2f}"
    )
    return {
        "grid_two_vs_one": faster(found["two"], found["one"], "work_seconds", "s", said),
        "psnr_engine": _apart(found["two"], found["one"], cells, "the grids of `grid_two_vs_one`"),
    }
