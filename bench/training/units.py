"""Units of work as functions of plain values, so that they run in this process or in any other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from bench.core.lazy import torch
from bench.core.plugins import load_plugins
from bench.datasets import Data, datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.spec.cells import Cell
from bench.training import closed_form, complexity, diagnose, measure, shipped, train
from bench.training.complexity import Complexity
from bench.training.costs import Cost
from bench.training.score import Score, fit_to_validation, network_of, score
from bench.training.state import State


@dataclass(frozen=True)
class Context:
    """What all units of a run have in common.

    dataset: its node. plugins: files that register classes of the user's own.
    shipped: the id under which a worker without these files has been sent what it needs; empty for others.
    """

    dataset: Mapping[str, Any]
    plugins: tuple[str, ...] = ()
    shipped: str = ""

    def load_plugins(self) -> None:
        """Make the user's own classes known."""
        if not self.shipped:
            load_plugins(self.plugins)

    def data(self) -> Data:
        """The images, read once per process."""
        if self.shipped:
            return shipped.data(self.shipped)
        self.load_plugins()
        return _data(json.dumps(self.dataset, sort_keys=True))


def complexity_step(context: Context, model: Mapping[str, Any], size: int) -> Complexity:
    """Parameters and multiply-accumulates of a model. Raises whatever it raises when it is built."""
    context.load_plugins()
    return complexity.complexity(models.parse(model), size)


def measure_training(context: Context, cell: Mapping[str, Any], size: int, compiled: bool) -> Cost:
    """Measure a cell's training per image, through torch.compile as well if `compiled`."""
    context.load_plugins()
    return measure.training(Cell.from_node(cell), size, compiled)


def measure_scoring(
    context: Context,
    model: Mapping[str, Any],
    noise: Mapping[str, Any],
    ensemble: int,
    chosen: tuple[Mapping[str, Any], ...],
    size: int,
) -> Cost:
    """Measure a model's scoring per image, under one test noise."""
    context.load_plugins()
    torch.set_num_threads(1)
    parsed = [metrics.parse(node) for node in chosen]
    return measure.scoring(models.parse(model), noises.parse(noise), parsed, size, ensemble)


def train_step(context: Context, cell: Mapping[str, Any], state: State, epochs: int) -> State:
    """Some more epochs of a cell's training."""
    data = context.data()  # first: it loads the plug-ins
    return train.advance(Cell.from_node(cell), data, state, epochs)


def solve_step(context: Context, cell: Mapping[str, Any]) -> tuple[State, float]:
    """The weights of a cell in closed form as a state without history, and the seconds that they took."""
    data = context.data()
    return closed_form.solve(Cell.from_node(cell), data)


def diagnose_step(context: Context, cell: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What is found out about a cell's network, trained to these weights."""
    data = context.data()
    return diagnose.diagnose(Cell.from_node(cell), data, weights)


def score_step(
    context: Context,
    cell: Mapping[str, Any],
    weights: Mapping[str, np.ndarray] | None,
    noise: Mapping[str, Any],
    ensemble: int,
    chosen: tuple[Mapping[str, Any], ...],
    seed: int = 0,
) -> Score:
    """A cell's denoiser under one test noise, its null keys tuned on validation images first.

    weights: None for a denoiser without. chosen: nodes of metrics; none makes the samples only. seed: of the tests.
    """
    data = context.data()
    subject = Cell.from_node(cell)
    torch.set_num_threads(subject.train.threads if subject.train else 1)
    test_noise = noises.parse(noise)
    model = fit_to_validation(subject.model, data, test_noise)
    network = network_of(replace(subject, model=model), data.test.shape[-1], weights)
    device = subject.train.device if subject.train else "cpu"
    found = score(network, data, test_noise, [metrics.parse(node) for node in chosen], device, ensemble, seed)
    return replace(found, fitted=model.label()) if subject.model.fits else found


@lru_cache(maxsize=2)
def _data(dataset: str) -> Data:
    return datasets.parse(json.loads(dataset)).load()
