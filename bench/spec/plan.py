"""An experiment as the cells to train and score."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from bench.core import machine
from bench.core.errors import SpecError
from bench.models import ClosedForm, TrainableModel
from bench.noises import Noise
from bench.spec.cells import Cell, Scoring, Work
from bench.spec.experiment import Experiment
from bench.spec.train_settings import Train


def works_of(experiment: Experiment, compiles: Callable[[Cell], bool] = lambda cell: False) -> list[Work]:
    """Every cell of an experiment once: models outermost, then noises, training settings and seeds.

    compiles: whether a cell with the setting `compile: auto` is trained through torch.compile.
    Raises DataError where the images are unavailable, SpecError where their numbers don't suit the models.
    """
    with experiment.at_dataset():
        data = experiment.dataset.identity()
        _check_counts(experiment, data)
        _check_size(experiment)
    found: dict[str, Work] = {}
    for cell, ensemble in _cells(resolved(experiment), data):
        if cell.train and cell.train.compile == "auto":
            train = replace(cell.train, compile="on" if compiles(cell) else "off")
            cell = replace(cell, train=train)
        known = found.get(cell.id, Work(cell, ()))
        tests = (*known.tests, *(Scoring(noise, ensemble, experiment.test_seed) for noise in _tests(experiment, cell)))
        found[cell.id] = replace(known, tests=tuple(dict.fromkeys(tests)))
    return list(found.values())


def resolved(experiment: Experiment) -> Experiment:
    """The experiment with `auto` devices and precisions replaced by this machine's."""
    return experiment.retrained(resolve)


def as_run(experiment: Experiment, works: Sequence[Work]) -> Experiment:
    """The experiment as it can be run again from any folder, every `auto` of its training as it was in these cells.

    `compile: auto` stays where it became `on` in some cells and `off` in others.
    """
    compiled = {work.cell.train.compile for work in works if work.cell.train}
    settled = replace(resolved(experiment), dataset=experiment.dataset.absolute())
    if len(compiled) != 1:
        return settled
    (found,) = compiled
    return settled.retrained(lambda train: replace(train, compile=found) if train.compile == "auto" else train)


def resolve(train: Train) -> Train:
    """The settings with `auto` device and precision replaced by this machine's."""
    device = machine.device() if train.device == "auto" else train.device
    precision = machine.precision(device) if train.precision == "auto" else train.precision
    return replace(train, device=device, precision=precision)


def _check_counts(experiment: Experiment, data: Mapping[str, Any]) -> None:
    for model in (entry.model for entry in experiment.models):
        if model.most_images is not None and data["test"] > model.most_images:
            raise SpecError(
                f"model {model.name} is too slow for {data['test']:,} test images: "
                f"ask for test: {model.most_images} at most"
            )
    if any(train.lr_search for train in experiment.trainings) and not data["validation"]:
        raise SpecError("a learning rate is searched on validation images, and this dataset has none: set validation")


def _check_size(experiment: Experiment) -> None:
    """Raise SpecError where images are too small or too large for something: it would fail after hours of training."""
    size = experiment.dataset.size
    models = [entry.model for entry in experiment.models]
    for model in models:
        if model.largest is not None and size > model.largest:
            most = f"{model.largest} x {model.largest}"
            patch = " give it a patch," if "patch" in model.field_names() else ""
            raise SpecError(
                f"model {model.label()} takes images of at most {most} pixels, and these have {size} x {size}:{patch} "
                f"set size: {model.largest} or less, or leave {model.name} out"
            )
    for part in (*experiment.metrics, *models, *experiment.noises, *(experiment.test_noises or ())):
        if part.smallest > size:
            least = f"{part.smallest} x {part.smallest}"
            raise SpecError(
                f"{part.registry.kind} {part.name} needs images of at least {least} pixels, and these have "
                f"{size} x {size}: set size: {part.smallest} or more, or leave {part.name} out"
                + (", as in metrics: [mse, psnr]" if part in experiment.metrics else "")
            )


def _cells(experiment: Experiment, data: Mapping[str, Any]) -> Iterator[tuple[Cell, int]]:
    """Cells, and the ensemble that each is scored with; those that differ in it alone are one cell."""
    for entry in experiment.models:
        model, ensemble = entry.model, entry.use.ensemble
        if not model.trains:
            noisy = isinstance(model, ClosedForm) and model.for_noise
            for noise in experiment.noises if noisy else (None,):
                yield Cell(model, noise, None, None, data), ensemble
            continue
        noiseless = isinstance(model, TrainableModel) and model.objective == "autoencode"
        for noise in (None,) if noiseless else experiment.noises:
            for train, seed in product(entry.train, experiment.seeds):
                yield Cell(model, noise, seed, train, data, recipe=entry.recipe), ensemble


def _tests(experiment: Experiment, cell: Cell) -> tuple[Noise, ...]:
    if experiment.test_noises is not None:
        return experiment.test_noises
    return experiment.noises if cell.noise is None else (cell.noise,)
