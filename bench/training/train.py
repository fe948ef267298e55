"""Training as a function: some epochs from one state to the next. Nothing is written here.

A state holds everything a training depends on, and randomness depends on seed and epoch alone, so a chain of short
steps, on whatever machine each runs, gives the same weights as one long run.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from bench.core import machine, rng
from bench.core.lazy import nn, torch
from bench.datasets import Data
from bench.models import TrainableModel
from bench.spec.cells import Cell
from bench.training.budget import Budget
from bench.training.objectives import TRAINING, VALIDATION, Phase, examples, loss
from bench.training.optimizers import Optimizer
from bench.training.state import Epoch, State, as_arrays

VALIDATED = 256  # validation images per forward pass
STARTED_FROM, VALUES = 8192, 2**26  # training images, and values in them, that first weights may come from, at most


class Diverged(Exception):
    """The loss or a weight is no longer a finite number."""


def advance(cell: Cell, data: Data, state: State, epochs: int) -> State:
    """The state after some more epochs of a cell's training, or after as many as are left.

    Raises Diverged when the loss or a weight is no longer finite, ValueError for a cell that needs no training.
    Reads the training and the validation images only.
    """
    training = _Training(cell, data, state)
    for _ in range(epochs):
        if training.budget.spent(len(training.history), training.seconds):
            break
        training.run_epoch()
    return training.state()


def finished(cell: Cell, state: State) -> bool:
    """Whether a training has used up its budget; a cell that needs none has."""
    return cell.train is None or Budget.of(cell.train, cell.data["train"]).spent(state.epoch, state.seconds)


def build(model: TrainableModel, size: int, seed: int) -> "nn.Module":
    """A network with its first weights, drawn on the CPU so that every device starts from the same."""
    with _seeded(seed, "weights"):
        return model.build(size)


def load_weights(network: "nn.Module", weights: Mapping[str, np.ndarray]) -> None:
    """Put stored arrays into a network."""
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})


class _Training:
    """A network in training: restored from a state, trained epoch by epoch, and turned into a state again."""

    def __init__(self, cell: Cell, data: Data, state: State) -> None:
        if not isinstance(cell.model, TrainableModel) or cell.train is None or cell.seed is None:
            raise ValueError(f"{cell.model.label()} needs no training")
        self.cell, self.data, self.settings, self.seed = cell, data, cell.train, cell.seed
        self.budget = Budget.of(cell.train, len(data.train))
        torch.set_num_threads(cell.train.threads)
        self.network = build(cell.model, data.train.shape[-1], cell.seed)
        if state.epoch:
            load_weights(self.network, state.weights)
        elif type(cell.model).start is not TrainableModel.start:
            self._start(cell.model)
        self.network.to(torch.device(cell.train.device)).to(memory_format=torch.channels_last)
        self.optimizer = Optimizer(self.network, cell.train, state.optimizer)
        # Validation uses the network itself: its batches have other shapes, each of which would be compiled anew.
        compiles = cell.train.compile == "on"
        self.compiled = cast("nn.Module", torch.compile(self.network)) if compiles else self.network
        self.history, self.kept, self.kept_epoch = list(state.history), state.kept, state.kept_epoch
        self.made_with = tuple(dict.fromkeys((*state.made_with, machine.arithmetic(cell.train.device))))

    def _start(self, model: TrainableModel) -> None:
        """Let the model take first weights from training images, on the CPU."""
        most = min(STARTED_FROM, max(1, VALUES // self.data.train[0].size))
        first = rng.permutation(len(self.data.train), self.seed, "start")[:most]
        cell = replace(self.cell, train=replace(self.settings, device="cpu"))
        with _seeded(self.seed, "start"):
            shown = examples(cell, self.data.train, first, Phase(TRAINING, self.seed, 0))
            model.start(self.network, shown.inputs, shown.targets)

    @property
    def seconds(self) -> float:
        return math.fsum(epoch.seconds for epoch in self.history)

    def state(self) -> State:
        weights, history = as_arrays(self.network.state_dict()), tuple(self.history)
        return State(weights, self.kept, self.optimizer.slots(), history, self.kept_epoch, self.made_with)

    def run_epoch(self) -> None:
        """Train for an epoch, validate, and keep the weights if the settings say so."""
        number, started = len(self.history) + 1, time.perf_counter()
        with _seeded(self.seed, "network", number):
            train_loss = self._train(number)
        validation_loss = self._validate()
        self._check_finite(train_loss, number)
        self.history.append(Epoch(number, train_loss, validation_loss, time.perf_counter() - started))
        lowest = min((done.validation_loss for done in self.history if done.validation_loss is not None), default=None)
        if self.settings.keep == "last" or validation_loss == lowest:
            self.kept, self.kept_epoch = as_arrays(self.network.state_dict()), number

    def _train(self, epoch: int) -> float:
        """Mean loss of one pass over the training images, or over as many as the budget leaves."""
        budget, phase, before = self.budget, Phase(TRAINING, self.seed, epoch), self.seconds
        order = rng.permutation(len(self.data.train), self.seed, "order", epoch)[: budget.images_in(epoch)]
        started = time.perf_counter()
        self.network.train()
        total, seen = torch.zeros((), dtype=torch.float64, device=self.settings.device), 0
        for step, first in enumerate(range(0, len(order), budget.batch_size), budget.steps_before(epoch)):
            seconds = before + time.perf_counter() - started
            if seen and budget.time_is_up(seconds):
                break
            batch = order[first : first + budget.batch_size]
            value = loss(self.cell, self.compiled, self.data.train, batch, phase)
            value.backward()
            self.optimizer.step(budget.rate(step, seconds))
            total += value.detach().double() * len(batch)
            seen += len(batch)
        return total.item() / seen

    def _validate(self) -> float | None:
        """Mean loss over the validation images, infinite where it is not a number; None without such images."""
        images = self.data.validation
        if not len(images):
            return None
        self.network.eval()
        total = 0.0
        with torch.no_grad():  # inference mode would forbid losses that take gradients themselves
            for start in range(0, len(images), VALIDATED):
                batch = np.arange(start, min(start + VALIDATED, len(images)))
                total += loss(self.cell, self.network, images, batch, VALIDATION).item() * len(batch)
        mean = total / len(images)
        return mean if math.isfinite(mean) else math.inf

    def _check_finite(self, train_loss: float, epoch: int) -> None:
        """Raise Diverged for a loss or weights that no further epoch can bring back."""
        broken = "" if math.isfinite(train_loss) else f"the training loss is {train_loss}"
        if not broken and not all(bool(tensor.isfinite().all()) for tensor in self.network.state_dict().values()):
            broken = "a weight is no longer a finite number"
        if broken and self._starts_finite():
            raise Diverged(f"diverged: {broken} in epoch {epoch} (learning rate {self.settings.lr:g})")
        if broken:
            raise Diverged(
                f"{broken} in epoch {epoch}, and was not finite before the first step either: the model, its loss or "
                "the noise gives values that are not finite, whatever the learning rate"
            )

    def _starts_finite(self) -> bool:
        """Whether the first batch has a finite loss under the first weights, before anything was learnt."""
        assert isinstance(self.cell.model, TrainableModel)
        network = build(self.cell.model, self.data.train.shape[-1], self.seed).to(self.settings.device)
        order = rng.permutation(len(self.data.train), self.seed, "order", 1)
        with _seeded(self.seed, "network", 1), torch.no_grad():
            value = loss(
                self.cell, network, self.data.train, order[: self.budget.batch_size], Phase(TRAINING, self.seed, 1)
            )
        return bool(value.isfinite())


@contextlib.contextmanager
def _seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed torch's RNG inside this block: first weights and layers such as dropout draw from it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.derive(seed, *purpose) % 2**32)
        yield
