"""YAML text to an Experiment. Every error names the place, the value and what is valid."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import FieldError, SpecError, nearest, shorten, unknown
from bench.datasets import Dataset, datasets
from bench.metrics import metrics
from bench.models import TrainableModel
from bench.noises import Noise, noises
from bench.spec.bundled import bundled, spec_path
from bench.spec.entries import Entry, grid, listed
from bench.spec.experiment import KEYS, MAX_SEED, NAME, REQUIRED, Experiment
from bench.spec.grids import MAX_CELLS, every, under, unique
from bench.spec.train_settings import TRAIN_KEYS, Train
from bench.spec.yaml12 import MAX_CHARACTERS, Document, read

MAX_TESTS = 100_000
MAX_NOTE = 1000  # characters


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a file, or a spec of the package by its name, asks for, after `KEY=VALUE` overrides.

    Raises SpecError.
    """
    path = spec_path(path)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: there is no such file.{nearest(path.stem, bundled())} Give the path of a YAML spec, as in "
            f"experiments/default.yaml, or the name of one that comes with the package: {', '.join(bundled())}"
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
            f"Keys: {', '.join(KEYS)}"
        )
    for assignment in overrides:
        document.override(assignment)
    try:
        experiment = _experiment(document.value)
    except FieldError as error:
        raise _located(error, document) from None
    return dataclasses.replace(experiment, place=document.place(("dataset",)))


def _located(error: FieldError, document: Document) -> SpecError:
    """The error with the place in the document and the keys that lead there."""
    place = document.place(error.path)
    keys = ".".join(part if len(part) <= 40 else f"{part[:30]}..." for part in map(str, error.path))
    where = place if not keys or place == f"--set {keys}" else f"{place}: {keys}"
    return SpecError(f"{where}: {error.message}")


def _experiment(spec: Mapping[str, Any]) -> Experiment:
    for key in spec:
        if key not in KEYS:
            raise FieldError(unknown("key", key, KEYS) + _home(key), (key,))
    for key in REQUIRED:
        if key not in spec:
            raise FieldError(f"the key {key!r} is missing; a spec needs {', '.join(REQUIRED)}")
    parts: dict[str, Any] = {}
    for key, parse_part in _PARTS.items():
        if key in spec:
            with under(key):
                parts[key] = parse_part(spec[key])
    dataset, stand_in = parts.pop("dataset")
    general, train = spec.get("train") or {}, parts.get("train", (Train(),))
    entries: list[Entry] = []
    room = MAX_CELLS
    with under("models"):
        for model in parts.pop("models"):
            entries.append(model.entry(general, train, room))
            room -= len(entries[-1].train)
    _check_counts(Experiment(dataset=dataset, fallback=stand_in, models=tuple(entries), **parts))
    experiment = Experiment(dataset=dataset, fallback=stand_in, models=unique(entries), **parts)
    with under("models"):
        _tell_apart(experiment)
    _check_means(experiment)
    return experiment


def _check_means(experiment: Experiment) -> None:
    """Refuse to learn the mean of corrupted images, where that is not the clean one, in place of it."""
    for model in (entry.model for entry in experiment.models):
        if not isinstance(model, TrainableModel) or not model.blind:
            continue
        for noise in experiment.noises:
            if not noise.unbiased:
                raise FieldError(
                    f"{model.name} with objective {model.objective} learns the mean of the corrupted images, and that "
                    f"of {noise.name} is not the clean image: use objective denoise for it, or train this model "
                    "in a spec of its own, on noises that keep the mean, such as gaussian or poisson",
                    ("noises",),
                )


def _tell_apart(experiment: Experiment) -> None:
    """Raise FieldError for two trainings of a model that differ in their recipe alone: nothing would name them."""
    known: dict[Any, Train] = {}
    varied = experiment.varied
    for entry in experiment.models:
        for train, asked in zip(entry.train, entry.asked(), strict=True):
            if known.setdefault((entry.model, repr([asked[key] for key in varied])), train) != train:
                raise FieldError(f"{entry.model.name} is given with two recipes: compare settings under its train")


def _check_counts(experiment: Experiment) -> None:
    """Raise FieldError where there are more cells or tests than one spec may run."""
    sizes = {key: len(getattr(experiment, key)) for key in ("models", "noises", "train", "seeds")}
    settings = sum(len(entry.train) or 1 for entry in experiment.models)
    cells = max(math.prod(sizes.values()), settings * sizes["noises"] * sizes["seeds"])
    counts = " x ".join(f"{count:,} {key}" for key, count in sizes.items()).replace("train", "train settings")
    if cells > MAX_CELLS:
        raise FieldError(f"{counts} make {cells:,} cells; one spec runs at most {MAX_CELLS:,}")
    tests = cells * len(experiment.test_noises or ())
    if tests > MAX_TESTS:
        raise FieldError(
            f"{counts} x {len(experiment.test_noises or ()):,} test_noises make {tests:,} tests; "
            f"one spec runs at most {MAX_TESTS:,}"
        )


def _home(key: str) -> str:
    """A hint where a key belongs that doesn't belong at the top."""
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
    """The dataset and the name of its fallback."""
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


def _test_seed(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SEED:
        raise FieldError(f"a seed is a whole number from 0 to {MAX_SEED}; got {shorten(value)}")
    return value


def _seeds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise FieldError(f"expected a list of whole numbers as in [0, 1, 2]; got {shorten(value)}")
    seen: set[int] = set()
    for position, seed in enumerate(value):
        with under(position):
            _test_seed(seed)
        if seed in seen:
            raise FieldError(f"seed {seed} is given twice", (position,))
        seen.add(seed)
    return tuple(value)


def _note(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_NOTE:
        raise FieldError(f"must be text of at most {MAX_NOTE} characters; got {shorten(value)}")
    return " ".join(value.split())


_PARTS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "dataset": _dataset,
    "models": listed,
    "noises": _noises,
    "test_noises": _test_noises,
    "train": grid,
    "metrics": every(metrics),
    "seeds": _seeds,
    "test_seed": _test_seed,
    "note": _note,
}
