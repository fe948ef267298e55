"""noise-bench's side of each comparison. Every function runs in a process of its own, by `fresh.call`."""

import json
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import metrics, spec
from bench.datasets import Data
from bench.models import TrainableModel, models
from bench.noises import noises
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.running import engine, events, pools
from bench.spec import cells, plan, protocol
from bench.training import train
from bench.training.budget import Budget
from bench.training.state import State
from tests.perf import peers
from tests.perf.script import SIGMA, SIZE

METRICS = ["mse", "psnr", "ssim", "ssim_uniform"]
PASSES = 5  # over the images to be scored: one takes half a second
NOISE = {"gaussian": {"sigma": SIGMA}}


def grid(
    root: str,
    results: str,
    model: str,
    cells: int,
    workers: int,
    recipe: dict[str, Any],
    images: int | None = None,
) -> dict[str, Any]:
    """A grid of equal cells, trained and scored by the engine as `bench run` drives it.

    training_seconds: from the start of the first epoch of any cell to the end of the last; scoring of cells that end
        before the others, checkpoints and the way between processes lie inside. The start of processes does not.
    work_seconds: the same up to the last score. total_seconds: with the start of processes, and reading the images.
    images_per_second: images trained by all cells per second of training_seconds.
    """
    content = {
        "name": "grid",
        "dataset": {"name": "folder", "root": root, "size": SIZE, "validation": 0, "train": images},
        "models": [model],
        "noises": [NOISE],
        "train": recipe,
        "metrics": ["mse", "psnr"],
        "seeds": list(range(cells)),
    }
    experiment = plan.resolved(spec.parse(json.dumps(content)))
    works = plan.works_of(experiment)
    store = Store(Path(results))
    store.begin(experiment.node(), RunPlan.of(experiment, works))
    started = time.perf_counter()
    begin, trained, scored = float("inf"), 0.0, 0.0
    psnr = []
    for event in engine.run(experiment, works, store, workers):
        now = time.perf_counter()
        match event:
            case events.Trained(last=last):
                begin, trained = min(begin, now - last.seconds), now
            case events.Scored(means=means):
                scored = now
                psnr.append(means["psnr"])
            case events.Failed(reason=reason):
                raise RuntimeError(reason)
    settings, count = works[0].cell.train, works[0].cell.data["train"]
    assert settings is not None
    return {
        "images": count,
        "images_per_second": cells * Budget.of(settings, count).images / (trained - begin),
        "training_seconds": trained - begin,
        "work_seconds": scored - begin,
        "total_seconds": scored - started,
        "psnr": float(np.mean(psnr)),
        "tested": works[0].cell.data["test"],
        "precision": settings.precision,
        "batch_size": settings.batch_size,
        "optimizer": settings.optimizer,
        "threads": settings.threads,
    }


def beside_bare(images: int, epochs: int, batch: int, pairs: int) -> dict[str, Any]:
    """Images per second of `advance` on the study's network, and of bare steps, in turns, one thread.

    epochs: of each turn. The first epoch of ours and the first steps of the other come before and are not counted.
    """
    pools.keep_memory()  # as every process of ours does; here it serves both
    pixels = np.random.default_rng(0).integers(0, 256, (images, 3, SIZE, SIZE), dtype=np.uint8)
    data = Data(pixels, pixels[:0], pixels[:1], "random")
    asked = spec.Train(epochs=1 + epochs * pairs, batch_size=batch, threads=1, device="cpu", keep="last", compile="off")
    settings = plan.resolve(asked)
    model = models.parse("conv")
    assert isinstance(model, TrainableModel)
    cell = cells.Cell(model, noises.parse(NOISE), 0, settings, {"train": images})
    bare = peers.bare(train.build(model, SIZE, 0), batch, settings.precision)
    state = train.advance(cell, data, State(), 1)
    bare(images // batch)
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(pairs):
        started = time.perf_counter()
        state = train.advance(cell, data, state, epochs)
        found["ours"].append(images * epochs / (time.perf_counter() - started))
        found["bare"].append(images * epochs / bare(images * epochs // batch))
    return {**found, "precision": settings.precision}


def evaluate(folder: str, count: int, values: int) -> dict[str, Any]:
    """Seconds for all metrics of the images in `folder`, in two processes of one thread that start together.

    The mean of some passes over all of them.
    values: how many images' values come back, to be compared.
    """
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    halves = [(0, count // 2), (count // 2, count)]
    processes = [context.Process(target=_half, args=(folder, half, barrier, answers)) for half in halves]
    for process in processes:
        process.start()
    found = sorted(answers.get() for _ in processes)
    for process in processes:
        process.join()
    columns = {name: np.concatenate([part[3][name] for part in found])[:values].tolist() for name in METRICS}
    seconds = (max(part[2] for part in found) - min(part[1] for part in found)) / PASSES
    return {"seconds": seconds, "values": columns}


def _half(folder: str, rows: tuple[int, int], barrier: Barrier, answers: Any) -> None:
    pools.keep_memory()  # as every process of ours does
    torch.set_num_threads(1)
    chosen = [metrics.metrics.parse(name) for name in METRICS]
    images, targets = (
        torch.from_numpy(np.load(Path(folder) / f"{name}.npy", mmap_mode="r")[slice(*rows)].copy())
        for name in ("images", "targets")
    )
    metrics.compute(chosen, images[: protocol.CHUNK], targets[: protocol.CHUNK])  # what is built at first use
    barrier.wait()
    started = time.monotonic()
    chunks = list(zip(images.split(protocol.CHUNK), targets.split(protocol.CHUNK), strict=True))
    for _ in range(PASSES):
        parts = [metrics.compute(chosen, *chunk) for chunk in chunks]
    ended = time.monotonic()
    values = {name: torch.cat([part[name] for part in parts]).numpy() for name in METRICS}
    answers.put((rows[0], started, ended, values))
