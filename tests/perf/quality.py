"""Seconds to the PSNR that the study's recipe ends with: its script against our models."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from . import fresh, pictures, reference
from .base import Bench, Entry, Runs, faster

KEYS = {"unet": "time_to_quality", "conv": "time_to_quality_same_network"}


def quality(bench: Bench) -> dict[str, Entry]:
    """Our models on the data that the reference curve belongs to."""
    data = pictures.CIFAR10
    if not data.is_dir():
        absent = {"value": None, "unit": "ratio", "range": None, "conditions": f"not measured: needs {data.name}"}
        return dict.fromkeys(KEYS.values(), absent)
    bench = dataclasses.replace(bench, data=data)
    wanted = reference.target()
    recipes = {model: _enough(bench, model, wanted) for model in KEYS}
    found = bench.rounds(
        "training_seconds",
        script=partial(_whole_training, root=str(data), images=None, epochs=2, workers=0),
        **{model: partial(_trained, bench, model, recipe) for model, recipe in recipes.items()},
    )
    return {key: _entry(bench, model, recipes[model], found, wanted) for model, key in KEYS.items()}


def _enough(bench: Bench, model: str, wanted: float) -> dict[str, Any]:
    """The recipe with the smallest budget of epochs that reaches the PSNR wanted; the largest if none does."""
    recipe = dict(bench.settings.recipes[model])
    for epochs in recipe.pop("epochs"):
        tried = {**recipe, "epochs": epochs, "threads": 2}
        psnr = _trained(bench, model, tried)["psnr"]
        bench.say(f"  {model}, {epochs} epochs: {psnr:.3f} dB of {wanted:.3f} dB")
        if psnr >= wanted:
            break
    return tried


def _trained(bench: Bench, model: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    return bench.grid(model=model, cells=1, workers=1, recipe=recipe)


def _whole_training(**load: Any) -> dict[str, Any]:
    run = fresh.call("script:speed", **load)
    return {**run, "training_seconds": reference.EPOCHS * run["seconds_per_epoch"]}


def _entry(bench: Bench, model: str, recipe: Mapping[str, Any], found: Mapping[str, Runs], wanted: float) -> Entry:
    """The ratio of seconds; without a value where the PSNR was not reached."""
    run = found[model][0]
    said = (
        f"{wanted:.2f} dB on the {run['tested']} test images of {bench.data.name} at 28x28, sigma 0.1; "
        f"{run['images']:,} training images; script: seconds per epoch x {reference.EPOCHS} epochs, scoring not "
        f"counted; ours: {model}, {recipe['epochs']} epochs, batch {run['batch_size']}, lr {recipe['lr']:g}, cosine, "
        f"{run['precision']}, {run['threads']} threads, ends at {run['psnr']:.2f} dB; with start and scoring "
        f"{run['total_seconds']:.1f} s"
    )
    measured = faster(found[model], found["script"], "training_seconds", "s", said)
    if run["psnr"] >= wanted:
        return measured
    return {**measured, "value": None, "range": None, "conditions": f"NOT REACHED: {said}"}
