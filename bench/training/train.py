"""Training as a function: some epochs from one state to the next. Nothing is written here.

A state holds all that a training depends on, and randomness depends on seed and epoch alone, so a chain of short
steps, on whatever machine each runs, gives the weights that one long run gives.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from bench.core import rng
from bench.core.images import to_float
from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.datasets import Data
from bench.models import TrainableModel
from bench.noises import Noise
from bench.spec import Train
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED
from bench.training.state import Epoch, State, as_arrays

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
MOMENTUM = 0.9
HIDDEN = 0.03  # share of pixels that noise2void hides
VALIDATED = 256  # validation images per forward pass


class Diverged(Exception):
    """The loss or a weight is no longer a finite number."""


def advance(cell: Cell, data: Data, state: State, epochs: int) -> State:
    """The state after some more epochs of a cell's training, at most those that are left.

    Raises Diverged when the loss or a weight is no longer finite, ValueError for a cell that needs no training.
    Reads the training and the validation images only.
    """
    if not isinstance(cell.model, TrainableModel) or cell.train is None or cell.seed is None:
        raise ValueError(f"{cell.model.label()} needs no training")
    torch.set_num_threads(cell.train.threads)
    network, optimizer = _restore(cell.model, cell.train, cell.seed, data, state)
    # Validation stays as it is: its batches have other shapes, each of which would be compiled anew.
    trained = cast("nn.Module", torch.compile(network)) if cell.train.compile == "on" else network
    history, kept, kept_epoch = list(state.history), state.kept, state.kept_epoch
    for epoch in range(state.epoch + 1, min(state.epoch + epochs, cell.epochs) + 1):
        started = time.perf_counter()
        spent = math.fsum(done.seconds for done in history)
        if cell.train.seconds is not None and spent >= cell.train.seconds:
            break
        with _drawing_from(cell.seed, "network", epoch):
            train_loss = _epoch(cell, data, trained, optimizer, epoch, spent)
        validation_loss = _validate(cell, data, network)
        _check_finite(network, train_loss, epoch, cell.train.lr)
        history.append(Epoch(epoch, train_loss, validation_loss, time.perf_counter() - started))
        if cell.train.keep == "last" or _lowest(history) == validation_loss:
            kept, kept_epoch = as_arrays(network.state_dict()), epoch
    slots = {
        f"{index}/{name}": value
        for index, tensors in optimizer.state_dict()["state"].items()
        for name, value in as_arrays(tensors).items()
    }
    return State(as_arrays(network.state_dict()), kept, slots, tuple(history), kept_epoch)


def finished(cell: Cell, state: State) -> bool:
    """Whether a state has used up its cell's budget."""
    seconds = cell.train.seconds if cell.train else None
    return state.epoch >= cell.epochs or (seconds is not None and state.seconds >= seconds)


def build(model: TrainableModel, size: int, seed: int) -> "nn.Module":
    """A network with its first weights, drawn on the CPU so that every device starts from the same."""
    with _drawing_from(seed, "weights"):
        return model.build(size)


def load_weights(network: "nn.Module", weights: Mapping[str, np.ndarray]) -> None:
    """Put stored arrays into a network."""
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})


@contextlib.contextmanager
def _drawing_from(seed: int, *purpose: str | int) -> Iterator[None]:
    """Torch's own generator, which first weights and layers such as dropout draw from, started at a known point."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.derive(seed, *purpose) % 2**32)
        yield


def _restore(
    model: TrainableModel, train: Train, seed: int, data: Data, state: State
) -> tuple["nn.Module", "torch.optim.Optimizer"]:
    network = build(model, data.train.shape[-1], seed)
    if state.epoch:
        load_weights(network, state.weights)
    network.to(torch.device(train.device)).to(memory_format=torch.channels_last)
    settings = {"momentum": MOMENTUM} if train.optimizer == "sgd" else {}
    make = getattr(torch.optim, OPTIMIZERS[train.optimizer])
    optimizer = make(network.parameters(), lr=train.lr, weight_decay=train.weight_decay, fused=True, **settings)
    slots: dict[int, dict[str, Any]] = {}
    parameters = list(network.parameters())
    for name, value in state.optimizer.items():
        index, _, key = name.partition("/")
        slots.setdefault(int(index), {})[key] = _like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return network, optimizer


def _like(parameter: "torch.Tensor", value: np.ndarray) -> "torch.Tensor":
    """A stored array as the tensor an optimiser keeps for a parameter."""
    stored = torch.from_numpy(np.array(value))
    # Fused optimisers walk through memory element by element: their tensors must lie there as the parameter does.
    return torch.empty_like(parameter).copy_(stored) if stored.shape == parameter.shape else stored


def _epoch(
    cell: Cell, data: Data, network: "nn.Module", optimizer: "torch.optim.Optimizer", epoch: int, spent: float
) -> float:
    """Mean loss of one pass over the training images, or over as many as the budget leaves.

    spent: seconds of training before this epoch.
    """
    model, train, seed = cell.model, cell.train, cell.seed
    assert isinstance(model, TrainableModel) and train is not None and seed is not None
    before, budget = (epoch - 1) * len(data.train), train.images or train.epochs * len(data.train)
    whole, rest = divmod(budget, len(data.train))
    steps = math.ceil(len(data.train) / train.batch_size)
    all_steps = whole * steps + math.ceil(rest / train.batch_size)
    order = rng.permutation(len(data.train), seed, "order", epoch)[: budget - before]
    started = time.perf_counter()
    network.train()
    total, seen = torch.zeros((), dtype=torch.float64, device=train.device), 0
    for step, first in enumerate(range(0, len(order), train.batch_size), (epoch - 1) * steps):
        elapsed = (spent + time.perf_counter() - started) / train.seconds if train.seconds else 0.0
        if elapsed >= 1 and seen:
            break
        indices = order[first : first + train.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = train.lr * _factor(train.schedule, max(step / all_steps, min(1.0, elapsed)))
        loss = _loss(cell, network, data.train, indices, seed, epoch, "train")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach().double() * len(indices)
        seen += len(indices)
    return total.item() / seen


def _validate(cell: Cell, data: Data, network: "nn.Module") -> float | None:
    """Mean loss over the validation images, corrupted the same way in every epoch and for every seed."""
    assert cell.train is not None
    if not len(data.validation):
        return None
    network.eval()
    total = 0.0
    with torch.no_grad():  # inference mode would forbid losses that take gradients themselves
        for start in range(0, len(data.validation), VALIDATED):
            indices = np.arange(start, min(start + VALIDATED, len(data.validation)))
            loss = _loss(cell, network, data.validation, indices, TEST_SEED, 0, "validation")
            total += loss.item() * len(indices)
    mean = total / len(data.validation)
    return mean if math.isfinite(mean) else math.inf


def _loss(
    cell: Cell,
    network: "nn.Module",
    images: np.ndarray,
    indices: np.ndarray,
    seed: int,
    epoch: int,
    purpose: str,
) -> "torch.Tensor":
    """The loss of some images, float32 scalar. images: all of their split. indices: (N,) int64, which of them."""
    model, train = cell.model, cell.train
    assert isinstance(model, TrainableModel) and train is not None
    clean = to_float(torch.from_numpy(images[indices]).to(train.device))
    where = torch.from_numpy(indices).to(train.device)
    inputs, targets = corrupt(cell.noise, clean, where, seed, epoch, purpose), clean
    draw = Draw(tuple(clean.shape), seed, ("loss", purpose, epoch), where)
    hidden = None
    if model.objective == "noise2noise":
        targets = corrupt(cell.noise, clean, where, seed, epoch, f"{purpose} target")
    elif model.objective == "noise2void":
        targets = inputs
        inputs, hidden = blind(inputs, draw.fork("blind"))
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    half = train.precision == "bfloat16"
    context = torch.autocast(train.device, dtype=torch.bfloat16) if half else contextlib.nullcontext()
    with context:
        if hidden is None:
            return model.loss(network, inputs, targets, draw)
        # Where nothing was hidden the output counts as right, so that the mean is over hidden pixels alone.
        judged = torch.where(hidden, network(inputs).float(), targets)
        return functional.mse_loss(judged, targets) / hidden.float().mean()


def corrupt(
    noise: Noise | None, clean: "torch.Tensor", indices: "torch.Tensor", seed: int, epoch: int, purpose: str
) -> "torch.Tensor":
    """The images with their noise of this epoch; unchanged where there is no noise."""
    if noise is None:
        return clean
    drawn_in = epoch if noise.fresh else 0
    return noise.apply(clean, Draw(tuple(clean.shape), seed, (purpose, drawn_in), indices))


def blind(noisy: "torch.Tensor", draw: Draw) -> "tuple[torch.Tensor, torch.Tensor]":
    """The images with some pixels hidden behind a neighbour, and which they are: (N, 1, H, W), true where hidden.

    Source: Krull et al. 2019, arXiv:1811.10980. The neighbour is one of the 24 around, mirrored where it lies outside.
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


def _check_finite(network: "nn.Module", loss: float, epoch: int, lr: float) -> None:
    """Raise Diverged for a loss or weights that no further epoch can bring back."""
    broken = "" if math.isfinite(loss) else f"the training loss is {loss}"
    if not broken and not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        broken = "a weight is no longer a finite number"
    if broken:
        raise Diverged(f"diverged: {broken} in epoch {epoch} (learning rate {lr:g})")


def _factor(schedule: str, progress: float) -> float:
    """What the learning rate is multiplied by. progress: share of the budget that is used up, in [0, 1]."""
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * progress))


def _lowest(history: Sequence[Epoch]) -> float | None:
    """The lowest validation loss so far, None without validation images."""
    return min((done.validation_loss for done in history if done.validation_loss is not None), default=None)
