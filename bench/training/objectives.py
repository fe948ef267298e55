"""What networks are trained to do: the inputs, targets and loss of each objective."""

import contextlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bench.core.images import to_float
from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models import TrainableModel
from bench.noises import Noise
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED

BOX = 8  # noise2void hides one value in each square of this side
REACH = 5  # rows and columns, the farthest that it replaces a value from


@dataclass(frozen=True)
class Phase:
    """What randomness depends on beside the image: the same phase draws the same noise."""

    purpose: str
    seed: int
    epoch: int


TRAINING = "train"
VALIDATION = Phase("validation", TEST_SEED, 0)  # the same noise in every epoch and for every seed


class Examples(NamedTuple):
    """What a network gets and what it should give: (N, 3, H, W) float32.

    hidden: (N, C or 1, H, W), which values count alone; None where all do. draw: for what the loss itself draws.
    """

    inputs: "torch.Tensor"
    targets: "torch.Tensor"
    hidden: "torch.Tensor | None"
    draw: Draw


def examples(cell: Cell, images: np.ndarray, indices: np.ndarray, phase: Phase) -> Examples:
    """Some images as a cell's objective uses them.

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
        assert cell.noise is not None
        inputs, hidden = blind(inputs, draw.fork("blind"), cell.noise.per_channel)
    return Examples(inputs.contiguous(memory_format=torch.channels_last), targets, hidden, draw)


def loss(cell: Cell, network: "nn.Module", images: np.ndarray, indices: np.ndarray, phase: Phase) -> "torch.Tensor":
    """The loss of some images under a cell's objective, a float32 scalar; arguments as for `examples`."""
    model, train = cell.model, cell.train
    assert isinstance(model, TrainableModel) and train is not None
    inputs, targets, hidden, draw = examples(cell, images, indices, phase)
    half = train.precision == "bfloat16"
    with torch.autocast(train.device, dtype=torch.bfloat16) if half else contextlib.nullcontext():
        if hidden is None:
            return model.loss(network, inputs, targets, draw)
        # Where nothing was hidden the output counts as right, so that the mean is over hidden values alone.
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


def blind(noisy: "torch.Tensor", draw: Draw, per_channel: bool) -> "tuple[torch.Tensor, torch.Tensor]":
    """Images with some values replaced by neighbours, and a mask of them: (N, C or 1, H, W), true where replaced.

    One in each 8 x 8 square, 1.6 % of all. The neighbour is any of the pixels at most 5 rows and columns away but the
    value's own.
    per_channel: hide values of each channel on their own, not whole pixels. Where the channels' noises have something
    in common, the channels left would show what is hidden.
    Source: Krull et al. 2019, arXiv:1811.10980.
    """
    channels, height, width = noisy.shape[1:]
    sites = channels if per_channel else 1
    rows = torch.arange(height, device=noisy.device)[:, None]
    columns = torch.arange(width, device=noisy.device)
    chosen = (draw.uniform((sites, -(-height // BOX), -(-width // BOX))) * BOX**2).long()
    chosen = chosen.repeat_interleave(BOX, 2).repeat_interleave(BOX, 3)[..., :height, :width]
    hidden = chosen == rows % BOX * BOX + columns % BOX
    top, left = (rows - REACH).clamp(min=0), (columns - REACH).clamp(min=0)
    down = (rows + REACH + 1).clamp(max=height) - top  # sides of the window
    across = (columns + REACH + 1).clamp(max=width) - left
    choice = (draw.uniform((sites, height, width)) * (down * across - 1)).long()
    choice += choice >= (rows - top) * across + columns - left  # its own place
    source = (top + choice // across) * width + left + choice % across
    neighbours = noisy.flatten(2).gather(2, source.flatten(2).expand(-1, channels, -1)).view_as(noisy)
    return torch.where(hidden, neighbours, noisy), hidden
