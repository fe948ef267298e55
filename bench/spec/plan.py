"""An experiment as the cells to train and score."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from bench.core import machine
from bench.core.errors import SpecError
from bench.models import TrainableModel
from bench.spec.cells import Cell, Work
from bench.spec.experiment import Experiment
from bench.spec.settings import Train


def never(cell: Cell) -> bool:
    """No cell, whatever it is."""
    return False


def works_of(experiment: Experiment, compiles: Callable[[Cell], bool] = never) -> list[Work]:
    """Every cell of an experiment, models outermost, then noises, training settings and seeds.

    compiles: whether a cell whose setting is `compile: auto` is trained through torch.compile.
    Raises DataError where the images can't be had, SpecError where the models ask for other counts of them.
    """
    with experiment.at_dataset():
        data = experiment.dataset.identity()
        _check_counts(experiment, data)
    found: dict[str, Work] = {}
    for cell in _cells(resolved(experiment), data):
        if cell.train and cell.train.compile == "auto":
            setting: Literal["on", "off"] = "on" if compiles(cell) else "off"
            cell = dataclasses.replace(cell, train=dataclasses.replace(cell.train, compile=setting))
        tests = experiment.test_noises or experiment.noises
        if experiment.test_noises is None and cell.noise is not None:
            tests = (cell.noise,)
        found.setdefault(cell.id, Work(cell, tests))
    return list(found.values())


def _check_counts(experiment: Experiment, data: Mapping[str, Any]) -> None:
    for model in experiment.models:
        if model.most_images is not None and data["test"] > model.most_images:
            raise SpecError(
                f"model {model.name} is too slow for {data['test']} test images: "
                f"ask for test: {model.most_images} at most"
            )
    if any(train.lr_search for train in experiment.train) and not data["validation"]:
        raise SpecError("a learning rate is searched on validation images, and this dataset keeps none: set validation")


def resolved(experiment: Experiment) -> Experiment:
    """The experiment as this machine runs it, `auto` nowhere."""
    return dataclasses.replace(experiment, train=tuple(resolve(train) for train in experiment.train))


def resolve(train: Train) -> Train:
    """The settings with `auto` replaced by what this machine has."""
    device = machine.device() if train.device == "auto" else train.device
    precision = machine.precision(device) if train.precision == "auto" else train.precision
    return dataclasses.replace(train, device=device, precision=precision)


def _cells(experiment: Experiment, data: Mapping[str, Any]) -> Iterator[Cell]:
    for model in experiment.models:
        if not model.trains:
            yield Cell(model, None, None, None, data)
            continue
        plain = isinstance(model, TrainableModel) and model.objective == "autoencode"
        for noise in (None,) if plain else experiment.noises:
            for train in experiment.train:
                for seed in experiment.seeds:
                    yield Cell(model, noise, seed, train, data)
