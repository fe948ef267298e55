"""What is found out about a network when its training is finished. Nothing is written here."""

import math
from collections.abc import Mapping

import numpy as np

from bench.core import rng
from bench.core.images import to_float
from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.datasets import Data
from bench.models import TrainableModel
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED
from bench.training.objectives import VALIDATION, corrupt
from bench.training.score import network_of

SHOWN, VALUES = 256, 2**20  # validation images, and values in them, at most
AVERAGED = 256  # training images that the mean image is of, at most


def diagnose(cell: Cell, data: Data, weights: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Numbers by name, those of DIAGNOSTICS and the model's own; nothing without validation images.

    Those that are not finite are left out. Reads the training and the validation images only.
    """
    model, train = cell.model, cell.train
    assert isinstance(model, TrainableModel) and train is not None
    if not len(data.validation):
        return {}
    torch.set_num_threads(train.threads)
    shown = data.validation[: min(SHOWN, max(1, VALUES // data.validation[0].size))]
    clean = to_float(torch.from_numpy(shown.copy()).to(train.device))
    noisy = corrupt(cell.noise, clean, torch.arange(len(clean), device=train.device), VALIDATION)
    network = network_of(cell, clean.shape[-1], weights).to(train.device)
    with torch.no_grad():
        error = (network(noisy).clamp(0, 1) - clean).double().square().mean()
    spread = (_mean(data.train).to(clean) - clean).double().square().mean()
    draw = Draw(tuple(clean.shape), TEST_SEED, ("diagnose",), torch.arange(len(clean), device=train.device))
    found = {"unexplained": float(error / spread), **model.diagnose(network, noisy, draw)}
    return {name: float(f"{value:.4g}") for name, value in found.items() if math.isfinite(value)}


def _mean(images: np.ndarray) -> "torch.Tensor":
    """The mean of some uint8 (N, C, H, W) images."""
    some = rng.permutation(len(images), TEST_SEED, "mean")[:AVERAGED]
    return torch.from_numpy(images[np.sort(some)].mean(0)) / 255
