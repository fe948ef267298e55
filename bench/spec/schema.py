"""JSON Schema of a spec, for editors."""

import dataclasses
from typing import Any

from bench.core.schema import class_schema, with_grids
from bench.datasets import datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.spec.experiment import KEYS, MAX_SEED, NAME, REQUIRED
from bench.spec.train_settings import TRAIN_KEYS, Train

DESCRIPTIONS = {
    "name": "names the folder of the results",
    "dataset": "the images: a name, or a name with its keys",
    "models": "the denoisers to compare",
    "noises": "what the models are trained on",
    "test_noises": "what every model is tested on; same: its own training noise, and all of them for untrained ones",
    "train": "how models are trained",
    "metrics": "what is measured",
    "seeds": "every training is repeated with each of them",
    "note": "what to say beside the results, for people",
}


def schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    lists = {"models": "model", "noises": "noise", "metrics": "metric"}
    described = [_dataset_schema(name) for name in datasets]
    alone = [entry["properties"]["name"]["const"] for entry in described if entry["required"] == ["name"]]
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
    properties: dict[str, Any] = {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": DESCRIPTIONS["name"]},
        "dataset": {"anyOf": [{"enum": alone}, *described]},
        "train": _train_schema(),
        "seeds": {"type": "array", "items": seed, "minItems": 1, "uniqueItems": True},
        **{key: {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}, "minItems": 1} for key, kind in lists.items()},
        "note": {"type": "string"},
    }
    properties["test_noises"] = {"anyOf": [{"const": "same"}, properties["noises"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "noise-bench experiment",
        "type": "object",
        "properties": {key: {"description": DESCRIPTIONS[key], **properties[key]} for key in KEYS},
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": {registry.kind: registry.schema() for registry in (noises, models, metrics)},
    }


def _train_schema() -> dict[str, Any]:
    described = class_schema(Train)
    keys = described["properties"]
    rate = keys["lr"]["anyOf"][0]
    rates = {"type": "array", "items": rate, "minItems": 1}
    search = {"type": "object", "properties": {"search": rates}, "required": ["search"], "additionalProperties": False}
    keys["lr"] = {**keys["lr"], "anyOf": with_grids({"anyOf": [rate, search]})}
    return {**described, "properties": {key: keys[key] for key in TRAIN_KEYS}}


def _dataset_schema(name: str) -> dict[str, Any]:
    described = class_schema(datasets[name])
    single = {key: {**schema, "anyOf": schema["anyOf"][:1]} for key, schema in described["properties"].items()}
    fields = dataclasses.fields(datasets[name])
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    return {
        **described,
        "type": "object",
        "properties": {"name": {"const": name}, "fallback": {"enum": list(datasets)}, **single},
        "required": ["name", *needed],
    }
