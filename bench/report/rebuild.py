"""All that is derived from stored results: tables, figures, model cards and the report. Nothing is trained here."""

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.plugins import Plugin
from bench.metrics import Measure
from bench.report import cards, figures
from bench.report.conditions import Conditions, by_recipes, caption, conditions, general, given, trains
from bench.report.page import Facts, Picture, page
from bench.report.published import METRIC, Beside, beside, table
from bench.report.sheets import sheets
from bench.results import shapes
from bench.results.damage import damaged
from bench.results.files import DamagedResult, as_json, read_json
from bench.results.latex import full_table, paper_table
from bench.results.readable import for_readers, to_markdown
from bench.results.records import History, ResultRow, RunPlan
from bench.results.rows import read_rows
from bench.results.sampling import images_of
from bench.results.standings import as_node, from_node, standing
from bench.results.statistics.differences import Images, Spread
from bench.results.store import Store
from bench.results.summary import Summary, summarise
from bench.results.tables import results_frame, summary_frame
from bench.results.without import LeftOut
from bench.spec.protocol import digest

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

STANDINGS = "standings.json"  # among the tables
SHOWN = "shown.json"  # beside the figures: what they were drawn from


@dataclass(frozen=True)
class Results:
    """A results folder as it was read: its plan, its rows, those over seeds taken together, and what they hold for.

    damaged: files that are not what was written, as paths in the folder; looked for when figures are drawn.
    """

    plan: RunPlan
    rows: list[ResultRow]
    summaries: list[Summary]
    conditions: Conditions
    damaged: tuple[str, ...] = ()

    @cached_property
    def published(self) -> tuple[Beside, ...]:
        """Published figures of its test noises, on images of the same kind; none without PSNR."""
        return beside(self.plan) if self.plan.leading.column == METRIC else ()

    @property
    def among_published(self) -> "pandas.DataFrame | None":
        """Its rows among them; None where there are none."""
        return table(self.published, self.summaries, self.plan.leading) if self.published else None


def read(store: Store, without: LeftOut | None = None) -> Results:
    """What a folder holds, its markers brought up to date. Raises BenchError where nothing was run.

    without: test images to leave out.
    """
    plan = store.plan()
    rows = read_rows(store, plan, keep=True)
    if without:
        plan, rows = without.of_plan(plan), list(without.of_rows(rows, store))
    images = images_of(plan)
    summaries = summarise(rows, plan.metrics, images.sample, partial(_spread, store, images, without))
    summaries = _standing(store, plan, summaries, without) if without else _placed(store, plan, rows, summaries)
    return Results(plan, rows, summaries, conditions(plan, store.environment(), rows, summaries))


def _placed(store: Store, plan: RunPlan, rows: Sequence[ResultRow], summaries: list[Summary]) -> list[Summary]:
    """Summaries with their standings, which are kept until a score changes: they take every image's values."""
    column = plan.leading.column
    scores = [[row.cell.id, row.score_id, row.averages[column].node()] for row in rows if column in row.averages]
    pooled = ["pooled"] if plan.leading.pooled else []  # standings of before they were by the pooled mean are not kept
    of = digest([scores, column, list(plan.notes.groups), *pooled])
    kept = shapes.read(shapes.Standings, store.root / "tables" / STANDINGS)
    if kept and kept["of"] == of and len(kept["standings"]) == len(summaries):
        return from_node(summaries, kept["standings"])
    found = _standing(store, plan, summaries)
    if any(one.standing for one in found):
        store.write_table(STANDINGS, as_json({"of": of, "standings": as_node(found)}))
    return found


def _standing(store: Store, plan: RunPlan, summaries: list[Summary], without: LeftOut | None = None) -> list[Summary]:
    """Summaries with their standings by the leading metric; with none where some of the values are damaged."""
    try:
        return standing(store, plan, summaries, plan.leading, without.kept if without else None)
    except DamagedResult:
        return summaries


def _spread(store: Store, images: Images, without: LeftOut | None, row: ResultRow, metric: Measure) -> Spread | None:
    """How far chance in the choice of images moves a row's mean; None where their values' deviation says it."""
    grouped = images.groups is not None
    if metric.column not in row.averages or not (grouped or metric.pooled):
        return None
    values = store.cell(row.cell.id).values(row.score_id)[metric.column].to_numpy()
    if not row.test.on_test_images:
        return Spread.of(metric.shares(values))
    return Spread.of(metric.shares(values[without.kept] if without else values), images.groups)


def rebuild_without(
    store: Store, without: LeftOut, drawn: Callable[[int], None] = lambda count: None
) -> tuple[Store, Results]:
    """Write tables, figures and the report without some test images into a folder of their own; returns both."""
    found = read(store, without)
    found = replace(found, damaged=tuple(damaged(store, (cell.id for cell in found.plan.distinct))))
    target = Store(store.root / f"without-{Path(without.file).stem}")
    _write_tables(target, found)
    command = shlex.join(["bench", "report", "..", "--without", without.file])
    facts = replace(_facts(found.plan, store.environment(), store.plugins()), command=command)
    _figures_and_report(store, target, found, facts, drawn, without)
    return target, found


def rebuild(
    store: Store, force: bool = True, draw: bool = True, drawn: Callable[[int], None] = lambda count: None
) -> Results:
    """Write tables, cards, figures and the report anew, and return what they show.

    force: if false, figures and report are left alone when the tables they show have not changed.
    draw: if false, only the tables are written; the next call that draws brings the rest up to date.
    drawn: called with the number of figures done, at first with 0.
    """
    found = read(store)
    written = _write_tables(store, found)
    if not draw:
        if force:
            store.remove_figure(SHOWN)
        return found
    shown = {"results": written, "conditions": str(found.conditions)}
    if force or read_json(store.root / "figures" / SHOWN) != shown:
        found = replace(found, damaged=tuple(damaged(store, (cell.id for cell in found.plan.distinct))))
        for cell, text in cards.all_cards(store, found.plan, found.rows, str(found.conditions)):
            store.cell(cell).write_card(text)
        facts = _facts(found.plan, store.environment(), store.plugins())
        _figures_and_report(store, store, found, facts, drawn)
        store.write_figure(SHOWN, as_json(shown).encode())
    return found


def _write_tables(store: Store, found: Results) -> str:
    """Write the tables; returns the checksum of results.csv."""
    results = results_frame(found.rows, found.plan).to_csv(index=False, lineterminator="\n")
    summary = summary_frame(found.summaries, found.plan).to_csv(index=False, lineterminator="\n")
    readable, text = for_readers(found.summaries, found.plan), str(found.conditions)
    store.write_table("results.csv", results)
    store.write_table("summary.csv", summary)
    if (known := found.among_published) is not None:
        store.write_table("published.csv", known.to_csv(index=False, lineterminator="\n"))
    else:
        store.remove_table("published.csv")  # of an earlier plan
    store.write_table("summary.md", to_markdown(readable, text))
    in_print = paper_table(found.summaries, found.plan, caption(found.plan, found.rows, found.summaries))
    store.write_table("summary.tex", in_print)
    store.write_table("summary_long.tex", full_table(readable, text))
    return hashlib.sha256(results.encode()).hexdigest()


def _figures_and_report(
    store: Store,
    target: Store,
    found: Results,
    facts: Facts,
    drawn: Callable[[int], None],
    without: LeftOut | None = None,
) -> None:
    """Draw what was found in one folder into another, or the same. without: test images that are left out."""
    drawn(0)
    plan, leading = found.plan, found.plan.leading
    metrics = [leading, *(metric for metric in plan.metrics if metric != leading)]
    histories = list(_histories(store, plan))
    pictures: list[Picture] = []
    for name, figure in figures.everything(
        found.summaries, histories, sheets(store, plan, without), metrics, found.conditions, found.published
    ):
        picture = figures.encoded(figure, "png")
        target.write_figure(f"{name}.png", picture)
        target.write_figure(f"{name}.svg", figures.encoded(figure, "svg"))
        pictures.append(Picture(name, picture, _in_dark_mode(figure)))
        drawn(len(pictures))
    target.keep_figures([SHOWN, *(f"{name}.{kind}" for name, *_ in pictures for kind in ("png", "svg"))])
    known = found.among_published
    report = page(plan, found.rows, found.summaries, pictures, found.conditions, facts, found.damaged, known)
    target.write_report(report)


def _in_dark_mode(figure: "Figure") -> bytes:
    """A figure of photographs as the page shows it in dark mode; empty for others, which the page inverts."""
    if not figures.photographic(figure):
        return b""
    figures.darken(figure)
    return figures.encoded(figure, "png")


def _facts(plan: RunPlan, environment: Mapping[str, Any], plugins: Sequence[Plugin]) -> Facts:
    version, commit = (environment.get(key) or "" for key in ("noise-bench", "git_commit"))
    libraries = environment.get("libraries", {})
    settings = ", ".join(f"{key} {given(value)}" for key, value in general(plan).items() if value is not None)
    training = {"training": settings + by_recipes(plan), "seeds": ", ".join(map(str, plan.seeds))}
    named = {
        "dataset": plan.dataset,
        **(training if trains(plan) else {}),
        "noise-bench": version,
        "git commit": commit,
        "libraries": ", ".join(f"{key} {value}" for key, value in libraries.items()),
        "plug-ins": ", ".join(map(str, plugins)),
        "machine": f"{environment.get('cpu')}, {environment.get('cores')} cores, {environment.get('platform')}",
    }
    files = tuple(plugin.name for plugin in plugins if plugin.is_file)
    loading = [word for name in files for word in ("--plugin", name)]
    command = shlex.join(["bench", "run", "experiment.yaml", *loading, "--results", ".."])
    return Facts(named, version, commit, command, files)


def _histories(store: Store, plan: RunPlan) -> Iterator[History]:
    for cell in plan.distinct:
        try:
            history = store.cell(cell.id).history()
        except DamagedResult:
            continue
        if history is not None:
            yield History(cell.contender, cell.seed, history)
