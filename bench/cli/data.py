"""Getting a dataset ready, with its fallback: `bench data`, and the first step of a run."""

from rich.console import Console

from bench import spec
from bench.cli.catalogue import default_of, plugin_files
from bench.cli.progress import Download
from bench.cli.terminal import console
from bench.core.errors import DataError
from bench.datasets import Dataset, datasets


def fetch(name: str, plugins: tuple[str, ...]) -> None:
    """Make a dataset available, with a bar for a download."""
    screen = console()
    plugin_files(plugins)
    _prepare(default_of(datasets, name), screen)
    screen.print(f"{name}: ready")


def with_data(experiment: spec.Experiment, screen: Console) -> tuple[spec.Experiment, str]:
    """The experiment with its data at hand, on its fallback where they can't be had, and what that stands in for."""
    try:
        with experiment.at_dataset():
            _prepare(experiment.dataset, screen)
        return experiment, ""
    except DataError as error:
        if experiment.fallback is None:
            raise
        wanted = experiment.dataset.label()
        experiment = experiment.with_fallback()
        screen.print(f"{error}\n")
        screen.print(
            f"STAND-IN IMAGES: {wanted} can't be had, so this run uses {experiment.dataset.label()} instead.\n",
            style="bold",
        )
        with experiment.at_dataset():
            _prepare(experiment.dataset, screen)
        return experiment, wanted


def _prepare(dataset: Dataset, screen: Console) -> None:
    bar = Download(screen)
    try:
        dataset.prepare(bar)
    finally:
        bar.close()
