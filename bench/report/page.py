"""From results to one self-contained HTML page."""

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.core.lazy import jinja2
from bench.metrics import Measure
from bench.report.citation import bibtex
from bench.report.conditions import Conditions, damage
from bench.report.figures.view import Point, View
from bench.results.names import short_noises
from bench.results.records import ResultRow, RunPlan
from bench.results.remarks import notes
from bench.results.summary import Summary
from bench.results.tables import results_frame, summary_frame

if TYPE_CHECKING:
    import pandas

WIDEST = 8  # models side by side; more of them stand below one another
LISTED = 12  # test noises whose winner gets a sentence
FAILURE = ["cell", "model", "objective", "train_noise", "test_noise", "seed", "error"]
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Table:
    """What a table of the page shows. numeric: which columns are set flush right."""

    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]


@dataclass(frozen=True)
class Cell:
    """A value of the headline's matrix, what it gains over doing nothing, and its mark: `best`, `tied` or none."""

    value: str
    gain: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Win:
    """The winner on a test noise, and by how much. open: whether there is none, and `margin` says why."""

    noise: str
    model: str
    margin: str
    open: bool = False


@dataclass(frozen=True)
class Headline:
    """Which denoiser wins on which noise. cells[i][j] belongs to side[i] and top[j]. marking: what the marks mean."""

    metric: str
    corner: str
    side: list[str]
    top: list[str]
    cells: list[list[Cell]]
    wins: list[Win]
    note: str
    marking: str


class Picture(NamedTuple):
    """A figure of the page.

    stem: of its file's name. png: its content. dark: the same for dark mode, where charts without one are inverted.
    """

    stem: str
    png: bytes
    dark: bytes = b""


@dataclass(frozen=True)
class Facts:
    """What a reader needs to trust and repeat the numbers: name -> value; the version and the commit of noise-bench.

    command: what runs the results again, from their folder. files: of plug-ins, which it needs there.
    """

    named: Mapping[str, str]
    version: str = ""
    commit: str = ""
    command: str = "bench run experiment.yaml --results .."
    files: tuple[str, ...] = ()


def page(
    plan: RunPlan,
    rows: Sequence[ResultRow],
    summaries: Sequence[Summary],
    figures: Iterable[Picture],
    conditions: Conditions,
    facts: Facts,
    damaged: Sequence[str] = (),
    published: "pandas.DataFrame | None" = None,
) -> str:
    """The report as HTML: headline, conditions, figures, tables, what has no result, how to reproduce and cite.

    damaged: files of the results folder. published: others' figures beside those of the run.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = resources.files("bench.report").joinpath("template.html").read_text(encoding="utf-8")
    short = {
        str(label): str(name)
        for label, name in short_noises((cell.contender for cell in plan.cells), plan.tests).items()
    }
    frame = _renamed(results_frame(rows, plan), short)
    failed = frame[frame["error"] != ""]
    tables = [
        ("Summary over seeds", _table(_renamed(summary_frame(summaries, plan), short))),
        ("Every cell and test noise", _table(frame)),
    ]
    if published is not None:
        tables.append(("Published figures beside these", _table(_renamed(published, short))))
    named = {"conditions": str(conditions), "images": "; ".join(plan.notes.facts), **facts.named}
    named["noises"] = "; ".join(f"{name}: {label}" for label, name in short.items() if name != label)
    return environment.from_string(template).render(
        title=plan.name,
        warnings=list(_warnings(plan, conditions, damaged)),
        headline=_headline(View(plan.leading, tuple(summaries))),
        note=plan.note,
        caveats=list(plan.notes.caveats),
        conditions={name: value for name, value in named.items() if value},
        figures=[(figure.stem.replace("_", " "), _base64(figure.png), _base64(figure.dark)) for figure in figures],
        tables=tables,
        failures=_table(failed[FAILURE]) if len(failed) else None,
        left=_left([row for row in rows if row.state == "open"], short),
        version=facts.version,
        commit=facts.commit,
        command=facts.command,
        files=facts.files,
        bibtex=bibtex(facts.version, facts.commit),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _warnings(plan: RunPlan, conditions: Conditions, damaged: Sequence[str]) -> Iterator[str]:
    """What a reader must know before any number."""
    if conditions.banner:
        yield f"{conditions.banner}: these are images of {plan.dataset}."
    if conditions.missing:
        yield conditions.missing
    if damaged:
        yield damage(damaged)


def _renamed(frame: "pandas.DataFrame", short: Mapping[str, str]) -> "pandas.DataFrame":
    """A table with the names of noises that headline and figures use."""
    noises = [column for column in ("train_noise", "test_noise") if column in frame]
    return frame.assign(**{column: frame[column].map(lambda label: short.get(label, label)) for column in noises})


def _left(rows: Sequence[ResultRow], short: Mapping[str, str]) -> Table | None:
    """The rows still to be run; None where there is none."""
    trained = [short.get(row.contender.trained_on, row.contender.trained_on) for row in rows]
    columns = ["cell", "model", "trained on", "test noise", "seed"]
    found = [
        [row.cell.id, row.contender.with_settings(), noise, short[str(row.test.label)], _text(row.seed)]
        for row, noise in zip(rows, trained, strict=True)
    ]
    return Table(columns, found, [False] * len(columns)) if found else None


def _headline(view: View) -> Headline | None:
    if not view.points:
        return None
    noises, models = view.tests, view.everyone
    cells = [[_cell(view, model, noise) for model in models] for noise in noises]
    side, top = noises, models
    if len(models) > WIDEST:
        side, top, cells = top, side, [list(column) for column in zip(*cells, strict=True)]
    return Headline(
        metric=view.metric.axis_label,
        corner="model" if len(models) > WIDEST else "test noise",
        side=side,
        top=top,
        cells=cells,
        wins=[_win(view, noise) for noise in noises[:LISTED]],
        note=" ".join(filter(None, (view.remarks(bars=""), notes(row for s in view.summaries for row in s.scored)))),
        marking=view.marking("Bold:", "italic:"),
    )


def _cell(view: View, model: str, noise: str) -> Cell:
    points = view.of(model, noise)
    if not points:
        return Cell(view.empty.get((model, noise), "\N{EN DASH}"))
    idle = view.of(view.idle, noise) if view.idle else []
    value = points[0].value.mean
    gain = _difference(points[0], idle[0], view.metric) if idle and model != view.idle else math.nan
    return Cell(
        _value(value, view.metric) + view.marks[model, noise],
        _value(gain, view.metric, signed=True) if math.isfinite(gain) else "",
        "best" if points[0] in view.best(noise) else "tied" if points[0] in view.tied(noise) else "",
    )


def _win(view: View, noise: str) -> Win:
    """Who wins on a test noise, by how much, and whether that margin means anything."""
    if left := view.left(noise):
        return Win(noise, "no winner yet", f"still to be run: {', '.join(left)}", open=True)
    ranks = sorted(view.of(noise=noise), key=lambda point: -view.metric.merit(point.value.mean))
    if not ranks:
        return Win(noise, "no result", "everything failed", open=True)
    if noise in view.disputes:
        return Win(noise, "no single best", view.disputes[noise], open=True)
    first, *others = ranks
    parts = [_quantity(first.value.mean, view.metric)]
    idle = next((point for point in others if point.contender == view.idle), None)
    if idle and math.isfinite(first.value.mean):
        parts.append(_claim(first, idle, "better than doing nothing", view.metric))
    elif first.contender == view.idle:
        parts.append("nothing tried here is better than doing nothing")
    if others and others[0] is not idle and math.isfinite(first.value.mean):
        parts.append(_claim(first, others[0], f"ahead of {others[0].contender}", view.metric))
    return Win(noise, first.contender, "; ".join(parts))


def _claim(one: Point, other: Point, what: str, metric: Measure) -> str:
    """A difference, with a caveat where the other can't be told from the best."""
    difference = abs(_difference(one, other, metric))
    caveat = ", which can't be told apart" if other.tied else ""
    return f"{_quantity(difference, metric)} {what}{caveat}"


def _difference(one: Point, other: Point, metric: Measure) -> float:
    """Where every image is exact, the metric's ceiling is what counts."""
    return float(metric.counted(one.value.mean) - metric.counted(other.value.mean))


def _quantity(value: float, metric: Measure) -> str:
    unit = metric.unit if math.isfinite(value) else ""
    return f"{_value(value, metric)} {unit}".strip()


def _value(value: float, metric: Measure, signed: bool = False) -> str:
    return metric.format(value, signed=signed).replace("-", MINUS)


def _table(frame: "pandas.DataFrame") -> Table:
    """A frame as text; columns that are empty throughout are left out."""
    texts = {str(column): [_text(value) for value in frame[column]] for column in frame.columns}
    filled = {column: values for column, values in texts.items() if any(values)}
    numeric = [all(isinstance(value, Real) for value in frame[column] if _text(value)) for column in filled]
    return Table(list(filled), [list(row) for row in zip(*filled.values(), strict=True)], numeric)


def _text(value: Any) -> str:
    """A table's value as the page shows it; nothing for what is missing."""
    if value is None or re.fullmatch("nan|<NA>", str(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.5g}"
