"""`bench plan`: the cells of a spec, what is done, what is left, and how long that takes."""

from collections.abc import Sequence
from pathlib import Path

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.progress import duration
from bench.cli.terminal import console, show_table
from bench.core import machine
from bench.results.files import as_json, write
from bench.results.records import Contender, setting
from bench.results.store import Store
from bench.running import engine, forecast
from bench.spec.cells import Work
from bench.spec.plan import resolved, works_of
from bench.training.costs import Costs


def plan(
    spec_path: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    measure: bool = False,
    workers: int | None = None,
) -> None:
    """Print the cells, what is left, and how long that will take where it was measured."""
    screen = console()
    files = plugin_files(plugins)
    experiment = spec.load(spec_path, overrides)
    known = forecast.remembered()
    if measure:
        used = min(machine.cores(), workers or machine.cores())
        known = forecast.measure(experiment, works_of(experiment), used, files)
        write(forecast.path(), as_json(known.node()))
    works = works_of(experiment, known.compiling_pays)
    store = Store(results / experiment.name)
    left = {work.cell.id: work for work in engine.pending(works, store, experiment.metrics)}
    rows = [_planned(work, experiment.varied, _state(work, left, store)) for work in works]
    show_table(screen, list(rows[0]), [list(row.values()) for row in rows])
    untrained = [work for work in left.values() if not store.cell(work.cell.id).finished]
    epochs, tests = sum(work.cell.epochs for work in untrained), sum(len(work.tests) for work in left.values())
    screen.print(
        f"{len(works)} cells: {len(works) - len(left)} finished, {len(left)} to run ({epochs} epochs, {tests} tests)"
    )
    if left:
        screen.print(_forecast(experiment, list(left.values()), untrained, known, workers))


def _forecast(
    experiment: spec.Experiment, left: Sequence[Work], untrained: Sequence[Work], known: Costs, workers: int | None
) -> str:
    """How long what is left takes, in as many processes as asked for or as usual and in twice as many, and so on."""
    trained = [work not in untrained for work in left]
    busy = [forecast.seconds(experiment, work, done, known) for work, done in zip(left, trained, strict=True)]
    lacking = busy.count(None)
    if lacking:
        return f"how long: not known, {lacking} of these cells were never measured on this machine; --measure does it"
    usual = engine.default_workers(resolved(experiment), left, untrained)
    counts = [workers] if workers else [usual * factor for factor in (1, 2, 4)]
    walls = [known.start + forecast.wall([cell for cell in busy if cell is not None], count) for count in counts]
    here = f"{duration(walls[0])} in {counts[0]} process{'es' if counts[0] > 1 else ''}"
    more = "".join(f", {duration(wall)} in {count}" for wall, count in zip(walls[1:], counts[1:], strict=True))
    said = "how long before figures and report, as measured on this machine"
    return f"{said}: {here}{more}, each with processors of its own like these"


def _planned(work: Work, varied: Sequence[str], state: str) -> dict[str, str]:
    """A row of the plan."""
    contender, seed = Contender.of(work.cell, varied), work.cell.seed
    return {
        "cell": work.cell.id,
        "model": contender.title,
        "trained on": str(contender.train_noise or ""),
        "seed": "" if seed is None else str(seed),
        **{key: "" if value is None else setting(value) for key, value in contender.settings},
        "tests": str(len(work.tests)),
        "state": state,
    }


def _state(work: Work, left: dict[str, Work], store: Store) -> str:
    folder = store.cell(work.cell.id)
    if work.cell.id not in left:
        return "done"
    if folder.finished:
        return f"trained, {len(left[work.cell.id].tests)} tests to do"
    begun = folder.state().epoch
    if begun and work.cell.train:
        return f"epoch {begun} of {work.cell.epochs}"
    return f"failed: {folder.failure()}" if folder.failure() else "to do"
