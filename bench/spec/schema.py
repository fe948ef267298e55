"""JSON Schema of a spec, for editors."""

import dataclasses
from typing import Any

from bench.core.schema import class_schema, with_grids
from bench.datasets import datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.spec.entries import BUDGET, OWN, RECIPE, Use, beside
from bench.spec.experiment import KEYS, MAX_SEED, NAME, REQUIRED
from bench.spec.train_settings import TRAIN_KEYS, Train

DESCRIPTIONS = {
    "name": "name of the folder of the results",
    "dataset": "the images, by the dataset's name or with keys",
    "models": "denoisers: each is trained on every noise with every seed; what needs no training is scored once",
    "noises": "noises to train on",
    "test_noises": "`same`: a trained model is tested on the noise it was trained on, all others on every noise; "
    "a list: every model is tested on every noise in it",
    "train": "how models are trained",
    "metrics": "columns of the tables",
    "seeds": "each seed is a separate training",
    "test_seed": "of the draw of the test noises, 0 unless given",
    "note": "what to say beside the results, for people",
}


def schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    lists = {"models": "model", "noises": "noise", "metrics": "metric"}
    described = [_dataset_schema(name) for name in datasets]
    alone = [entry["properties"]["name"]["const"] for entry in described if entry["required"] == ["name"]]
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
    properties: dict[str, Any] = {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "dataset": {"anyOf": [{"enum": alone}, *described]},
        "train": _train_schema(),
        "test_seed": seed,
        "seeds": {"type": "array", "items": seed, "minItems": 1, "uniqueItems": True},
        **{key: {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}, "minItems": 1} for key, kind in lists.items()},
        "note": {"type": "string"},
    }
    properties["test_noises"] = {"anyOf": [{"const": "same"}, properties["noises"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "noise-bench experiment",
        "type": "object",
        "properties": {key: {**properties[key], "description": DESCRIPTIONS[key]} for key in KEYS},
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": {registry.kind: registry.schema() for registry in (noises, models, metrics)} | {"model": _models()},
    }


def _models() -> dict[str, Any]:
    """Nodes that name a model: the keys of its class, how it is used, and of one that trains settings and a recipe."""
    described, train = models.schema(), _train_schema()
    single = {key: {**value, "anyOf": value["anyOf"][:-2]} for key, value in train["properties"].items()}
    recipe = {**train, "properties": {key: value for key, value in single.items() if key not in BUDGET}}
    keys_beside = {
        **class_schema(Use)["properties"],
        OWN: {**train, "description": "settings of this model alone; they win over `train`"},
        RECIPE: {**recipe, "type": "object", "description": "what stands in for the model's own recipe"},
    }
    for node in described["anyOf"][1:]:
        ((name, keys),) = node["properties"].items()
        keys["properties"] |= {key: keys_beside[key] for key in beside(models[name])}
    return described


def _train_schema() -> dict[str, Any]:
    described = class_schema(Train)
    keys = described["properties"]
    rate = keys["lr"]["anyOf"][0]
    rates = {"type": "array", "items": rate, "minItems": 1}
    rates["description"] = "learning rates to train with; the one with the lowest validation loss is kept"
    search = {"type": "object", "properties": {"search": rates}, "required": ["search"], "additionalProperties": False}
    keys["lr"] = {**keys["lr"], "anyOf": with_grids({"anyOf": [rate, search]})}
    return {**described, "properties": {key: keys[key] for key in TRAIN_KEYS}}


def _dataset_schema(name: str) -> dict[str, Any]:
    described = class_schema(datasets[name])
    single = {key: {**schema, "anyOf": schema["anyOf"][:1]} for key, schema in described["properties"].items()}
    fields = dataclasses.fields(datasets[name])
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    called = {"const": name, "description": described["description"]}
    stand_in = {"enum": list(datasets), "description": "dataset that stands in where this one is unavailable"}
    return {
        **described,
        "type": "object",
        "properties": {"name": called, "fallback": stand_in, **single},
        "required": ["name", *needed],
    }
