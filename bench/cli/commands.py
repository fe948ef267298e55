"""What each command does, once its words are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import spec
from bench.cli.catalogue import default_of, plugin_files
from bench.cli.progress import Display, Download, duration
from bench.cli.terminal import console, show_sections, show_table
from bench.core import machine, pictures
from bench.core.errors import DataError
from bench.core.lazy import Lazy
from bench.datasets import Dataset, datasets
from bench.report import rebuild
from bench.report.rebuild import Results
from bench.results import compare as comparison
from bench.results.files import as_json, write
from bench.results.readable import for_readers, to_markdown
from bench.results.records import Contender, RunPlan, setting
from bench.results.store import CellStore, Store
from bench.running import engine, events, forecast
from bench.spec.cells import Work
from bench.spec.plan import resolved, works_of
from bench.training.costs import Costs

denoising = Lazy("bench.cli.denoise")


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
    experiment, stand_in_for = _with_data(experiment, screen)
    experiment = resolved(experiment)
    works = works_of(experiment, forecast.remembered().compiling_pays)
    store = Store(results / experiment.name)
    store.begin(experiment.node(), RunPlan.of(experiment, works, stand_in_for))
    ran = failed = False
    with Display(screen, experiment.varied) as display:
        for event in engine.run(experiment, works, store, workers, files):
            display.show(event)
            if isinstance(event, events.Started) and event.pending:
                ran = True
                store.describe_environment(machine.environment())
            failed |= isinstance(event, events.Failed)
    if not ran:
        screen.print(f"nothing to run: all {len(works)} cells of {experiment.name} are finished")
    _print_summary(screen, rebuild.rebuild(store, force=ran, draw=figures))
    if stand_in_for:
        screen.print(
            f"\nSTAND-IN IMAGES: these numbers are for {experiment.dataset.label()}, not {stand_in_for}.", style="bold"
        )
    written = f"tables, figures and report: {store.root}/report.html"
    screen.print(written if figures else f"tables: {store.root}/tables; `bench report {store.root}` draws the figures")
    return 1 if failed else 0


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
        screen.print(_foretold(experiment, list(left.values()), untrained, known, workers))


def _foretold(
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


def report(folder: Path, plugins: tuple[str, ...]) -> None:
    """Rebuild everything that is derived."""
    plugin_files(plugins)
    store = Store(folder)
    screen = console()
    _print_summary(screen, rebuild.rebuild(store))
    screen.print(f"tables, figures and report: {store.root}/report.html", markup=False)


def compare(
    before: Path, after: Path, max_drop: float, csv: Path | None, markdown: Path | None, plugins: tuple[str, ...]
) -> int:
    """Exit code 0 no worse, 1 worse."""
    plugin_files(plugins)
    found = comparison.compare(Store(before), Store(after), max_drop)
    screen = console()
    _print_differences(screen, found)
    for folder, only in ((before, found.only_in_a), (after, found.only_in_b)):
        for row in only:
            screen.print(f"only in {folder}: {row}")
    if csv:
        write(csv, found.frame().to_csv(index=False, lineterminator="\n"))
    if markdown:
        note = f"A: {before}. B: {after}. PSNR may fall by {max_drop:g} dB."
        write(markdown, to_markdown(comparison.for_readers(found), note))
    verdicts = [row.verdict for row in found.differences]
    screen.print(
        f"{len(verdicts)} rows: {verdicts.count('better')} better, {verdicts.count('worse')} worse, "
        f"tolerance {max_drop:g} dB PSNR. A: {before}, B: {after}"
    )
    return found.exit_code


def fetch(name: str, plugins: tuple[str, ...]) -> None:
    """Make a dataset available, with a bar for a download."""
    screen = console()
    plugin_files(plugins)
    _prepare(default_of(datasets, name), screen)
    screen.print(f"{name}: ready")


def denoise(image: Path, cell: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write a picture without its noise."""
    plugin_files(plugins)
    pictures.format_of(output.suffix)
    picture = pictures.read(image)
    denoiser = denoising.Denoiser.from_folder(CellStore(cell))
    clean = denoising.denoise_picture(denoiser, picture)
    write(output, pictures.encode(clean, output.suffix))
    console().print(f"{output}: {clean.width} x {clean.height}, denoised by {denoiser.cell.model.label()}")


def schema(plugins: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema of a spec."""
    plugin_files(plugins)
    return spec.schema()


def _with_data(experiment: spec.Experiment, screen: Console) -> tuple[spec.Experiment, str]:
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


def _print_summary(screen: Console, found: Results) -> None:
    text = for_readers(found.summaries, found.plan, mark="{} *")
    text["trained on"] = text["trained on"].where(text["trained on"] != text["test noise"], "")
    columns = [str(key) for key in text if key == "model" or (key != "test noise" and set(text[key]) - {"", "-"})]
    sections: dict[str, list[Sequence[str]]] = {}
    for noise, cells in zip(text["test noise"], text[columns].itertuples(index=False), strict=True):
        sections.setdefault(noise, []).append(cells)
    show_sections(screen, columns, sections)
    screen.print(f"* best of its test noise; trained on that noise unless stated otherwise. {found.conditions}")
    for row in found.rows:
        if row.state == "failed":
            seed = "" if row.seed is None else f", seed {row.seed}"
            screen.print(f"no result: {row.contender.title} on {row.test.label}{seed}: {row.error}")


def _print_differences(screen: Console, found: comparison.Comparison) -> None:
    """A line per row and metric: metrics side by side, each before, after and its change, would not fit a terminal."""
    sections: dict[str, list[Sequence[str]]] = {}
    for row in found.differences:
        contender, test = row.key
        trained = "" if contender.train_noise in (None, test) else str(contender.train_noise)
        shown = sections.setdefault(str(test), [])
        for metric in found.metrics:
            first = metric == found.metrics[0]
            what = (contender.with_settings(), trained) if first else ("", "")
            change = row.changes[metric.column]
            values = (metric.format(change.a), metric.format(change.b), metric.format(change.change, signed=True))
            verdict = f"{row.verdict} {row.reason}".strip() if metric.column == comparison.GATE else ""
            shown.append((*what, metric.column, *values, verdict))
    show_sections(screen, ("model", "trained on", "metric", "A", "B", "B - A", "verdict"), sections)
