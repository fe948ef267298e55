"""`bench run`: train and score what a spec names."""

from pathlib import Path

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.data import prepared
from bench.cli.progress import Display
from bench.cli.results import print_summary, rebuilt
from bench.cli.terminal import console
from bench.core import machine
from bench.core.plugins import load_plugins
from bench.results.files import check_writable
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.running import engine, events, forecast
from bench.spec.plan import as_run, resolved, works_of


def run(
    spec_path: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    figures: bool = True,
) -> int:
    """Exit code 0, or 1 where a cell failed."""
    screen = console()
    files = plugin_files(plugins)
    experiment = spec.load(spec_path, overrides)
    store = Store(results / experiment.name)
    chosen = prepared(experiment, store.earlier(), screen)
    chosen.announce(screen, verbose=False)
    experiment = resolved(chosen.experiment)
    works = works_of(experiment, forecast.remembered().compiling_pays)
    planned = RunPlan.of(as_run(experiment, works), works, chosen.stand_in_for)
    if store.earlier() is None:
        check_writable(store.root)
    store.begin(as_run(chosen.asked, works).node(), planned)
    ran = failed = False
    with Display(screen, planned.cells) as display:
        for event in engine.run(experiment, works, store, workers, files):
            if isinstance(event, events.Started):
                display.expected = forecast.expected(experiment, event.left, forecast.remembered(), event.workers)
            display.show(event)
            if isinstance(event, events.Started) and event.pending:
                ran = True
                store.describe_environment(machine.environment(), load_plugins(files).plugins)
            failed |= isinstance(event, events.Failed)
    if not ran:
        screen.print(f"nothing to run: all {len(works)} cells of {experiment.name} are finished")
    print_summary(screen, rebuilt(store, screen, force=ran, draw=figures))
    if chosen.stand_in_for:
        screen.print(
            f"\nSTAND-IN IMAGES: these numbers are for {experiment.dataset.label()}, not {chosen.stand_in_for}.",
            style="bold",
        )
    written = f"tables, figures and report: {store.root}/report.html"
    screen.print(written if figures else f"tables: {store.root}/tables; `bench report {store.root}` draws the figures")
    return 1 if failed else 0
