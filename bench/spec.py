"""A YAML spec as a typed Experiment. Every error names the place, the value and what is valid."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le

from bench.datasets import Dataset, datasets, fallback
from bench.document import Document, read
from bench.errors import FieldError, SpecError, shorten, unknown
from bench.metrics import Metric, metrics
from bench.models import Model, models
from bench.noises import Noise, noises
from bench.registry import CONFIG, Registered, Registry, class_schema, is_list_field, validate

MAX_CELLS = 20_000
MAX_SEED = 2**63 - 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
T = TypeVar("T", bound=Registered)


@dataclass(frozen=True)
class Train:
    """How a model is trained.

    epochs: passes over the training images.
    batch_size: images per step.
    optimizer: adam, adamw or sgd (momentum 0.9).
    lr: learning rate at the start.
    weight_decay: as torch's optimiser of that name uses it.
    schedule: learning rate over the steps: constant, or cosine down to 0.
    precision: float32, bfloat16 (autocast), or auto: bfloat16 where the hardware computes in it.
    threads: torch threads of one training; part of the cell, since thread counts change rounding.
    device: cpu, cuda, or auto.
    keep: the weights kept: those of the epoch with the lowest validation loss (best), or the last.
    """

    __pydantic_config__ = CONFIG

    epochs: Annotated[int, Ge(1), Le(100_000)] = 10
    batch_size: Annotated[int, Ge(1), Le(65_536)] = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Gt(0), Le(100)] = 1e-3
    weight_decay: Annotated[float, Ge(0), Le(100)] = 1e-5
    schedule: Literal["constant", "cosine"] = "cosine"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    keep: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Experiment:
    """What one spec asks for, every grid written out.

    test_noises: None means `same`: trained models meet the noise they were trained on, the others meet all.
    varied: the keys of `train` that take more than one value.
    """

    name: str
    dataset: Dataset
    fallback: str | None
    models: tuple[Model, ...]
    noises: tuple[Noise, ...]
    test_noises: tuple[Noise, ...] | None
    train: tuple[Train, ...]
    metrics: tuple[Metric, ...]
    seeds: tuple[int, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        first, *others = self.train
        keys = [field.name for field in dataclasses.fields(Train)]
        return tuple(key for key in keys if any(getattr(train, key) != getattr(first, key) for train in others))

    def with_fallback(self) -> "Experiment":
        """The same experiment on the stand-in images its spec names."""
        if self.fallback is None:
            raise SpecError("this spec names no fallback dataset")
        return dataclasses.replace(self, dataset=fallback(self.dataset, self.fallback))

    def node(self) -> dict[str, Any]:
        """The spec that says this, every default given."""
        train = {field.name: [getattr(t, field.name) for t in self.train] for field in dataclasses.fields(Train)}
        return {
            "name": self.name,
            "dataset": {
                "name": self.dataset.name,
                **({"fallback": self.fallback} if self.fallback else {}),
                **self.dataset.params(),
            },
            "models": [model.node() for model in self.models],
            "noises": [noise.node() for noise in self.noises],
            "test_noises": "same" if self.test_noises is None else [noise.node() for noise in self.test_noises],
            "train": {key: values[0] if key not in self.varied else _unique(values) for key, values in train.items()},
            "metrics": [metric.node() for metric in self.metrics],
            "seeds": list(self.seeds),
        }


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a file asks for, after `KEY=VALUE` overrides. Raises SpecError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: there is no such file. Give the path of a YAML spec, as in experiments/default.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read as UTF-8 text: {error}") from None
    return parse(text, str(path), overrides)


def parse(text: str, source: str = "spec", overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that YAML text asks for. source: its name in messages. Raises SpecError."""
    document = read(text, source)
    if not isinstance(document.value, dict):
        raise SpecError(
            f"{source}: expected keys and values at the top; got {shorten(document.value)}. Keys: {', '.join(_KEYS)}"
        )
    for assignment in overrides:
        document.override(assignment)
    try:
        return _experiment(document.value)
    except FieldError as error:
        raise _located(error, document, source) from None


def schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    lists = {"models": "model", "noises": "noise", "metrics": "metric"}
    properties: dict[str, Any] = {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "names the folder of the results"},
        "dataset": {"anyOf": [_dataset_schema(name) for name in datasets]},
        "train": class_schema(Train),
        "seeds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        **{key: {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}, "minItems": 1} for key, kind in lists.items()},
    }
    properties["test_noises"] = {"anyOf": [{"const": "same"}, properties["noises"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "noise-bench experiment",
        "type": "object",
        "properties": {key: properties[key] for key in _KEYS},
        "required": ["name", "dataset", "models", "noises"],
        "additionalProperties": False,
        "$defs": {registry.kind: registry.schema() for registry in (noises, models, metrics)},
    }


def _experiment(spec: Mapping[str, Any]) -> Experiment:
    for key in spec:
        if key not in _KEYS:
            raise FieldError(unknown("key", key, _KEYS), (key,))
    for key in ("name", "dataset", "models", "noises"):
        if spec.get(key) is None:
            raise FieldError(f"the key {key!r} is missing", (key,) if key in spec else ())
    dataset, stand_in = _under("dataset", _dataset, spec["dataset"])
    experiment = Experiment(
        name=_under("name", _name, spec["name"]),
        dataset=dataset,
        fallback=stand_in,
        models=_under("models", _all(models), spec["models"]),
        noises=_under("noises", _all(noises), spec["noises"]),
        test_noises=_under("test_noises", _test_noises, spec.get("test_noises", "same")),
        train=_under("train", _train, spec.get("train") or {}),
        metrics=_under("metrics", _all(metrics), spec.get("metrics", ["mse", "psnr", "ssim"])),
        seeds=_under("seeds", _seeds, spec.get("seeds", [0])),
    )
    cells = math.prod(len(part) for part in (experiment.models, experiment.noises, experiment.train, experiment.seeds))
    if cells > MAX_CELLS:
        raise FieldError(
            f"models x noises x train x seeds make {cells} cells; at most {MAX_CELLS} are run from one spec"
        )
    return experiment


_KEYS = [field.name for field in dataclasses.fields(Experiment) if field.name != "fallback"]


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or len(value) > 100:
        raise FieldError(f"a name is letters, digits, '.', '_' and '-', a letter or digit first; got {shorten(value)}")
    return value


def _dataset(value: Any) -> tuple[Dataset, str | None]:
    node = {"name": value} if isinstance(value, str) else value
    if not isinstance(node, Mapping) or "name" not in node:
        raise FieldError(f"expected a dataset's name and keys as in {{name: cifar10, size: 32}}; got {shorten(value)}")
    params = {key: item for key, item in node.items() if key not in ("name", "fallback")}
    stand_in = node.get("fallback")
    if stand_in is not None and stand_in not in datasets:
        raise FieldError(unknown("dataset", stand_in, datasets), ("fallback",))
    try:
        cls = datasets[node["name"]]
    except FieldError as error:
        raise error.under("name") from None
    try:
        return cls.from_params(params), stand_in
    except FieldError as error:
        if not error.path and (odd := [key for key in params if key not in cls.accepted()]):
            raise FieldError(error.message, (odd[0],)) from None
        raise


def _test_noises(value: Any) -> tuple[Noise, ...] | None:
    if isinstance(value, str):
        if value != "same":
            raise FieldError(f"expected `same` or a list of noises; got {shorten(value)}")
        return None
    return _all(noises)(value)


def _train(value: Any) -> tuple[Train, ...]:
    if not isinstance(value, Mapping):
        raise FieldError(f"expected keys and values as in {{epochs: 10}}; got {shorten(value)}")
    return tuple(_unique([build() for build in _sweep(Train, value, lambda params: validate(Train, params))]))


def _seeds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise FieldError(f"expected a list of whole numbers as in [0, 1, 2]; got {shorten(value)}")
    for position, seed in enumerate(value):
        if type(seed) is not int or not 0 <= seed <= MAX_SEED:
            raise FieldError(f"a seed is a whole number from 0 to {MAX_SEED}; got {shorten(seed)}", (position,))
        if seed in value[:position]:
            raise FieldError(f"seed {seed} is given twice", (position,))
    return tuple(value)


def _all(registry: Registry[T]) -> Callable[[Any], tuple[T, ...]]:
    """Parses a list of nodes of one registry, every grid written out."""

    def parse_list(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list) or not value:
            raise FieldError(
                f"expected a list of at least one {registry.kind}; got {shorten(value)}. Valid: {', '.join(registry)}"
            )
        found: list[T] = []
        for position, node in enumerate(value):
            for build in _under(position, lambda node: _expand(registry, node), node):
                found.append(_under(position, lambda _: build(), node))  # noqa: B023 - called at once
        return tuple(_unique(found))

    return parse_list


def _expand(registry: Registry[T], node: Any) -> list[Callable[[], T]]:
    name, params = registry.split(node)
    cls = registry[name]
    return [_naming(name, build) for build in _sweep(cls, params, cls.from_params)]


def _naming(name: str, build: Callable[[], T]) -> Callable[[], T]:
    return lambda: _under(name, lambda _: build(), None)


def _sweep(cls: type[Any], params: Mapping[str, Any], make: Callable[[dict[str, Any]], Any]) -> list[Callable[[], Any]]:
    """One maker per point of the grid that the params span; a maker's errors lead to the value's own place."""
    choices: list[list[tuple[str, Any, tuple[str | int, ...]]]] = []
    for key, value in params.items():
        steps: tuple[str | int, ...] = (key,)
        values = value
        if isinstance(value, Mapping) and set(value) == {"grid"}:
            steps, values = (key, "grid"), value["grid"]
        elif not isinstance(value, list) or is_list_field(cls, key):
            choices.append([(key, value, steps)])
            continue
        if not isinstance(values, list) or not values:
            raise FieldError(f"expected a list with at least one value to try; got {shorten(values)}", steps)
        choices.append([(key, item, (*steps, i)) for i, item in enumerate(values)])
    points = math.prod(len(options) for options in choices)
    if points > MAX_CELLS:
        raise FieldError(f"this grid has {points} points; at most {MAX_CELLS} are run from one spec")
    return [_maker(point, make) for point in product(*choices)]


def _maker(
    point: Sequence[tuple[str, Any, tuple[str | int, ...]]], make: Callable[[dict[str, Any]], Any]
) -> Callable[[], Any]:
    def build() -> Any:
        try:
            return make({key: value for key, value, _ in point})
        except FieldError as error:
            for key, _, steps in point:
                if error.path[:1] == (key,):
                    raise FieldError(error.message, (*steps, *error.path[1:])) from None
            raise

    return build


def _under(step: str | int, parse_part: Callable[[Any], Any], value: Any) -> Any:
    try:
        return parse_part(value)
    except FieldError as error:
        raise error.under(step) from None


def _unique(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _located(error: FieldError, document: Document, source: str) -> SpecError:
    place = document.place(error.path)
    keys = ".".join(str(part) for part in error.path)
    return SpecError(f"{source}, {place}: {keys + ': ' if keys else ''}{error.message}")


def _dataset_schema(name: str) -> dict[str, Any]:
    described = class_schema(datasets[name])
    described["type"] = "object"
    described["properties"] = {"name": {"const": name}, "fallback": {"enum": list(datasets)}, **described["properties"]}
    described["required"] = ["name"]
    return described
