"""Cells: what is trained, and which test noises each trained model is scored on."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.core.registry import validate
from bench.models import Model, TrainableModel, models
from bench.noises import Noise, noises
from bench.spec.protocol import TRAINING_PROTOCOL, digest, revisions
from bench.spec.settings import Train


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
            **revisions(model=self.model, noise=self.noise),
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


def _given(train: Train) -> dict[str, Any]:
    """The settings but those that are not in use: a new setting leaves the names of older results alone."""
    given = dataclasses.asdict(train)
    unused = {key for key, value in given.items() if value in (None, ()) or (key == "compile" and value != "on")}
    return {key: value for key, value in given.items() if key not in unused}
