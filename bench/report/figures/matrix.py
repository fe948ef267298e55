"""What each model, trained on each noise, makes of each test noise."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.lazy import pandas, seaborn
from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures.frame import framed
from bench.report.figures.names import wrapped
from bench.report.figures.quality import MOST_COLUMNS, MOST_ROWS, beneath, frame
from bench.report.figures.style import MEDIUM, SMALL, WIDTH, canvas, luminance, themed
from bench.report.figures.view import View, first_few
from bench.results.names import brief, contender_names, crossed
from bench.results.records import Contender
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.2  # inches
CHARACTER = 0.068  # inches of a label
OWN = "Framed: the noise of the training."


@dataclass(frozen=True)
class Row:
    """A contender: its model and what it was trained on, by the names they are shown by."""

    contender: Contender
    model: str
    trained_on: str


@dataclass(frozen=True)
class Shades:
    """One heat map. kind: of its file. values: a row per contender, a column per test noise; NaN where there is none.

    note: what its numbers are. colours: a palette; 0 lies in the middle of all but the usual one.
    """

    kind: str
    title: str
    label: str
    note: str
    values: np.ndarray
    colours: str = ""


def matrices(summaries: Sequence[Summary], metric: Measure, conditions: Conditions) -> "Iterator[tuple[str, Figure]]":
    """The metric, its gain over doing nothing and the price of not knowing the noise: (kind, figure).

    Nothing where no model is tested on noises it wasn't trained on. A row's price is what the same model has more that
    was trained on the test noise alone. Rows are grouped by model, those trained on one of the test noises first.
    """
    if not crossed(summaries):
        return
    view = View(metric, tuple(summaries))
    rows, more = first_few(_rows(view), MOST_ROWS, "contenders")
    tests, further = first_few(view.tests, MOST_COLUMNS, "test noises")
    own = np.array([[_own(view, row, noise) for noise in tests] for row in rows])
    for shades in _maps(view, rows, tests, own):
        known = np.isfinite(shades.values).any(1)
        if known.any():
            shown = replace(shades, values=shades.values[known])
            mine = [row for row, has in zip(rows, known, strict=True) if has]
            note = " ".join([shades.note, *more, *further, view.remarks(bars="")])
            yield shades.kind, _draw(view, mine, tests, own[known], shown, conditions, note)


def _rows(view: View) -> list[Row]:
    """The contenders grouped by model; in a group first those trained on a test noise, in the order of these."""
    names = contender_names(view.names, by_train_noise=False)
    groups = list(dict.fromkeys(names[who] for who in sorted(view.names, key=lambda who: not who.trained)))

    def place(who: Contender) -> tuple[int, int]:
        on = str(view.short[who.train_noise]) if who.train_noise else ""
        return groups.index(names[who]), view.tests.index(on) if on in view.tests else len(view.tests)

    def trained_on(who: Contender) -> str:
        return brief(view.short[who.train_noise]) if who.train_noise else "clean images" if who.trained else ""

    return [Row(who, names[who], trained_on(who)) for who in sorted(view.names, key=place)]


def _own(view: View, row: Row, noise: str) -> bool:
    on = row.contender.train_noise
    return on is not None and str(view.short[on]) == noise


def _maps(view: View, rows: Sequence[Row], tests: Sequence[str], own: np.ndarray) -> Iterator[Shades]:
    metric = view.metric
    held = {(point.contender, point.noise): float(metric.counted(point.value.mean)) for point in view.points}
    values = np.array([[held.get((view.names[row.contender], on), math.nan) for on in tests] for row in rows])
    yield Shades("matrix", f"{metric.title} by noise of training and test", metric.axis_label, OWN, values)
    sign = metric.merit(1.0)
    idle = np.array([held.get((view.idle, on), math.nan) for on in tests])
    unit = f" ({metric.unit})" if metric.unit else ""
    yield Shades(
        "matrix_gain", f"Gain in {metric.title} over doing nothing", f"gain{unit}",
        f"Blue: better than doing nothing. {OWN}", sign * (values - idle), "RdBu",
    )  # fmt: skip
    if not own.any():
        return
    known = {
        (row.model, place): values[i, place]
        for i, row in enumerate(rows)
        for place in range(len(tests))
        if own[i, place]
    }
    best = np.array([[known.get((row.model, place), math.nan) for place in range(len(tests))] for row in rows])
    yield Shades(
        "matrix_price", "Price of not knowing the noise", f"price{unit}",
        f"Price: what the same model, trained on the test noise alone, has more in {metric.title}; blue: less.",
        np.where(own, math.nan, sign * (best - values)), "RdBu_r",
    )  # fmt: skip


@themed()
def _draw(
    view: View,
    rows: Sequence[Row],
    tests: Sequence[str],
    own: np.ndarray,
    shades: Shades,
    conditions: Conditions,
    note: str,
) -> "Figure":
    groups = [row.model for row in rows]
    several = {model for model in groups if groups.count(model) > 1}
    labels = [row.trained_on if row.model in several else row.model for row in rows]
    heads = max((len(model) for model in several), default=0)
    left = 0.2 + CHARACTER * (max(map(len, labels)) + min(heads, 24))
    cell = max(0.5, (WIDTH - left - 0.9) / len(tests))
    short = {str(label): brief(label) for label in view.short.values()}
    across, columns = beneath([short[noise] for noise in tests], cell)
    figure = canvas(left + cell * len(tests) + 0.9, ROW * len(rows) + (0.7 if across else 1.6))
    axes = figure.subplots()
    _heatmap(axes, shades, view.metric)
    axes.set_xlabel("test noise; on the left, that of the training")
    axes.set_xticklabels(columns, rotation=0 if across else 90)
    axes.set_yticklabels([wrapped(label, 40, 1) for label in labels], rotation=0)
    axes.grid(visible=False)
    starts = [place for place, model in enumerate(groups) if place == 0 or groups[place - 1] != model]
    for start, end in zip(starts, [*starts[1:], len(groups)], strict=True):
        axes.axhline(start, color="black", linewidth=1.6 if start else 0)
        if groups[start] in several:
            x = -(0.12 + CHARACTER * max(map(len, labels))) / (cell * len(tests))
            middle, name = (start + end) / 2, wrapped(groups[start], 24, 2)
            where: dict[str, Any] = {"ha": "right", "va": "center", "transform": axes.get_yaxis_transform()}
            axes.text(x, middle, name, size=MEDIUM, weight="bold", **where)
    for row, column in np.argwhere(own & np.isfinite(shades.values)):
        frame(axes, row, column)
    return framed(figure, shades.title, conditions, [note])


def _heatmap(axes: "Axes", shades: Shades, metric: Measure) -> None:
    reach = float(np.nanmax(np.abs(shades.values))) or 1.0
    colours: dict[str, Any] = {"cmap": "cividis" if metric.better == "higher" else "cividis_r"}
    if shades.colours:
        colours = {"cmap": shades.colours, "vmin": -reach, "vmax": reach}
    texts = [[_text(value, metric, bool(shades.colours)) for value in row] for row in shades.values]
    seaborn.heatmap(
        pandas.DataFrame(shades.values), ax=axes, annot=pandas.DataFrame(texts), fmt="",
        annot_kws={"size": SMALL - 0.5}, linewidths=0.5, linecolor="white",
        cbar_kws={"label": shades.label, "fraction": 0.05, "aspect": 30, "pad": 0.02, "use_gridspec": False},
        xticklabels=True, yticklabels=True, **colours,
    )  # fmt: skip
    seen = np.asarray(axes.collections[0].get_facecolor())[np.isfinite(shades.values).ravel()]
    for text, shade in zip(axes.texts, seen, strict=True):
        text.set_color("black" if luminance(shade) > 0.18 else "white")


def _text(value: float, metric: Measure, signed: bool) -> str:
    return metric.format(value, signed=signed) if math.isfinite(value) else ""
