"""Seconds to the PSNR that the study's recipe ends with: its script against our models."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.perf import fresh, pictures, reference
from tests.perf.base import Bench, Entry, Runs, faster, middle

KEYS = {"time_to_quality": "res_unet", "time_to_quality_same_network": "conv"}


def quality(bench: Bench) -> dict[str, Entry]:
    """Our models on the data that the reference curve belongs to."""
    data = pictures.CIFAR10
    if not data.is_dir():
        absent = {"value": None, "unit": "ratio", "range": None, "conditions": f"not measured: needs {data.name}"}
        return dict.fromkeys(KEYS, absent)
    bench = dataclasses.replace(bench, data=data)
    found = bench.rounds(
        "training_seconds",
        script=partial(_whole_training, root=str(data), images=None, epochs=2, workers=0),
        **{model: partial(_trained, bench, model, bench.settings.budgets[model][0]) for model in KEYS.values()},
    )
    return {key: _entry(bench, model, found) for key, model in KEYS.items()}


def _trained(bench: Bench, model: str, images: int) -> dict[str, Any]:
    return bench.grid(model=model, cells=1, workers=1, recipe={"images": images, "threads": 2})


def _whole_training(**load: Any) -> dict[str, Any]:
    run = fresh.call("script:speed", **load)
    return {**run, "training_seconds": reference.EPOCHS * run["seconds_per_epoch"]}


def _curve(bench: Bench, model: str, run: Mapping[str, Any]) -> list[dict[str, float]]:
    """Seconds and PSNR of trainings with more and with less budget than the one that counts, which is `run`."""
    first, *others = bench.settings.budgets[model]
    runs = [(first, run), *((images, _trained(bench, model, images)) for images in others)]
    points = [{"images": images, **{key: found[key] for key in ("training_seconds", "psnr")}} for images, found in runs]
    return sorted(points, key=lambda point: point["images"])


def _entry(bench: Bench, model: str, found: Mapping[str, Runs]) -> Entry:
    """The ratio of seconds; without a value where the PSNR was not reached."""
    run, wanted = found[model][0], reference.target()
    images = bench.settings.budgets[model][0]
    said = (
        f"{wanted:.2f} dB on the {run['tested']} test images of {bench.data.name} at 28x28, sigma 0.1; "
        f"{run['images']:,} training images; script: seconds per epoch x {reference.EPOCHS} epochs, scoring not "
        f"counted; ours: {model} trained with {images:,} images by its recipe ({run['optimizer']}, batch "
        f"{run['batch_size']}), {run['precision']}, {run['threads']} threads, ends at {run['psnr']:.2f} dB; with start "
        f"and scoring {run['total_seconds']:.1f} s"
    )
    measured = faster(found[model], found["script"], "training_seconds", "s", said)
    measured |= {"points": _curve(bench, model, run), "seconds_per_epoch": middle(found["script"], "seconds_per_epoch")}
    if run["psnr"] >= wanted:
        return measured
    return {**measured, "value": None, "range": None, "conditions": f"NOT REACHED: {said}"}
