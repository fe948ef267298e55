"""A YAML spec as a typed Experiment. Every error names the place, the value and what is valid."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from bench.core.errors import DataError, FieldError, SpecError, shorten, unknown
from bench.core.schema import class_schema, with_grids
from bench.core.settings import Settings
from bench.datasets import Dataset, datasets, fallback
from bench.metrics import Metric, metrics
from bench.models import Model, models
from bench.noises import Noise, noises
from bench.spec.grids import MAX_CELLS, every, sweep, under, unique
from bench.spec.yaml12 import MAX_CHARACTERS, Document, read

MAX_TESTS = 100_000
MAX_SEED = 2**63 - 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Train(Settings):
    """How a model is trained.

    epochs: passes over the training images, at most.
    images: if given, train on this many images in all instead of on whole epochs.
    seconds: if given, stop after this much training and validation, where the epochs are not done before. Such a
        result depends on the machine and its load.
    batch_size: images per step.
    optimizer: adam, adamw or sgd (momentum 0.9).
    lr: learning rate at the start; `{search: [...]}` trains with each and keeps the best on validation images.
    lr_search: the learning rates of such a search.
    weight_decay: as torch's optimiser of that name uses it.
    schedule: learning rate over the budget: constant, or cosine down to 0.
    precision: float32, bfloat16 (autocast), or auto: bfloat16 where the hardware computes in it.
    compile: on trains through torch.compile, off does not; auto: only where `bench plan --measure` has found on this
        machine that this training gains more time than compiling takes.
    threads: torch threads of one training; part of the cell, since thread counts change rounding.
    device: cpu, cuda, or auto.
    keep: the weights kept: those of the epoch with the lowest validation loss (best), or the last.
    """

    epochs: Annotated[int, Ge(1), Le(100_000)] = 10
    images: Annotated[int, Ge(1), Le(10**12)] | None = None
    seconds: Annotated[float, Gt(0), Le(10**8)] | None = None
    batch_size: Annotated[int, Ge(1), Le(65_536)] = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Gt(0), Le(100)] = 1e-3
    lr_search: tuple[Annotated[float, Gt(0), Le(100)], ...] = ()
    weight_decay: Annotated[float, Ge(0), Le(100)] = 1e-5
    schedule: Literal["constant", "cosine"] = "cosine"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    keep: Literal["best", "last"] = "best"

    def node(self) -> dict[str, Any]:
        """The settings as a spec would write them, every key given."""
        lr = {"search": list(self.lr_search)} if self.lr_search else self.lr
        return {key: lr if key == "lr" else getattr(self, key) for key in TRAIN_KEYS}


TRAIN_KEYS = [key.name for key in dataclasses.fields(Train) if key.name != "lr_search"]


@dataclass(frozen=True)
class Experiment:
    """What one spec asks for, every grid written out.

    test_noises: None means `same`: trained models meet the noise they were trained on, the others meet all.
    place: where the spec names its dataset, for messages; no part of what is run.
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
    place: str = field(default="", compare=False)

    @property
    def varied(self) -> tuple[str, ...]:
        """The keys of `train` that take more than one value."""
        first, *others = self.train
        keys = [key.name for key in dataclasses.fields(Train)]
        return tuple(key for key in keys if any(getattr(train, key) != getattr(first, key) for train in others))

    def with_fallback(self) -> "Experiment":
        """The same experiment on the stand-in images its spec names."""
        if self.fallback is None:
            raise SpecError("this spec names no fallback dataset")
        return dataclasses.replace(self, dataset=fallback(self.dataset, self.fallback))

    @contextmanager
    def at_dataset(self) -> Iterator[None]:
        """Put the place where the dataset is written before what is said about its images."""
        try:
            yield
        except (DataError, SpecError) as error:
            raise type(error)(f"{self.place}: {error}" if self.place else str(error)) from None

    def node(self) -> dict[str, Any]:
        """The spec that says this, every default given."""
        nodes = [settings.node() for settings in self.train]
        train = {key: _distinct([node[key] for node in nodes]) for key in TRAIN_KEYS}
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
            "train": {key: values if len(values) > 1 else values[0] for key, values in train.items()},
            "metrics": [metric.node() for metric in self.metrics],
            "seeds": list(self.seeds),
        }


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a file asks for, after `KEY=VALUE` overrides. Raises SpecError."""
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: there is no such file. Give the path of a YAML spec, as in experiments/default.yaml"
        ) from None
    except IsADirectoryError:
        raise SpecError(f"{path}: this is a folder. Give the path of a YAML spec") from None
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        raise SpecError(f"{path}, line {line}: byte {byte} is not UTF-8; a spec is a text file in UTF-8") from None
    return parse(text, str(path), overrides)


def parse(text: str, source: str = "spec", overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that YAML text asks for. source: its name in messages. Raises SpecError."""
    document = read(text, source)
    if not isinstance(document.value, dict):
        raise SpecError(
            f"{document.place(())}: expected keys and values at the top; got {shorten(document.value)}. "
            f"Keys: {', '.join(_KEYS)}"
        )
    for assignment in overrides:
        document.override(assignment)
    try:
        experiment = _experiment(document.value)
    except FieldError as error:
        raise _located(error, document) from None
    return dataclasses.replace(experiment, place=document.place(("dataset",)))


def schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    lists = {"models": "model", "noises": "noise", "metrics": "metric"}
    described = [_dataset_schema(name) for name in datasets]
    alone = [entry["properties"]["name"]["const"] for entry in described if entry["required"] == ["name"]]
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
    properties: dict[str, Any] = {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "names the folder of the results"},
        "dataset": {"anyOf": [{"enum": alone}, *described]},
        "train": _train_schema(),
        "seeds": {"type": "array", "items": seed, "minItems": 1, "uniqueItems": True},
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
            raise FieldError(unknown("key", key, _KEYS) + _home(key), (key,))
    for key in _REQUIRED:
        if key not in spec:
            raise FieldError(f"the key {key!r} is missing; a spec needs {', '.join(_REQUIRED)}")
    parts: dict[str, Any] = {}
    for key, parse_part in _PARTS.items():
        if key in spec:
            with under(key):
                parts[key] = parse_part(spec[key])
    dataset, stand_in = parts.pop("dataset")
    return _bounded(Experiment(dataset=dataset, fallback=stand_in, **{**_DEFAULTS, **parts}))


def _bounded(experiment: Experiment) -> Experiment:
    sizes = {key: len(getattr(experiment, key)) for key in ("models", "noises", "train", "seeds")}
    cells = math.prod(sizes.values())
    counts = " x ".join(f"{count:,} {key}" for key, count in sizes.items()).replace("train", "train settings")
    if cells > MAX_CELLS:
        raise FieldError(f"{counts} make {cells:,} cells; one spec runs at most {MAX_CELLS:,}")
    met = len(experiment.test_noises or ())
    if cells * met > MAX_TESTS:
        raise FieldError(
            f"{counts} x {met:,} test_noises make {cells * met:,} tests; one spec runs at most {MAX_TESTS:,}"
        )
    return experiment


def _home(key: str) -> str:
    """Where a key that was written at the top belongs, if that is known."""
    homes = {"train": TRAIN_KEYS, "dataset": [*Dataset.field_names(), "fallback", "root"]}
    found = [home for home, keys in homes.items() if key in keys]
    return f". {key!r} belongs inside {found[0]}" if found else ""


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or len(value) > 100:
        raise FieldError(
            f"a name is at most 100 letters, digits, '.', '_' and '-', a letter or digit first; got {shorten(value)}"
        )
    return value


def _dataset(value: Any) -> tuple[Dataset, str | None]:
    node = {"name": value} if isinstance(value, str) else value
    if not isinstance(node, Mapping) or "name" not in node:
        raise FieldError(
            f"expected a dataset's name and keys as in {{name: cifar10, size: 32}}; got {shorten(value)}. "
            f"Names: {', '.join(datasets)}"
        )
    with under("name"):
        cls = datasets[node["name"]]
    stand_in = node.get("fallback")
    if stand_in is not None and stand_in not in datasets:
        raise FieldError(unknown("dataset", stand_in, datasets), ("fallback",))
    params = {key: item for key, item in node.items() if key not in ("name", "fallback")}
    for key in params:
        if key not in cls.accepted():
            raise FieldError(unknown("key", key, ["name", "fallback", *cls.accepted()]), (key,))
    return cls.from_params(params), stand_in


def _noises(value: Any) -> tuple[Noise, ...]:
    found = every(noises)(value)
    for noise in found:
        if noise.split != "test":
            raise FieldError(f"split belongs to test_noises; got {shorten(noise.split)} for {noise.name}")
    return found


def _test_noises(value: Any) -> tuple[Noise, ...] | None:
    if isinstance(value, str):
        if value != "same":
            raise FieldError(f"expected `same` or a list of noises; got {shorten(value)}")
        return None
    return every(noises)(value)


def _train(value: Any) -> tuple[Train, ...]:
    if not isinstance(value, Mapping | None):
        raise FieldError(f"expected keys and values as in {{epochs: 10}}; got {shorten(value)}")
    return unique(sweep(Train, value or {}, _train_point, MAX_CELLS))


def _train_point(params: Mapping[str, Any]) -> Train:
    for key in params:
        if key not in TRAIN_KEYS:
            raise FieldError(unknown("key", key, TRAIN_KEYS), (key,))
    given = dict(params)
    if isinstance(given.get("lr"), Mapping):
        rates = given["lr"].get("search")
        if set(given["lr"]) != {"search"} or not isinstance(rates, list) or not rates:
            raise FieldError(f"expected a number or {{search: [1e-3, 3e-3]}}; got {shorten(given['lr'])}", ("lr",))
        with under("lr"), under("search"):
            for position, rate in enumerate(rates):
                with under(position):
                    _rate(rate)
        given |= {"lr": rates[0], "lr_search": list(dict.fromkeys(rates))}
    return Train.from_params(given)


def _rate(value: Any) -> None:
    try:
        Train.from_params({"lr": value})
    except FieldError as error:
        raise FieldError(error.message) from None


def _seeds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise FieldError(f"expected a list of whole numbers as in [0, 1, 2]; got {shorten(value)}")
    met: set[int] = set()
    for position, seed in enumerate(value):
        if type(seed) is not int or not 0 <= seed <= MAX_SEED:
            raise FieldError(f"a seed is a whole number from 0 to {MAX_SEED}; got {shorten(seed)}", (position,))
        if seed in met:
            raise FieldError(f"seed {seed} is given twice", (position,))
        met.add(seed)
    return tuple(value)


def _located(error: FieldError, document: Document) -> SpecError:
    place = document.place(error.path)
    keys = ".".join(part if len(part) <= 40 else f"{part[:30]}..." for part in map(str, error.path))
    said = f"{keys}: " if keys and place != f"--set {keys}" else ""
    return SpecError(f"{place}: {said}{error.message}")


def _distinct(values: Sequence[Any]) -> list[Any]:
    return [value for position, value in enumerate(values) if value not in values[:position]]


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


_KEYS = [field.name for field in dataclasses.fields(Experiment) if field.name not in ("fallback", "place")]
_REQUIRED = ("name", "dataset", "models", "noises")
_PARTS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "dataset": _dataset,
    "models": every(models),
    "noises": _noises,
    "test_noises": _test_noises,
    "train": _train,
    "metrics": every(metrics),
    "seeds": _seeds,
}
_DEFAULTS = {
    "test_noises": None,
    "train": (Train(),),
    "metrics": tuple(metrics.parse(name) for name in ("mse", "psnr", "ssim")),
    "seeds": (0,),
}
