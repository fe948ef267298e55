"""Cells: what is trained, and which test noises it is scored on."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.models import Model, TrainableModel, models
from bench.models.base import OBJECTIVE_REVISIONS
from bench.noises import Noise, noises
from bench.spec.protocol import TRAINING_PROTOCOL, digest, revisions, score_id
from bench.spec.train_settings import Train

LATER = ("warmup", "flips")  # settings that older cells lack; at their defaults they are out of ids


@dataclass(frozen=True)
class Cell:
    """One model, trained in one way or not at all: what is trained and stored as a unit.

    noise, seed, train: None where the weights do not depend on them.
    data: the dataset's identity. train: its device, precision and compile resolved.
    stored_as: the id under which an earlier version has stored it, if another.
    recipe: the keys of `train` that come from the model's recipe; what they are makes no other cell.
    """

    model: Model
    noise: Noise | None
    seed: int | None
    train: Train | None
    data: Mapping[str, Any]
    stored_as: str = field(default="", compare=False)
    recipe: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def id(self) -> str:
        return self.stored_as or digest(self.node())

    def node(self) -> dict[str, Any]:
        """Everything that defines its training, as plain JSON values; the id is a hash of them."""
        return {
            "protocol": TRAINING_PROTOCOL,
            "model": self.model.node(),
            "noise": self.noise.node() if self.noise else None,
            "seed": self.seed,
            "train": _in_use(self.train.settled()) if self.train else None,
            "data": dict(self.data),
            **revisions(**{kind: revision for kind, (_, revision) in self.revised.items()}),
        }

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Cell":
        """The cell whose `node()` this is."""
        return cls(
            model=models.parse(node["model"]),
            noise=noises.parse(node["noise"]) if node["noise"] else None,
            seed=node["seed"],
            train=Train.from_params(node["train"]) if node["train"] else None,
            data=node["data"],
        )

    @property
    def revised(self) -> dict[str, tuple[str, int]]:
        """The name and the revision of each kind of part that has one."""
        parts: dict[str, Model | Noise | None] = {"model": self.model, "noise": self.noise}
        found = {kind: (part.name, part.revision) for kind, part in parts.items() if part}
        found["objective"] = (self.objective, OBJECTIVE_REVISIONS.get(self.objective, 1))
        return found

    @property
    def objective(self) -> str:
        return self.model.objective if isinstance(self.model, TrainableModel) else ""

    def labels(self) -> dict[str, Any]:
        """The columns of tables that identify this cell."""
        return {
            "model": self.model.label(without=("objective",)),
            "objective": self.objective,
            "train_noise": self.noise.label() if self.noise else "",
            "seed": self.seed,
        }

    @property
    def images(self) -> int:
        """The most images that training sees, counted each time they are seen; 0 without training."""
        if self.train is None:
            return 0
        return self.train.images or self.train.epochs * int(self.data["train"])

    @property
    def epochs(self) -> int:
        """Passes over the training images, of which the last may be partial; 0 without training."""
        if self.train is None:
            return 0
        return -(-self.train.images // self.data["train"]) if self.train.images else self.train.epochs

    def trials(self) -> "list[Cell]":
        """A cell for each learning rate of a search; empty where there is no search."""
        if self.train is None:
            return []
        trains = [dataclasses.replace(self.train, lr=lr, lr_search=()) for lr in self.train.settled().lr_search]
        return [dataclasses.replace(self, train=train, stored_as="") for train in trains]


def settled(node: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's node as this version writes it. Raises FieldError where its settings are no longer accepted."""
    return {**node, "train": _in_use(Train.from_params(node["train"]).settled()) if node["train"] else None}


@dataclass(frozen=True)
class Scoring:
    """One way to score a cell.

    ensemble: over how many flips and rotations outputs are averaged. seed: of the draw of the noise.
    """

    noise: Noise
    ensemble: int = 1
    seed: int = 0

    def id(self, data: Mapping[str, Any]) -> str:
        """The id under which it is stored. data: the dataset's identity."""
        return score_id(self.noise, data, self.ensemble, self.seed)


@dataclass(frozen=True)
class Work:
    """A cell and how to score it, in the plan's order."""

    cell: Cell
    tests: tuple[Scoring, ...]

    @property
    def ensembles(self) -> list[int]:
        """The ensembles that it is scored with, the smallest first."""
        return sorted({test.ensemble for test in self.tests})


def _in_use(train: Train) -> dict[str, Any]:
    """The settings without those not in use, so that a new setting keeps the ids of older results."""
    given = dataclasses.asdict(train)
    unused = {key for key, value in given.items() if value in (None, ()) or (key == "compile" and value != "on")}
    unused |= {key for key in LATER if given[key] == getattr(Train, key)}
    unused |= set() if train.optimizer == "muon" else {"muon_lr"}
    return {key: value for key, value in given.items() if key not in unused}
