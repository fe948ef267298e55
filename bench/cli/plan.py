"""`bench plan`: the cells of a spec, what is done, what is left, and how long that takes."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.data import choose, looked_up
from bench.cli.progress import Measuring, duration
from bench.cli.terminal import console, show_table
from bench.core import machine
from bench.core.words import counted
from bench.datasets.base import PARTS
from bench.results.files import as_json, write
from bench.results.records import Contender, RunPlan, setting
from bench.results.revisions import made_before
from bench.results.store import Store
from bench.results.strays import left_out, strays
from bench.results.taken import taken
from bench.running import able, engine, forecast, stale
from bench.running.pending import Pending, pending
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
    verbose: bool = False,
) -> None:
    """Print the cells, what is left, and how long that will take where it was measured."""
    screen = console()
    files = plugin_files(plugins)
    experiment = spec.load(spec_path, overrides)
    store = Store(results / experiment.name)
    chosen = choose(experiment, store.earlier(), partial(looked_up, screen=screen))
    chosen.announce(screen, verbose)
    experiment = chosen.experiment
    known = forecast.remembered()
    if measure:
        used = min(machine.cores(), workers or machine.cores())
        with Measuring(screen) as measuring:
            known = forecast.measure(experiment, works_of(experiment), used, files, measuring)
        write(forecast.path(), as_json(known.node()))
    works = taken(works_of(experiment, known.compiling_pays), store)
    able.check(resolved(experiment), works, store)
    left = {one.work.cell.id: one for one in pending(works, store, experiment)}
    images = "" if chosen.to_fetch else _images(experiment)
    planned = RunPlan.of(experiment, works)
    rows = [_planned(work, experiment.varied, _state(left.get(work.cell.id), store)) for work in works]
    show_table(screen, list(rows[0]), [list(row.values()) for row in rows])
    if images:
        screen.print(images, markup=False, highlight=False)
    epochs = sum(one.epochs - one.done for one in left.values())
    tests = sum(len(one.work.tests) for one in left.values())
    screen.print(
        f"{counted(len(works), 'cell')}: {len(works) - len(left)} finished, {len(left)} to run "
        f"({counted(epochs, 'epoch')}, {counted(tests, 'test')})"
    )
    outside = strays(store, works)
    if outside:
        screen.print(left_out(outside, store.root))
        show_table(screen, ("cell", "outside the plan", "MB"), [(o.id, str(o), f"{o.size / 1e6:.2f}") for o in outside])
    for recipe, models in planned.recipes.items():
        screen.print(f"{', '.join(models)} by recipe: {recipe}", markup=False, highlight=False)
    told = (made_before(works, store), stale.notes(experiment, works, store), able.notes(experiment, works, store))
    for note in (*chain(*told), *_remarks(experiment)):
        screen.print(note)
    if left:
        screen.print(_forecast(experiment, list(left.values()), known, workers))


def _images(experiment: spec.Experiment) -> str:
    """How many images each part has, and what to know of them."""
    with experiment.at_dataset():
        counts, notes = experiment.dataset.identity(), experiment.dataset.notes()
    parts = ", ".join(f"{counts[part]:,} {name}" for part, name in zip(PARTS, ("training", *PARTS[1:]), strict=True))
    return "\n".join([f"{experiment.dataset.label()}: {parts} images", *(f"  {note}" for note in notes)])


def _forecast(experiment: spec.Experiment, left: Sequence[Pending], known: Costs, workers: int | None) -> str:
    """How long what is left takes, in as many processes as asked for or as usual and in twice as many, and so on."""
    busy = [forecast.seconds(experiment, one, known) for one in left]
    lacking = busy.count(None)
    if lacking:
        return f"time: unknown, {lacking} of these cells were never benchmarked on this machine; use --measure"
    usual = engine.default_workers(resolved(experiment), left)
    counts = [workers] if workers else [usual * factor for factor in (1, 2, 4)]
    walls = [known.start + forecast.wall([cell for cell in busy if cell is not None], count) for count in counts]
    here = f"{duration(walls[0])} in {counted(counts[0], 'process')}"
    more = "".join(f", {duration(wall)} in {count}" for wall, count in zip(walls[1:], counts[1:], strict=True))
    forecast_for = "time without figures and report, from benchmarks on this machine"
    return f"{forecast_for}: {here}{more}, each with its own processors"


def _remarks(experiment: spec.Experiment) -> Iterator[str]:
    """What a setting does that its name does not say."""
    decays = sorted({train.weight_decay for train in experiment.trainings if train.optimizer == "adam"} - {0.0})
    if decays and any(entry.train for entry in experiment.models):
        given = ", ".join(f"{decay:g}" for decay in decays)
        yield (
            f"optimizer adam with weight_decay {given} is torch's Adam, which adds the decay to the gradient (L2): a "
            "weight that gets no gradient, such as those behind a scale that starts at 0 (nafnet), moves by the whole "
            "learning rate each step until it is 0. `optimizer: adamw` shrinks weights by the decay itself"
        )


def _planned(work: Work, varied: Sequence[str], state: str) -> dict[str, str]:
    """A row of the plan."""
    contender, seed = Contender.of(work.cell, varied), work.cell.seed
    averaged = sum(test.ensemble > 1 for test in work.tests)
    return {
        "cell": work.cell.id,
        "model": contender.title,
        "trained on": str(contender.train_noise or ""),
        "seed": "" if seed is None else str(seed),
        **{key: "" if value is None else setting(value) for key, value in contender.settings},
        "tests": str(len(work.tests)) + (f", {averaged} by ensemble" if averaged else ""),
        "state": state,
    }


def _state(left: Pending | None, store: Store) -> str:
    if left is None:
        return "done"
    if left.stale:
        return f"made by other code, epoch {left.done} of {left.epochs} of the new"
    if not left.epochs and store.cell(left.work.cell.id).finished:
        return f"trained, {counted(len(left.work.tests), 'test')} to do"
    if left.done:
        return f"epoch {left.done} of {left.epochs}"
    failure = store.cell(left.work.cell.id).failure()
    return f"failed: {failure}" if failure else "to do"
