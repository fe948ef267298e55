"""Getting a dataset ready, with its fallback: `bench data`, and the first step of a run."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from bench import spec
from bench.cli.catalogue import default_of, plugin_files
from bench.cli.progress import Download
from bench.cli.terminal import console
from bench.core.errors import DataError
from bench.datasets import Dataset, datasets
from bench.results.records import RunPlan


def fetch(name: str, plugins: tuple[str, ...]) -> None:
    """Make a dataset available, with a bar for a download."""
    screen = console()
    plugin_files(plugins)
    _prepare(default_of(datasets, name), screen)
    screen.print(f"{name}: ready")


@dataclass(frozen=True)
class Chosen:
    """The images that a spec gets.

    asked: the experiment as the spec has it. experiment: the same on its fallback where its own images are unavailable.
    stand_in_for: the dataset that is unavailable, or empty. reason: why it can't.
    to_fetch: what has yet to be fetched for it, or empty.
    """

    asked: spec.Experiment
    experiment: spec.Experiment
    stand_in_for: str = ""
    reason: str = ""
    to_fetch: str = ""

    def announce(self, screen: Console, verbose: bool = False) -> None:
        """Say loudly that other images stand in, and why if asked to; and what is still to be fetched."""
        if self.to_fetch:
            screen.print(
                f"{self.experiment.dataset.label()} is not on this machine: `bench run` fetches {self.to_fetch}"
            )
        if not self.stand_in_for:
            return
        if verbose and self.reason:
            screen.print(f"{self.reason}\n")
        why = "" if verbose or not self.reason else " (why: --verbose)"
        used = self.experiment.dataset.label()
        screen.print(
            f"STAND-IN IMAGES: {used} instead of {self.stand_in_for}, which is unavailable{why}\n", style="bold"
        )


def choose(experiment: spec.Experiment, before: RunPlan | None, available: Callable[[Dataset], str]) -> Chosen:
    """The images that an experiment gets: its own, or else those of its fallback.

    before: what its folder was run for. available: what has yet to be fetched of a dataset; raises DataError where it
    is unavailable.
    """
    try:
        with experiment.at_dataset():
            to_fetch = available(experiment.dataset)
        # The experiment.yaml of older versions names the stand-in, as its own fallback.
        itself = experiment.fallback == experiment.dataset.name
        return Chosen(experiment, experiment, before.stand_in_for if before and itself else "", to_fetch=to_fetch)
    except DataError as error:
        if experiment.fallback is None:
            raise
        other = experiment.with_fallback()
        with other.at_dataset():
            to_fetch = available(other.dataset)
        return Chosen(experiment, other, experiment.dataset.label(), str(error), to_fetch)


def prepared(experiment: spec.Experiment, before: RunPlan | None, screen: Console) -> Chosen:
    """The images that an experiment gets, ready to be used."""

    def ready(dataset: Dataset) -> str:
        _prepare(dataset, screen)
        return ""

    return choose(experiment, before, ready)


def _prepare(dataset: Dataset, screen: Console) -> None:
    bar = Download(screen)
    try:
        dataset.prepare(bar)
    finally:
        bar.close()
