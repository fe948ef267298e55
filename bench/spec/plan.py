"""An experiment as cells: what is trained, and which test noises each trained model meets."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from bench.core import machine
from bench.core.errors import SpecError
from bench.core.registry import Registered, validate
from bench.models import Model, TrainableModel, models
from bench.noises import Noise, noises
from bench.spec import Experiment, Train

TRAINING_PROTOCOL = 1  # raised whenever the same cell would train to other weights
SCORING_PROTOCOL = 1  # raised whenever the same weights would score otherwise
TEST_SEED = 0  # the tests' own seed, the same in every run
CHUNK = 128  # images that are scored at once; the last chunk is padded to it


def digest(value: Any) -> str:
    """A short name for plain JSON values: 12 hexadecimal digits of the SHA-256 of their sorted form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Cell:
    """One model trained once, or one that needs no training.

    noise, seed, train: None where they play no part in its weights.
    data: the dataset's identity. train: its device, precision and compile resolved.
    """

    model: Model
    noise: Noise | None
    seed: int | None
    train: Train | None
    data: Mapping[str, Any]

    def node(self) -> dict[str, Any]:
        """Everything that defines its training, as plain JSON values; what its id is a hash of."""
        return {
            "protocol": TRAINING_PROTOCOL,
            "model": self.model.node(),
            "noise": self.noise.node() if self.noise else None,
            "seed": self.seed,
            "train": _given(self.train) if self.train else None,
            "data": dict(self.data),
            **_revisions(model=self.model, noise=self.noise),
        }

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Cell":
        """The cell that `node()` described."""
        return cls(
            model=models.parse(node["model"]),
            noise=noises.parse(node["noise"]) if node["noise"] else None,
            seed=node["seed"],
            train=validate(Train, node["train"]) if node["train"] else None,
            data=node["data"],
        )

    @cached_property
    def id(self) -> str:
        return digest(self.node())

    @property
    def images(self) -> int:
        """Images that it is trained on in all, each as often as it is seen, at most; 0 without training."""
        if self.train is None:
            return 0
        return self.train.images or self.train.epochs * int(self.data["train"])

    @property
    def epochs(self) -> int:
        """Passes over the training images, the last one perhaps in part; 0 for a cell that needs no training."""
        if self.train is None:
            return 0
        return -(-self.train.images // self.data["train"]) if self.train.images else self.train.epochs

    def trials(self) -> "list[Cell]":
        """A cell for each learning rate to search, none where there is nothing to search."""
        if self.train is None:
            return []
        rates = self.train.lr_search
        return [dataclasses.replace(self, train=dataclasses.replace(self.train, lr=lr, lr_search=())) for lr in rates]

    @property
    def objective(self) -> str:
        return self.model.objective if isinstance(self.model, TrainableModel) else ""

    def labels(self) -> dict[str, Any]:
        """The columns that say what this cell is."""
        return {
            "model": self.model.label(without=("objective",)),
            "objective": self.objective,
            "train_noise": self.noise.label() if self.noise else "",
            "seed": self.seed,
        }


def title(model: str, objective: str) -> str:
    """A model's label with its objective, where that is not the usual one."""
    return model if objective in ("", "denoise") else f"{model} [{objective}]"


@dataclass(frozen=True)
class Work:
    """A cell and the test noises it meets, in the plan's order."""

    cell: Cell
    tests: tuple[Noise, ...]


def test_id(noise: Noise, data: Mapping[str, Any]) -> str:
    """The name under which a test is stored: a hash of everything that defines it but the model."""
    return digest(fingerprint(noise, data))


def fingerprint(noise: Noise, data: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol of a test, part by part: scores are compared only where every part is the same."""
    return {
        "scoring": SCORING_PROTOCOL,
        "range": [0, 1],
        "noise": noise.label(without=("clip", "quantize", "fresh")),
        "clip": noise.clip,
        "quantize": noise.quantize,
        "test_seed": TEST_SEED,
        "chunk": CHUNK,
        "data": dict(data),
        **_revisions(noise=noise),
    }


def never(cell: Cell) -> bool:
    """No cell, whatever it is."""
    return False


def plan(experiment: Experiment, compiles: Callable[[Cell], bool] = never) -> list[Work]:
    """Every cell of an experiment, models outermost, then noises, training settings and seeds.

    compiles: whether a cell whose setting is `compile: auto` is trained through torch.compile.
    Raises DataError where the images can't be had, SpecError where the models ask for other counts of them.
    """
    with experiment.at_dataset():
        data = experiment.dataset.identity()
        _check_counts(experiment, data)
    found: dict[str, Work] = {}
    for cell in _cells(resolved(experiment), data):
        if cell.train and cell.train.compile == "auto":
            setting: Literal["on", "off"] = "on" if compiles(cell) else "off"
            cell = dataclasses.replace(cell, train=dataclasses.replace(cell.train, compile=setting))
        tests = experiment.test_noises or experiment.noises
        if experiment.test_noises is None and cell.noise is not None:
            tests = (cell.noise,)
        found.setdefault(cell.id, Work(cell, tests))
    return list(found.values())


def _check_counts(experiment: Experiment, data: Mapping[str, Any]) -> None:
    for model in experiment.models:
        if model.most_images is not None and data["test"] > model.most_images:
            raise SpecError(
                f"model {model.name} is too slow for {data['test']} test images: "
                f"ask for test: {model.most_images} at most"
            )
    if any(train.lr_search for train in experiment.train) and not data["validation"]:
        raise SpecError("a learning rate is searched on validation images, and this dataset keeps none: set validation")


def resolved(experiment: Experiment) -> Experiment:
    """The experiment as this machine runs it, `auto` nowhere."""
    return dataclasses.replace(experiment, train=tuple(resolve(train) for train in experiment.train))


def resolve(train: Train) -> Train:
    """The settings with `auto` replaced by what this machine has."""
    device = machine.device() if train.device == "auto" else train.device
    precision = machine.precision(device) if train.precision == "auto" else train.precision
    return dataclasses.replace(train, device=device, precision=precision)


def _revisions(**parts: Registered | None) -> dict[str, Any]:
    """The revisions that were raised: what never changed keeps the names of its results."""
    raised = {name: part.revision for name, part in parts.items() if part is not None and part.revision > 1}
    return {"revisions": raised} if raised else {}


def _given(train: Train) -> dict[str, Any]:
    """The settings but those that are not in use: a new setting leaves the names of older results alone."""
    given = dataclasses.asdict(train)
    unused = {key for key, value in given.items() if value in (None, ()) or (key == "compile" and value != "on")}
    return {key: value for key, value in given.items() if key not in unused}


def _cells(experiment: Experiment, data: Mapping[str, Any]) -> Iterator[Cell]:
    for model in experiment.models:
        if not model.trains:
            yield Cell(model, None, None, None, data)
            continue
        plain = isinstance(model, TrainableModel) and model.objective == "autoencode"
        for noise in (None,) if plain else experiment.noises:
            for train in experiment.train:
                for seed in experiment.seeds:
                    yield Cell(model, noise, seed, train, data)
