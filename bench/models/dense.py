"""The fully connected autoencoder."""

from dataclasses import dataclass

from bench.core.lazy import nn
from bench.models.base import TrainableModel, Width, layers, models


@models.register("dense")
@dataclass(frozen=True)
class Dense(TrainableModel):
    """Fully connected autoencoder with one hidden layer, batch-normalised, on each side of the code.

    hidden: units of the hidden layers; nearly all parameters are 2 * 3 * size * size * hidden.
    code: units of the code.
    Source: Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647; trained on corrupted input as Vincent et al. 2010.
    """

    hidden: Width = 128
    code: Width = 64

    @property
    def any_size(self) -> bool:
        return False

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(encoder(self.hidden, self.code, size), decoder(self.hidden, self.code, size))


def encoder(hidden: int, code: int, size: int) -> "nn.Sequential":
    """(N, 3, size, size) images to a (N, code) non-negative code."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3 * size * size, hidden),
        layers.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, code),
        nn.ReLU(),
    )


def decoder(hidden: int, code: int, size: int) -> "nn.Sequential":
    """A (N, code) code to (N, 3, size, size) images in [0, 1]."""
    return nn.Sequential(
        nn.Linear(code, hidden),
        layers.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, 3 * size * size),
        nn.Sigmoid(),
        nn.Unflatten(1, (3, size, size)),
    )
