"""Weights in closed form as a function of the training images. Nothing is written here."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.core import machine
from bench.core.images import to_float
from bench.core.lazy import torch
from bench.datasets import Data
from bench.models import ClosedForm
from bench.noises import Noise
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED
from bench.training.objectives import VALIDATION, Phase, corrupt
from bench.training.state import State, as_arrays

BATCH = 256  # images
SOLVING = Phase("closed form", TEST_SEED, 0)


def solve(cell: Cell, data: Data) -> tuple[State, float]:
    """A cell's weights as a state without history, and the seconds that they took.

    Raises ValueError for a cell whose model is not in closed form. Reads the training and validation images only.
    """
    if not isinstance(cell.model, ClosedForm):
        raise ValueError(f"{cell.model.label()} is not in closed form")
    started = time.perf_counter()
    torch.set_num_threads(1)  # sums in another order would round otherwise
    with torch.no_grad():
        pairs = Batches(data.train, cell.noise, validation=data.validation)
        weights = as_arrays(cell.model.solve(pairs, data.train.shape[-1]).state_dict())
    return State(kept=weights, made_with=(machine.arithmetic("cpu"),)), time.perf_counter() - started


@dataclass(frozen=True)
class Batches:
    """Batches of clean and corrupted images, made when they are asked for: together they may not fit into memory.

    images: uint8 (N, C, H, W). noise: drawn the same each time that they are read in the same phase.
    validation: the images of `held`, none unless given. mirrored: left to right.
    """

    images: np.ndarray
    noise: Noise | None
    phase: Phase = SOLVING
    validation: np.ndarray | None = None
    mirrored: bool = False

    @property
    def held(self) -> "Batches":
        images = self.images[:0] if self.validation is None else self.validation
        return Batches(images, self.noise, VALIDATION)

    def again(self, draw: int, mirrored: bool = False) -> "Batches":
        return replace(self, phase=replace(self.phase, epoch=draw), mirrored=mirrored)

    def __len__(self) -> int:
        return -(-len(self.images) // BATCH)

    def __iter__(self) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        for first in range(0, len(self.images), BATCH):
            rows = np.arange(first, min(first + BATCH, len(self.images)))
            clean = to_float(torch.from_numpy(self.images[rows]))
            clean = clean.flip(3) if self.mirrored else clean
            yield clean, corrupt(self.noise, clean, torch.from_numpy(rows), self.phase)
