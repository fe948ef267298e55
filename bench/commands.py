"""What each command does, once its words are read."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import compare as comparison
from bench import engine, machine, outputs, spec, tables
from bench.datasets import datasets
from bench.errors import DataError, FieldError, SpecError, unknown
from bench.lazy import Lazy, pandas
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.plan import Work, resolved
from bench.plan import plan as cells_of
from bench.plugins import load_plugins
from bench.progress import Display, Download
from bench.registry import Registered, Registry
from bench.store import CellStore, Store, write

pictures = Lazy("bench.pictures")
denoising = Lazy("bench.denoise")
profile = Lazy("bench.profile")
image_files = Lazy("PIL.Image")

REGISTRIES: dict[str, Registry[Any]] = {"noises": noises, "models": models, "datasets": datasets, "metrics": metrics}


def console() -> Console:
    """Wide enough for a table wherever the width is unknown."""
    shown = Console()
    return shown if shown.is_terminal else Console(width=int(os.environ.get("COLUMNS", "160")), soft_wrap=True)


def run(
    spec_path: Path, overrides: tuple[str, ...], results: Path, plugins: tuple[str, ...], workers: int | None
) -> int:
    """Exit code 0, or 1 where a cell failed."""
    screen = console()
    files = _plugins(plugins)
    experiment = spec.load(spec_path, overrides)
    experiment, stand_in_for = _with_data(experiment, screen)
    experiment = resolved(experiment)
    works = cells_of(experiment)
    store = Store(results / experiment.name)
    store.begin(experiment.node(), tables.describe(experiment, works, stand_in_for))
    failed: list[engine.Failed] = []
    ran = False
    with Display(screen) as display:
        for event in engine.run(experiment, works, store, workers, files):
            display.show(event)
            if isinstance(event, engine.Begun) and event.pending:
                ran = True
                store.describe_environment(machine.environment())
            if isinstance(event, engine.Failed):
                failed.append(event)
    if not ran:
        screen.print(f"nothing to run: all {len(works)} cells of {experiment.name} are finished")
    rows, table = outputs.rebuild(store, force=ran)
    _print_summary(screen, store, table, rows)
    if stand_in_for:
        screen.print(
            f"\n[bold]STAND-IN IMAGES: these numbers are for {experiment.dataset.label()}, not {stand_in_for}.[/bold]"
        )
    for failure in failed:
        screen.print(f"FAILED: {failure.work.cell.model.label()}: {failure.reason}", markup=False)
    screen.print(f"tables, figures and report: {store.root}/report.html", markup=False)
    return 1 if failed else 0


def plan(spec_path: Path, overrides: tuple[str, ...], results: Path, plugins: tuple[str, ...]) -> None:
    """Print the cells and what is left."""
    screen = console()
    _plugins(plugins)
    experiment = spec.load(spec_path, overrides)
    works = cells_of(experiment)
    store = Store(results / experiment.name)
    left = {work.cell.id: work for work in engine.pending(works, store, experiment.metrics)}
    listing = Table("cell", "model", "objective", "train noise", "seed", *experiment.varied, "tests", "state", box=None)
    for work in works:
        labels = work.cell.labels()
        varied = [str(getattr(work.cell.train, key)) if work.cell.train else "" for key in experiment.varied]
        state = _state(work, left, store)
        seed = "" if labels["seed"] is None else str(labels["seed"])
        listing.add_row(
            work.cell.id,
            labels["model"],
            labels["objective"],
            labels["train_noise"],
            seed,
            *varied,
            str(len(work.tests)),
            state,
        )
    screen.print(listing, markup=False)
    epochs = sum(
        work.cell.train.epochs for work in left.values() if work.cell.train and not store.cell(work.cell.id).finished
    )
    tests = sum(len(work.tests) for work in left.values())
    screen.print(
        f"{len(works)} cells: {len(works) - len(left)} finished, {len(left)} to run ({epochs} epochs, {tests} tests)"
    )


def report(folder: Path, plugins: tuple[str, ...]) -> None:
    """Rebuild everything that is derived."""
    _plugins(plugins)
    store = Store(folder)
    rows, table = outputs.rebuild(store)
    screen = console()
    _print_summary(screen, store, table, rows)
    screen.print(f"tables, figures and report: {store.root}/report.html", markup=False)


def compare(
    before: Path, after: Path, max_drop: float, csv: Path | None, markdown: Path | None, plugins: tuple[str, ...]
) -> int:
    """Exit code 0 no worse, 1 worse."""
    _plugins(plugins)
    found = comparison.compare(Store(before), Store(after), max_drop)
    screen = console()
    text = comparison.for_readers(found.differences)
    screen.print(_table(text), markup=False)
    for title, only in ((before, found.only_in_a), (after, found.only_in_b)):
        for row in only:
            screen.print(f"only in {title}: {row}", markup=False)
    if csv:
        write(csv, found.differences.to_csv(index=False, lineterminator="\n"))
    said = f"A: {before}. B: {after}. PSNR may fall by {max_drop:g} dB."
    if markdown:
        write(markdown, tables.to_markdown(text, said))
    worse = int((found.differences["verdict"] == "worse").sum())
    better = int((found.differences["verdict"] == "better").sum())
    screen.print(f"{len(text)} rows: {better} better, {worse} worse, tolerance {max_drop:g} dB PSNR", markup=False)
    return found.exit_code


def list_registered(kind: str, plugins: tuple[str, ...]) -> None:
    """Print each name with its summary and keys."""
    _plugins(plugins)
    registry = REGISTRIES[kind]
    listing = Table("name", "what it is", "keys", box=None)
    for name in registry:
        cls = registry[name]
        listing.add_row(name, cls.describe()[0], ", ".join(cls.accepted()))
    console().print(listing, markup=False)


def show_noise(name: str, output: Path | None, plugins: tuple[str, ...]) -> None:
    """Print a noise's keys and write a picture of its levels."""
    _plugins(plugins)
    noise = _lookup(noises, name)
    path = output or Path(f"noise-{name}.png")
    _print_keys(noise)
    write(path, pictures.levels(noises.parse(name), path.suffix.lstrip(".") or "png"))
    console().print(f"levels side by side: {path}", markup=False)


def show_model(name: str, size: int, plugins: tuple[str, ...]) -> None:
    """Print a model's keys, layers and cost."""
    _plugins(plugins)
    _print_keys(_lookup(models, name))
    model = models.parse(name)
    listing = Table("layer", "type", "output (C, H, W)", "parameters", box=None)
    for layer in profile.layers(model, size):
        listing.add_row(layer.name, layer.kind, " x ".join(map(str, layer.shape)), f"{layer.parameters:,}")
    screen = console()
    screen.print(listing, markup=False)
    counted = profile.count(model, size)
    macs = (
        "no multiply-accumulates counted"
        if counted.macs is None
        else f"{counted.macs:,} multiply-accumulates per image"
    )
    screen.print(f"{model.label()} at 3 x {size} x {size}: {counted.parameters:,} parameters, {macs}", markup=False)


def fetch(name: str) -> None:
    """Make a dataset available, with a bar for a download."""
    screen = console()
    dataset = datasets.parse(_lookup(datasets, name).name)
    _prepare(dataset, screen)
    screen.print(f"{name}: ready", markup=False)


def denoise(image: Path, cell: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write a picture without its noise."""
    _plugins(plugins)
    try:
        with image_files.open(image) as opened:
            opened.load()
            picture = opened.copy()
    except FileNotFoundError:
        raise DataError(f"{image}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{image}: not a picture that can be read: {error}") from None
    denoiser = denoising.Denoiser.from_folder(CellStore(cell))
    clean = denoising.denoise_picture(denoiser, picture)
    write(output, pictures.encode(clean, output.suffix))
    console().print(
        f"{output}: {clean.width} x {clean.height}, denoised by {denoiser.cell.model.label()}", markup=False
    )


def schema(plugins: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema of a spec."""
    _plugins(plugins)
    return spec.schema()


def _plugins(files: tuple[str, ...]) -> tuple[str, ...]:
    absolute = tuple(str(Path(file).resolve()) for file in files)
    load_plugins(absolute)
    return absolute


def _with_data(experiment: spec.Experiment, screen: Console) -> tuple[spec.Experiment, str]:
    """The experiment with its data at hand, on its fallback where they can't be had, and what that stands in for."""
    try:
        _prepare(experiment.dataset, screen)
        return experiment, ""
    except DataError as error:
        if experiment.fallback is None:
            raise
        wanted = experiment.dataset.label()
        screen.print(f"{error}\n", markup=False, highlight=False)
        experiment = experiment.with_fallback()
        used = experiment.dataset.label()
        screen.print(f"[bold]STAND-IN IMAGES: {wanted} can't be had, so this run uses {used} instead.[/bold]\n")
        _prepare(experiment.dataset, screen)
        return experiment, wanted


def _prepare(dataset: Any, screen: Console) -> None:
    bar = Download(screen)
    try:
        dataset.prepare(bar)
    finally:
        bar.close()


def _state(work: Work, left: dict[str, Work], store: Store) -> str:
    folder = store.cell(work.cell.id)
    if work.cell.id not in left:
        return "done"
    if folder.finished:
        return f"trained, {len(left[work.cell.id].tests)} tests to do"
    begun = folder.state().epoch
    if begun and work.cell.train:
        return f"epoch {begun} of {work.cell.train.epochs}"
    return f"failed: {folder.failure()}" if folder.failure() else "to do"


def _print_summary(screen: Console, store: Store, table: "pandas.DataFrame", rows: "pandas.DataFrame") -> None:
    stored = store.plan()
    text = tables.for_readers(table, tables.chosen_metrics(stored), stored["varied"], mark="{} *")
    screen.print(_table(text), markup=False)
    screen.print(
        "* best of its test noise. " + outputs.conditions(stored, store.environment()), markup=False, highlight=False
    )
    broken = rows[rows["error"] != ""]
    for _, row in broken.iterrows():
        screen.print(
            f"no result: {row['model']} on {row['test_noise']}, seed {row['seed']}: {row['error']}", markup=False
        )


def _table(text: "pandas.DataFrame") -> Table:
    listing = Table(*text.columns, box=None)
    for row in text.itertuples(index=False):
        listing.add_row(*(str(cell) for cell in row))
    return listing


def _print_keys(cls: type[Registered]) -> None:
    screen = console()
    summary, texts = cls.describe()
    screen.print(f"{cls.name}: {summary}", markup=False, highlight=False)
    defaults = cls().params()
    listing = Table("key", "default", "what it is", box=None)
    for key in cls.accepted():
        listing.add_row(key, str(defaults.get(key, "")), texts.get(key, ""))
    screen.print(listing, markup=False)


def _lookup(registry: Registry[Any], name: str) -> Any:
    try:
        return registry[name]
    except FieldError:
        raise SpecError(unknown(registry.kind, name, registry)) from None
