"""A training between two epochs, and its history."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images. Losses are the objective's own; validation_loss: None without such images."""

    epoch: int
    train_loss: float
    validation_loss: float | None
    seconds: float
