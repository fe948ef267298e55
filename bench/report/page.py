"""From results to one self-contained HTML page."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from bench.core.labels import Label
from bench.core.lazy import jinja2
from bench.metrics import Metric, metrics
from bench.report.figures.names import short
from bench.report.figures.tidy import cleaned, contenders, in_order, over_seeds, remarks, tested

if TYPE_CHECKING:
    import pandas

WIDEST = 8  # models side by side; more of them stand below one another
LISTED = 12  # test noises whose winner gets a sentence


@dataclass(frozen=True)
class Table:
    """What a table of the page shows. numeric: which columns are set flush right."""

    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]


@dataclass(frozen=True)
class Cell:
    """A value of the headline's matrix, what it gains over doing nothing, and whether it is the best."""

    value: str
    gain: str = ""
    best: bool = False


@dataclass(frozen=True)
class Win:
    """The winner on a test noise, and by how much."""

    noise: str
    model: str
    margin: str


@dataclass(frozen=True)
class Headline:
    """Which denoiser wins on which noise. cells[i][j] belongs to side[i] and top[j]."""

    metric: str
    corner: str
    side: list[str]
    top: list[str]
    cells: list[list[Cell]]
    wins: list[Win]
    notes: list[str]


def page(
    title: str,
    conditions: Mapping[str, Any],
    summary: "pandas.DataFrame",
    rows: "pandas.DataFrame",
    figures: Sequence[tuple[str, bytes]],
    warnings: Sequence[str],
) -> str:
    """The report as HTML: headline, conditions, figures, tables, failures, how to reproduce and cite.

    conditions: what the numbers hold for, name -> value; `command` and `noise-bench` (the version) are also shown at
    the end. summary: over seeds. rows: results.csv. figures: (caption, PNG). warnings: shown loudly at the top.
    """
    rows = cleaned(rows)
    failed = rows[rows["error"] != ""]
    facts = {str(name): _text(value) for name, value in conditions.items() if _text(value)}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = resources.files("bench.report").joinpath("template.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title,
        warnings=list(warnings),
        headline=_headline(rows),
        conditions=facts,
        figures=[(_caption(caption), base64.b64encode(png).decode("ascii")) for caption, png in figures],
        tables=[("Summary over seeds", _table(summary)), ("Every cell and test noise", _table(rows))],
        failures=_table(failed[[column for column in FAILURE if column in failed]]) if len(failed) else None,
        command=facts.get("command", "bench run experiment.yaml"),
        version=facts.get("noise-bench", ""),
        commit=facts.get("git commit", ""),
    )


FAILURE = ["cell", "model", "objective", "train_noise", "test_noise", "seed", "error"]


def _headline(rows: "pandas.DataFrame") -> Headline | None:
    column, metric = _leading(rows)
    if metric is None:
        return None
    table = over_seeds(rows, column)
    if table.empty:
        return None
    noises = tested(rows, table)
    brief = short(noises, keep=1)
    present = set(table["contender"])
    models = [name for part in in_order(rows, contenders(rows)) for name in part if name in present]
    values = dict(zip(zip(table["test_noise"], table["contender"], strict=True), table["mean"], strict=True))
    idle = next((name for name in models if Label.parse(name).name == "identity"), "")
    cells = [[_cell(values, noise, model, models, idle, metric) for model in models] for noise in noises]
    side, top = [brief[noise] for noise in noises], models
    if len(models) > WIDEST:
        side, top, cells = top, side, [list(column) for column in zip(*cells, strict=True)]
    unit = f" ({metric.unit})" if metric.unit else ""
    return Headline(
        metric=f"{metric.title}{unit}, {metric.better} is better",
        corner="model" if len(models) > WIDEST else "test noise",
        side=side,
        top=top,
        cells=cells,
        wins=_wins(table, noises, idle, metric),
        notes=remarks(rows, column, bars=False),
    )


def _leading(rows: "pandas.DataFrame") -> tuple[str, type[Metric] | None]:
    """The column that decides who wins: PSNR, or else the first metric there is."""
    for column in ["psnr", *rows.columns]:
        name = Label.parse(column).name
        if column in rows and name in metrics:
            return column, metrics[name]
    return "", None


def _cell(
    values: Mapping[tuple[str, str], float],
    noise: str,
    model: str,
    models: Sequence[str],
    idle: str,
    metric: type[Metric],
) -> Cell:
    value = values.get((noise, model), math.nan)
    if math.isnan(value):
        return Cell("\N{EN DASH}")
    present = [values[noise, other] for other in models if (noise, other) in values]
    best = max(present) if metric.better == "higher" else min(present)
    nothing = values.get((noise, idle), math.nan)
    gain = "" if math.isnan(nothing) or model == idle else _value(value - nothing, metric, signed=True)
    return Cell(_value(value, metric), gain, value == best)


def _wins(table: "pandas.DataFrame", noises: Sequence[str], idle: str, metric: type[Metric]) -> list[Win]:
    """Who wins on each test noise, by how much, and whether that margin means anything."""
    brief = short(noises, keep=1)
    found = []
    for noise in noises[:LISTED]:
        ranks = table[table["test_noise"] == noise].sort_values("mean", ascending=metric.better == "lower")
        first = ranks.iloc[0]
        said = [_quantity(first["mean"], metric)]
        nothing = ranks.loc[ranks["contender"] == idle, "mean"]
        if first["contender"] == idle:
            said.append("nothing tried here is better than doing nothing")
        elif len(nothing):
            said.append(f"{_quantity(abs(first['mean'] - nothing.iloc[0]), metric)} better than doing nothing")
        if len(ranks) > 1:
            second = ranks.iloc[1]
            margin = abs(first["mean"] - second["mean"])
            if second["contender"] != idle:
                said.append(f"{_quantity(margin, metric)} ahead of {second['contender']}")
            if margin <= ranks["half"].iloc[:2].sum():
                said[-1] += ", within their 95 % intervals"
        found.append(Win(brief[noise], first["contender"], "; ".join(said)))
    return found


def _quantity(value: float, metric: type[Metric]) -> str:
    return f"{_value(value, metric)} {metric.unit}".strip()


def _value(value: float, metric: type[Metric], signed: bool = False) -> str:
    digits = ".2f" if metric.unit == "dB" else ".4g"
    return format(value, f"+{digits}" if signed else digits).replace("-", "\N{MINUS SIGN}")


def _table(frame: "pandas.DataFrame") -> Table:
    """A frame as text; columns that are empty throughout are left out."""
    texts = {str(column): [_text(value) for value in frame[column]] for column in frame.columns}
    filled = {column: values for column, values in texts.items() if any(values)}
    numeric = [all(isinstance(value, int | float) for value in frame[column] if _text(value)) for column in filled]
    return Table(list(filled), [list(row) for row in zip(*filled.values(), strict=True)], numeric)


def _text(value: Any) -> str:
    """A value as the page shows it; nothing for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple | set):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.5g}"


def _caption(caption: str) -> str:
    """A caption as given; a file's stem is made readable."""
    return caption.replace("_", " ") if re.fullmatch(r"\w+", caption) else caption
