"""What a shell offers for a word that is being typed: names of the registries, specs and keys of `--set`."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.core.lazy import Lazy

datasets = Lazy("bench.datasets")
experiment = Lazy("bench.spec.experiment")
bundled_specs = Lazy("bench.spec.bundled")
models = Lazy("bench.models")
noises = Lazy("bench.noises")
settings = Lazy("bench.spec.train_settings")


def noise_names(context: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Registered noises."""
    return _starting(noises.noises, typed)


def model_names(context: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Registered models."""
    return _starting(models.models, typed)


def dataset_names(context: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Registered datasets."""
    return _starting(datasets.datasets, typed)


def specs(context: click.Context, option: click.Parameter, typed: str) -> list[CompletionItem]:
    """Specs of the package, and files."""
    return [CompletionItem(typed, type="file"), *map(CompletionItem, _starting(bundled_specs.bundled(), typed))]


def settable(context: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Keys of a spec, those of `train` and of every dataset after their own."""
    keys = [key for key in experiment.KEYS if key not in ("train", "dataset")]
    keys += [f"train.{key}" for key in settings.TRAIN_KEYS]
    keys += [f"dataset.{key}" for key in ("name", *datasets.Dataset.field_names())]
    return [f"{key}=" for key in keys if key.startswith(typed)]


def _starting(names: Any, typed: str) -> list[str]:
    return [name for name in names if name.startswith(typed)]
