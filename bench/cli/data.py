"""Getting a dataset ready, with its fallback: `bench data`, and the first step of a run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import spec
from bench.cli.catalogue import default_of, plugin_files
from bench.cli.progress import Download
from bench.cli.terminal import console, show_table
from bench.core.encoding import encode, format_of
from bench.core.errors import DataError, FieldError, SpecError, unknown
from bench.core.images import contact_sheet
from bench.core.pictures import Picture, one_below_another
from bench.core.words import counted
from bench.datasets import Data, Dataset, datasets
from bench.datasets.base import PARTS
from bench.results.files import write
from bench.results.records import RunPlan

MOST_ROWS = 40  # of the table of kinds of pictures
MOST_SHOWN, IN_A_ROW, WIDTH = 64, 16, 1024  # of each part in a contact sheet: images, images a row, pixels a row


def fetch(
    name: str, roots: tuple[str, ...], test_root: str | None, output: Path | None, every: bool, plugins: tuple[str, ...]
) -> None:
    """Make a dataset available, with a bar for a download; say what it is made of, and draw it where a file is named.

    name: of a dataset, or the path of a spec. roots, test_root: keys of a folder. every: name each picture.
    """
    screen = console()
    plugin_files(plugins)
    dataset = _named(name, roots, test_root)
    if output:
        format_of(output.suffix)
    try:
        _prepare(dataset, screen)
    except DataError:
        _show_listing(_lenient(dataset), every, screen)
        raise
    _show_listing(dataset, every, screen)
    if output:
        write(output, encode([_contact_sheet(dataset.load())], output.suffix))
        screen.print(f"images of each part as they are trained and tested on: {output}")
    screen.print(f"{dataset.label()}: ready")


def _named(name: str, roots: tuple[str, ...], test_root: str | None) -> Dataset:
    """The dataset of a spec, or the one called so with these keys. Raises SpecError."""
    keys: dict[str, object] = {"root": roots[0] if len(roots) == 1 else list(roots)} if roots else {}
    keys |= {"test_root": test_root} if test_root else {}
    if name not in datasets and Path(name).suffix in (".yaml", ".yml"):
        if keys:
            raise SpecError(f"{name}: a spec names its folders itself; leave --root and --test-root out")
        return spec.load(Path(name)).dataset
    if not keys:
        return default_of(datasets, name)
    if name not in datasets:
        raise SpecError(unknown(datasets.kind, name, datasets))
    try:
        return datasets.parse({name: keys})
    except FieldError as error:
        raise SpecError(f"{datasets.kind} {name!r}: {'.'.join(map(str, error.path))}: {error.message}") from None


def _lenient(dataset: Dataset) -> Dataset:
    """The dataset with what makes it refuse pictures left out, to show the others."""
    allowed: dict[str, Any] = {"skip_unreadable": True, "duplicates": "drop"}
    return replace(dataset, **{key: value for key, value in allowed.items() if key in dataset.field_names()})


def _show_listing(dataset: Dataset, every: bool, screen: Console) -> None:
    """Say how many pictures of which kind each part has, or what each one is; and what was passed over."""
    try:
        listed, source = dataset.listing(), dataset.source()
    except DataError:
        return  # what is wrong is said anyway
    if every:
        show_table(screen, ("part", "picture", "taken as"), [tuple(one) for one in listed])
    elif listed:
        kinds: dict[tuple[str, str, str], list[str]] = {}
        for one in listed:
            suffix = Path(one.path.partition(", page ")[0]).suffix.lower()
            kinds.setdefault((one.part, suffix, one.what), []).append(one.path)
        rows = [
            (part, f"{len(paths):,}", suffix, what, paths[0])
            for (part, suffix, what), paths in sorted(kinds.items(), key=lambda kind: (PARTS.index(kind[0][0]), kind))
        ]
        show_table(screen, ("part", "pictures", "format", "taken as", "the first"), rows[:MOST_ROWS])
        if len(rows) > MOST_ROWS:
            screen.print(f"and {counted(len(rows) - MOST_ROWS, 'more kind')}: --all names every picture")
    for text in (*source.remarks, *source.caveats):
        screen.print(text)


def _contact_sheet(data: Data) -> Picture:
    """The first images of each part, under its name and their number."""
    sheets = {}
    for part in PARTS:
        images = getattr(data, part)
        if len(images):
            shown = images[:MOST_SHOWN]
            rows = [shown[start : start + IN_A_ROW] for start in range(0, len(shown), IN_A_ROW)]
            what = counted(len(images), "image")
            caption = f"{part}: {what}" if len(shown) == len(images) else f"{part}: the first {len(shown)} of {what}"
            sheets[caption] = Picture.from_array(contact_sheet(rows))
    return one_below_another(sheets, factor=max(1, WIDTH // (IN_A_ROW * images.shape[-1])))


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


def looked_up(dataset: Dataset, screen: Console) -> str:
    """What would have to be fetched of a dataset; one that is all here is made ready."""
    to_fetch = dataset.to_fetch()
    if not to_fetch:
        _prepare(dataset, screen)
    return to_fetch


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
