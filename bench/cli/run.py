"""`bench run`: train and score what a spec names."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.data import prepared
from bench.cli.progress import Display
from bench.cli.results import print_summary, rebuilt, written
from bench.cli.terminal import console
from bench.core import machine
from bench.core.plugins import load_plugins
from bench.core.words import counted
from bench.results.files import NotWritable, check_writable
from bench.results.lock import held
from bench.results.records import RunPlan
from bench.results.revisions import made_before
from bench.results.store import Store
from bench.results.strays import left_out, strays
from bench.results.taken import taken
from bench.running import able, engine, events, forecast, stale
from bench.running.cluster import Cluster
from bench.spec.cells import Work
from bench.spec.plan import as_run, resolved, works_of


def run(
    spec_path: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    figures: bool = True,
    quiet: bool = False,
    verbose: bool = False,
    keep_stale: bool = False,
    scheduler: str = "",
    timeout: float | None = None,
) -> int:
    """Exit code 0, or 1 where a cell failed. Raises what failed in this package itself, once all else is done."""
    screen, details = console(), console(quiet)
    files = plugin_files(plugins)
    experiment = spec.load(spec_path, overrides)
    store = Store(results / experiment.name)
    chosen = prepared(experiment, store.earlier(), screen)
    chosen.announce(screen, verbose)
    experiment = resolved(chosen.experiment)
    works = taken(works_of(experiment, forecast.remembered().compiling_pays), store)
    for note in _notes(experiment, works, store, keep_stale, elsewhere=bool(scheduler)):
        screen.print(note)
    with experiment.at_dataset():
        notes, digests = experiment.dataset.notes(), experiment.dataset.digests()
        names = experiment.dataset.test_names()
    planned = RunPlan.of(as_run(experiment, works), works, chosen.stand_in_for, notes, digests)
    if store.earlier() is None:
        check_writable(store.root)
    with held(store.root) as note:
        if note:
            screen.print(note)
        store.begin(as_run(chosen.asked, works).node(), planned)
        store.name_images(names)
        with Display(details, planned.distinct) as display:
            reach = partial(Cluster, scheduler, partial(click.echo, err=True), timeout) if scheduler else None
            stream = engine.run(experiment, works, store, workers, files, keep_stale, reach, timeout)
            ended = _followed(stream, display, experiment, partial(_describe, store, files, scheduler))
        if not ended.ran:
            details.print(f"nothing to run: {_finished(len(works), experiment.name)}")
        if not _shown(store, (screen, details), ended.ran, figures, ended.failed):
            return 1
    if chosen.stand_in_for:
        named = f"{experiment.dataset.label()}, not {chosen.stand_in_for}"
        screen.print(f"\nSTAND-IN IMAGES: these numbers are for {named}.", style="bold")
    screen.print(written(store, figures))
    if ended.fault:
        raise ended.fault
    return 1 if ended.failed else 0


def _notes(
    experiment: spec.Experiment, works: Sequence[Work], store: Store, keep_stale: bool, elsewhere: bool
) -> Iterator[str]:
    """What to know before anything is run. Raises SpecError for what this machine can't do, unless others do it."""
    if not elsewhere:
        able.check(experiment, works, store, keep_stale)
    yield from made_before(works, store)
    yield from stale.notes(experiment, works, store, keep_stale)
    yield from able.notes(experiment, works, store, keep_stale)
    if outside := left_out(strays(store, works), store.root):
        yield outside


def _describe(store: Store, files: tuple[str, ...], scheduler: str) -> None:
    elsewhere = {"cpu": "processors of a Dask cluster"} if scheduler else {}
    store.describe_environment({**machine.environment(), **elsewhere}, load_plugins(files).plugins)


def _finished(cells: int, name: str) -> str:
    return f"all {counted(cells, 'cell')} of {name} are finished" if cells > 1 else f"the cell of {name} is finished"


class _Ended(NamedTuple):
    """How a run ended: whether there was anything to run, whether a cell failed, and the first fault of ours."""

    ran: bool = False
    failed: bool = False
    fault: Exception | None = None


def _followed(
    stream: Iterable[events.Event],
    display: Display,
    experiment: spec.Experiment,
    describe: Callable[[], None],
) -> _Ended:
    """Show a run's events until it ends. describe: writes under which conditions it runs."""
    ended = _Ended()
    for event in stream:
        if isinstance(event, events.Started) and event.pending:
            display.expected = forecast.expected(experiment, event.left, forecast.remembered(), event.workers)
            describe()
            ended = _Ended(ran=True)
        if isinstance(event, events.Noticed):
            click.echo(f"Warning: {display.names[event.work.cell.id]}: {event.what}", err=True)
        if isinstance(event, events.Failed):
            ended = ended._replace(failed=True, fault=ended.fault or event.error)
        display.show(event)
    return ended


def _shown(store: Store, screens: tuple[Console, Console], ran: bool, figures: bool, failed: bool) -> bool:
    """Write and print the tables; false where the disk is full, which is why cells failed, or the folder is gone.

    screens: for what matters and for details.
    """
    screen, details = screens
    if store.earlier() is None:
        click.echo(f"Error: {store.root} was removed while this ran: run the same command again", err=True)
        return False
    try:
        print_summary(screen, rebuilt(store, details, force=ran, draw=figures), quiet=details.quiet)
    except NotWritable as error:
        if not failed:
            raise
        click.echo(f"Error: {error}", err=True)
        return False
    return True
