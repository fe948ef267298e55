"""A training between two epochs: all that its next epoch depends on, and what has happened so far."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training.

    epoch: its number, from 1.
    train_loss: mean over the images trained on. validation_loss: over the validation images, None without any.
    seconds: what both took.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class State:
    """A training between two epochs; `State()` has not begun.

    weights: the network's parameters and buffers by name.
    kept: the weights of the epoch that would be stored if the training ended here.
    optimizer: what the optimiser remembers of each parameter, as INDEX/NAME.
    history: the epochs done.
    kept_epoch: the number of the epoch whose weights are kept, 0 before the first.
    made_with: what its arithmetic depended on, as `machine.arithmetic` has it; several where it went on elsewhere.
    """

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()
    kept_epoch: int = 0
    made_with: tuple[str, ...] = ()

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """How long they took."""
        return math.fsum(epoch.seconds for epoch in self.history)

    def flat(self) -> dict[str, np.ndarray]:
        """All arrays in one dictionary, as weights/NAME, kept/NAME and optimizer/INDEX/NAME."""
        parts = {"weights": self.weights, "kept": self.kept, "optimizer": self.optimizer}
        return {f"{part}/{name}": value for part, arrays in parts.items() for name, value in arrays.items()}

    @classmethod
    def from_flat(cls, flat: Mapping[str, np.ndarray], history: tuple[Epoch, ...], kept_epoch: int) -> Self:
        """The state whose arrays `flat` put into one dictionary. Raises KeyError for a name of another kind."""
        parts: dict[str, dict[str, np.ndarray]] = {"weights": {}, "kept": {}, "optimizer": {}}
        for path, value in flat.items():
            part, _, name = path.partition("/")
            parts[part][name] = value
        return cls(parts["weights"], parts["kept"], parts["optimizer"], history, kept_epoch)


def as_arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors as arrays to be stored, in the usual memory order: networks compute in channels_last."""
    # Copies, since the tensors train on.
    return {
        name: np.array(value.detach().cpu().contiguous().numpy())
        for name, value in tensors.items()
        if value is not None
    }
