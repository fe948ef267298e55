"""What networks are trained to do: the inputs, targets and loss of each objective."""

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from bench.core.images import to_float
from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models import TrainableModel
from bench.noises import Noise
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED

HIDDEN = 0.03  # share of pixels that noise2void hides


@dataclass(frozen=True)
class Phase:
    """What randomness depends on beside the image: the same phase draws the same noise."""

    purpose: str
    seed: int
    epoch: int


TRAINING = "train"
VALIDATION = Phase("validation", TEST_SEED, 0)  # the same noise in every epoch and for every seed


def loss(cell: Cell, network: "nn.Module", images: np.ndarray, indices: np.ndarray, phase: Phase) -> "torch.Tensor":
    """The loss of some images under a cell's objective, a float32 scalar.

    images: uint8 (M, 3, H, W), a whole split. indices: (N,) int64, which of them.
    """
    model, train = cell.model, cell.train
    assert isinstance(model, TrainableModel) and train is not None
    clean = to_float(torch.from_numpy(images[indices]).to(train.device))
    where = torch.from_numpy(indices).to(train.device)
    if train.flips and phase.purpose == TRAINING:
        clean = flipped(clean, Draw(tuple(clean.shape), phase.seed, ("flips", phase.epoch), where))
    inputs, targets = corrupt(cell.noise, clean, where, phase), clean
    draw = Draw(tuple(clean.shape), phase.seed, ("loss", phase.purpose, phase.epoch), where)
    hidden = None
    if model.objective == "noise2noise":
        targets = corrupt(cell.noise, clean, where, replace(phase, purpose=f"{phase.purpose} target"))
    elif model.objective == "noise2void":
        targets = inputs
        inputs, hidden = blind(inputs, draw.fork("blind"))
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    half = train.precision == "bfloat16"
    with torch.autocast(train.device, dtype=torch.bfloat16) if half else contextlib.nullcontext():
        if hidden is None:
            return model.loss(network, inputs, targets, draw)
        # Where nothing was hidden the output counts as right, so that the mean is over hidden pixels alone.
        judged = torch.where(hidden, network(inputs).float(), targets)
        share = hidden.float().mean().clamp(min=1 / hidden.numel())  # small batches may hide nothing: no loss then
        return functional.mse_loss(judged, targets) / share


def flipped(images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
    """Images of which every other one, by the draw, is mirrored left to right."""
    return torch.where(draw.uniform((1, 1, 1)) < 0.5, images.flip(3), images)


def corrupt(noise: Noise | None, clean: "torch.Tensor", indices: "torch.Tensor", phase: Phase) -> "torch.Tensor":
    """Images with the noise of a phase; unchanged where there is no noise.

    clean: (N, 3, H, W) float32 in [0, 1]. indices: (N,) int64, their places in their split.
    """
    if noise is None:
        return clean
    drawn_in = phase.epoch if noise.fresh else 0
    return noise.apply(clean, Draw(tuple(clean.shape), phase.seed, (phase.purpose, drawn_in), indices))


def blind(noisy: "torch.Tensor", draw: Draw) -> "tuple[torch.Tensor, torch.Tensor]":
    """Images with some pixels replaced by a neighbour, and a mask of these pixels: (N, 1, H, W), true where replaced.

    The neighbour is one of the 24 around the pixel, mirrored where it lies outside the image.
    Source: Krull et al. 2019, arXiv:1811.10980.
    """
    height, width = noisy.shape[2:]
    hidden = draw.uniform((1, height, width)) < HIDDEN
    choice = (draw.uniform((height, width)) * 24).long()
    choice += choice >= 12  # of the 25 pixels of a 5 x 5 window all but the one in the middle
    down, right = choice // 5 - 2, choice % 5 - 2
    rows = torch.arange(height, device=noisy.device)[:, None].expand(height, width)
    columns = torch.arange(width, device=noisy.device).expand(height, width)
    row = torch.where((rows + down).clamp(0, height - 1) == rows + down, rows + down, rows - down)
    column = torch.where((columns + right).clamp(0, width - 1) == columns + right, columns + right, columns - right)
    source = (row * width + column).flatten(1)[:, None, :].expand(-1, noisy.shape[1], -1)
    neighbours = noisy.flatten(2).gather(2, source).view_as(noisy)
    return torch.where(hidden, neighbours, noisy), hidden
