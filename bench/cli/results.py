"""`bench report` and `bench compare`: results in words and tables."""

import math
import re
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from bench.cli.catalogue import plugin_files
from bench.cli.progress import Drawing
from bench.cli.terminal import console, show_sections
from bench.core.errors import BenchError
from bench.core.words import counted
from bench.metrics import Measure
from bench.report import rebuild
from bench.report.conditions import Conditions, damage
from bench.report.figures import encoded
from bench.report.figures.changes import changes, per_image
from bench.report.figures.view import View
from bench.report.rebuild import Results
from bench.results.compare import compare as compare_results
from bench.results.compare import compare_within
from bench.results.comparison import NO_WORSE, UNDECIDED, Comparison, decides, span
from bench.results.files import write
from bench.results.ranking import marking
from bench.results.readable import for_readers, to_markdown
from bench.results.revisions import outdated_cells
from bench.results.store import Store
from bench.results.verdicts import Difference, Verdict
from bench.results.without import LeftOut, left_out

STATES = {"failed": "failed", "open": "still to be run"}  # of rows without a result
COUNTED: tuple[Verdict, ...] = ("better", "worse", "undecided")
LISTED = 6  # test noises whose best stands in the first line
BETWEEN = re.compile(r",(?![^(]*\))")  # commas outside brackets: `unet(width=16, depth=3),dncnn` names two models
COLUMNS = ("model", "trained on", "metric", "A", "B", "B - A", "95 %", "moderated", "decides", "verdict")


def report(folder: Path, plugins: tuple[str, ...], quiet: bool = False, without: Path | None = None) -> None:
    """Rebuild everything that is derived. without: a file that names test images, to do so without them elsewhere."""
    plugin_files(plugins)
    store = Store(folder)
    screen = console()
    if without:
        store, found = _rebuilt_without(store, left_out(store, without), console(quiet))
    else:
        found = rebuilt(store, console(quiet))
    if note := outdated_cells(Store(folder), found.plan):
        screen.print(note, style="bold")
    print_summary(screen, found, quiet)
    screen.print(written(store))


def written(store: Store, figures: bool = True) -> str:
    """Where results are to be seen."""
    if not figures:
        return f"tables: {store.root}/tables; `bench report {store.root}` draws the figures"
    return f"tables, figures and report: {store.root}/report.html\n{link(store)}"


def link(store: Store) -> str:
    """The report's address, for a browser."""
    return (store.root / "report.html").absolute().as_uri()


def open_report(folder: Path) -> None:
    """Show a folder's report in the browser, or say where it is. Raises BenchError without a report."""
    store = Store(folder)
    if not (store.root / "report.html").is_file():
        raise BenchError(f"{folder} holds no report.html: run a spec, or draw it with `bench report {folder}`")
    shown = "opened" if webbrowser.open(link(store)) else "no browser was found here; open"
    console().print(f"{shown} {link(store)}")


@dataclass(frozen=True)
class Asked:
    """What the options of `bench compare` say."""

    metric: str
    max_drop: float | None
    models: str
    against: str
    allow_missing: bool
    allow_undecided: bool
    csv: Path | None
    markdown: Path | None
    figures: Path | None
    show: Literal["all", "changes", "summary"]


def compare(before: Path, after: Path | None, asked: Asked, plugins: tuple[str, ...]) -> int:
    """Exit code 0 no worse, 1 worse or something of A missing in B, 3 undecided with a mean below what B may lose."""
    plugin_files(plugins)
    if after and (asked.models or asked.against):
        raise BenchError("--models and --against compare the models of one folder: give one")
    if after:
        found = compare_results(Store(before), Store(after), asked.max_drop, asked.allow_missing, asked.metric)
        sides = f"A: {before}, B: {after}"
    else:
        models = [name.strip() for name in BETWEEN.split(asked.models) if name.strip()]
        found = compare_within(Store(before), asked.max_drop, models, asked.against, asked.metric)
        sides = f"B against A, both of {before}"
    screen = console()
    screen.print(f"{_verdicts(found)} {sides}", style="bold")
    for line in _open(found, asked.allow_undecided):
        screen.print(line, style="bold")
    if asked.show != "summary":
        _print_differences(screen, found, everything=asked.show == "all")
    alone = [*(f"missing in B: {row}" for row in found.only_in_a), *(f"new in B: {row}" for row in found.only_in_b)]
    for line in alone:
        screen.print(line)
    if asked.csv:
        write(asked.csv, found.frame().to_csv(index=False, lineterminator="\n"))
    if asked.markdown:
        said = f"{sides}. {_tolerance(found)}. {found.intervals} {found.moderated}".strip()
        note = [said, *(f"- {line}" for line in alone)]
        write(asked.markdown, to_markdown(found.for_readers(), "\n".join(note)))
    if asked.figures:
        _draw(found, sides, asked.figures)
    code = found.exit_code
    return NO_WORSE if code == UNDECIDED and asked.allow_undecided else code


def _draw(found: Comparison, sides: str, folder: Path) -> None:
    """Write what a comparison looks like, as PNG and SVG."""
    plan = found.plan
    data = f"{plan.dataset}, {plan.data['size']}x{plan.data['size']}, {counted(plan.data['test'], 'test image')}"
    said = Conditions(plan.stand_in_for, f"{sides}. Data: {data}. {_tolerance(found)}. {found.intervals}")
    for name, figure in (("changes", changes(found, said)), ("images", per_image(found, said))):
        if figure:
            for kind in ("png", "svg"):
                write(folder / f"{name}.{kind}", encoded(figure, kind))


def rebuilt(store: Store, screen: Console, force: bool = True, draw: bool = True) -> Results:
    """`rebuild.rebuild`, which takes up to a minute, with its progress."""
    drawing = Drawing(screen)
    try:
        return rebuild.rebuild(store, force, draw, drawing)
    finally:
        drawing.close()


def _rebuilt_without(store: Store, without: LeftOut, screen: Console) -> tuple[Store, Results]:
    drawing = Drawing(screen)
    try:
        return rebuild.rebuild_without(store, without, drawing)
    finally:
        drawing.close()


def _verdicts(found: Comparison) -> str:
    """How many rows are better, worse, undecided and missing."""
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in COUNTED)
    text = f"{counted(len(found.differences), 'row')} compared: {counts}; {_tolerance(found)}."
    if found.only_in_a:
        verdict = "allowed" if found.allow_missing else "which counts as worse; --allow-missing accepts it"
        text += f" {len(found.only_in_a)} missing in B, {verdict}."
    return text


def _tolerance(found: Comparison) -> str:
    gate, drop = found.rule
    return f"B may lose {drop:g} {gate.unit}".rstrip() + f" of {gate.title}"


def _open(found: Comparison, allowed: bool) -> Iterator[str]:
    """That rows are undecided though their means are below what B may lose, and what to do."""
    if found.doubtful:
        verdict = "--allow-undecided accepts it" if not allowed else "allowed"
        yield (
            f"{counted(len(found.doubtful), 'row')} undecided with a mean below what B may lose, {verdict}. "
            f"First: {found.doubtful[0].title}, tested on {found.doubtful[0].key.test}, {found.doubtful[0].reason}."
        )


def print_summary(screen: Console, found: Results, quiet: bool = False) -> None:
    """Print the best of each noise, what is missing, the summary by test noise, conditions and failures.

    quiet: only the best, what is missing and failures.
    """
    screen.print(_best(found), style="bold")
    for note in (found.conditions.missing, damage(found.damaged) if found.damaged else ""):
        if note:
            screen.print(note, style="bold")
    if not quiet:
        _print_table(screen, found)
    _print_failures(screen, found)
    if found.plan.note:
        screen.print(f"note: {found.plan.note}", style="bold")


def _best(found: Results) -> str:
    """How many rows there are, and the best of each test noise, in a line."""
    view = View(found.plan.leading, tuple(found.summaries))
    parts = [f"{noise}: {_winner(view, noise)}" for noise in view.tests[:LISTED]]
    more = f"; and {counted(len(view.tests) - LISTED, 'more test noise')}" if len(view.tests) > LISTED else ""
    states = [row.state for row in found.rows]
    open_or_failed = [f"{states.count(state)} {word}" for state, word in STATES.items() if state in states]
    counts = ", ".join([counted(len(states), "row"), *open_or_failed])
    return f"{counts}; best {view.metric.title}: {'; '.join(parts)}{more}"


def _winner(view: View, noise: str) -> str:
    best, metric = view.best(noise), view.metric
    if not best:
        return "still to be run" if view.left(noise) else "no result"
    if noise in view.disputes:
        return "no single best"
    value = best[0].value.mean
    unit = f" {metric.unit}" if metric.unit and math.isfinite(value) else ""
    return f"{' = '.join(point.contender for point in best)}, {metric.format(value)}{unit}"


def _print_table(screen: Console, found: Results) -> None:
    text = for_readers(found.summaries, found.plan, written=("{} *", "{} ~"))
    text["trained on"] = text["trained on"].where(text["trained on"] != text["test noise"], "")
    columns = [str(key) for key in text if key == "model" or (key != "test noise" and set(text[key]) - {"", "-"})]
    sections: dict[str, list[Sequence[str]]] = {}
    for noise, cells in zip(text["test noise"], text[columns].itertuples(index=False), strict=True):
        sections.setdefault(noise, []).append(cells)
    show_sections(screen, columns, sections)
    rest = replace(found.conditions, missing="")
    marked = marking(found.summaries, found.plan.leading, "*", "~")
    screen.print(f"{marked}; trained on that noise unless stated otherwise. {rest}")


def _print_failures(screen: Console, found: Results) -> None:
    for row in found.rows:
        if row.state == "failed":
            seed = "" if row.seed is None else f", seed {row.seed}"
            who, test = row.contender, row.test.label
            trained = f", trained on {who.train_noise}" if who.train_noise not in (None, test) else ""
            screen.print(f"no result: {who.with_settings()}{trained}, on {test}{seed}: {row.error}")


def _changed(row: Difference, metrics: Sequence[Measure]) -> bool:
    """Whether any value reads otherwise than before, or the verdict is another than `same`."""
    shown = [(metric, row.changes[metric.column]) for metric in metrics]
    return row.verdict != "same" or any(metric.format(c.a) != metric.format(c.b) for metric, c in shown)


def _print_differences(screen: Console, found: Comparison, everything: bool) -> None:
    """A line per row and metric: metrics side by side, each before, after and its change, would not fit a terminal.

    everything: rows without a change too; otherwise they are counted.
    """
    changed = [row for row in found.differences if everything or _changed(row, found.metrics)]
    sections: dict[str, list[Sequence[str]]] = {}
    for row in changed:
        test = row.key.test
        trained = "" if row.train_noise in (None, test) else str(row.train_noise)
        shown = sections.setdefault(str(test), [])
        for metric in found.metrics:
            first, gate = metric == found.metrics[0], metric == found.rule.gate
            what = (row.title, trained) if first else ("", "")
            change = row.changes[metric.column]
            values = (metric.format(change.a), metric.format(change.b), metric.format(change.change, signed=True))
            moderated = span(metric, *row.moderated) if gate else ""
            decision = (decides(metric, row), ": ".join(filter(None, (row.verdict, row.reason)))) if gate else ("", "")
            shown.append((*what, metric.column, *values, span(metric, change.low, change.high), moderated, *decision))
    if sections:
        show_sections(screen, COLUMNS, sections)
    if len(changed) < len(found.differences):
        screen.print(f"{counted(len(found.differences) - len(changed), 'row')} without a change; --all shows them")
    if sections and found.intervals:
        screen.print(" ".join(filter(None, (found.intervals, found.moderated))))
