"""A metric by test noise and model: points, or a table of shades where there are many."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.core.lazy import seaborn
from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures import known
from bench.report.figures.frame import framed, nothing
from bench.report.figures.names import wrap_all, wrapped
from bench.report.figures.style import MEDIUM, SMALL, WIDTH, canvas, looks, luminance, scale, themed, wide
from bench.report.figures.view import Point, View, first_few
from bench.report.published import Beside, said
from bench.results.summary import Summary

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 48  # beyond them a row of points per noise is too high for a page
MOST_LOOKS = 10  # contenders that the eye tells apart by their markers
MOST_ROWS, MOST_COLUMNS = 60, 40  # of a table of shades
LINE = 0.14  # inches that a line of text takes


@themed()
def quality(
    summaries: Sequence[Summary], metric: Measure, conditions: Conditions, published: Sequence[Beside] = ()
) -> "Figure":
    """The metric by test noise and model: points with error bars, or a table of shades for many of them.

    published: figures to draw as lines beside points.
    """
    view = View(metric, tuple(summaries))
    title = f"{metric.title} by test noise"
    if not view.points:
        return nothing(title, conditions, [view.remarks()])
    few = len(view.points) <= MOST_POINTS and len(view.everyone) <= MOST_LOOKS
    return _points(view, title, conditions, published) if few else _shades(view, title, conditions)


def _points(view: View, title: str, conditions: Conditions, published: Sequence[Beside]) -> "Figure":
    all_looks = looks(view.trained, view.plain)
    styles = {name: all_looks[name] for name in view.shown}
    noises = view.tests
    step = max(0.15, 0.5 / len(styles))  # inches between the points of one noise
    band = step * (len(styles) + 1)
    figure = canvas(WIDTH, band * len(noises) + 0.5)
    axes = figure.subplots()
    for i, (name, look) in enumerate(styles.items()):
        mine = view.drawn(name)
        y = [noises.index(point.noise) + (i + 1) * step / band - 0.5 for point in mine]
        means, halves = [p.value.mean for p in mine], [p.value.half for p in mine]
        style = {**look.line(), "linestyle": "none"}
        axes.errorbar(means, y, xerr=halves, elinewidth=1.2, capsize=2.5, zorder=3, **style)
    for test, noise in view.brief.items():
        known.upright(axes, published, test, noises.index(noise))
    for row in range(1, len(noises), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", zorder=0)
    lines = max(1, int(band / LINE))
    axes.set_yticks(range(len(noises)), list(wrap_all(noises, 26, lines).values()))
    axes.set(ylim=(len(noises) - 0.5, -0.5), xlabel=view.metric.axis_label)
    axes.grid(visible=False, axis="y")
    scale(axes.xaxis, [*view.ends, *known.values(published)], log=wide(view.means))
    _winners(axes, view, lines)
    legend = {name: {**look.line(), "linestyle": "none"} for name, look in styles.items()} | known.legend(published)
    return framed(figure, title, conditions, [" ".join(filter(None, (view.remarks(), said(published))))], legend)


def _winners(axes: "Axes", view: View, lines: int) -> None:
    """Name the best of each noise at the right margin, or why there is none."""
    for row, noise in enumerate(view.tests):
        text = _winner(view, noise, max(1, min(2, lines - 1)))
        axes.text(1.015, row, text, transform=axes.get_yaxis_transform(), va="center", size=MEDIUM)


def _winner(view: View, noise: str, lines: int) -> str:
    if left := view.left(noise):
        return "no best yet, to run:\n" + wrapped(", ".join(left), 22, lines)
    best = view.best(noise)
    if not best:
        return "no result"
    if noise in view.disputes:
        return "no single best:\n" + wrapped(" or ".join(point.contender for point in best), 22, lines)
    value = view.metric.format(best[0].value.mean)
    unit = view.metric.unit if math.isfinite(best[0].value.mean) else ""
    name = wrapped(" = ".join(point.contender for point in best), 22, lines)
    tied = len(view.tied(noise))
    return f"best: {name}\n{value} {unit}".rstrip() + (f", {tied} tied" if tied else "")


def _shades(view: View, title: str, conditions: Conditions) -> "Figure":
    shown, more = first_few(view.everyone, MOST_ROWS, "models")
    noises, further = first_few(view.tests, MOST_COLUMNS, "test noises")
    values = view.matrix(shown, noises)
    names = wrap_all(shown, 60, 1)
    margin = 1.2 + 0.075 * max(map(len, names.values()))
    cell = max(0.52, (WIDTH - margin) / len(noises))
    across, columns = beneath(noises, cell)
    figure = canvas(margin + cell * len(noises), 0.24 * len(shown) + (0.5 if across else 1.9))
    axes = figure.subplots()
    thousandths = max(filter(math.isfinite, view.means), default=1.0) < 0.1
    _heatmap(axes, values, view, 1000 if thousandths else 1)
    axes.set_xticklabels(columns, rotation=0 if across else 90)
    axes.set_yticklabels([names[name] for name in shown], rotation=0)
    axes.set(xlabel="", ylabel="")
    notes = [f"{view.marking('Framed and bold:', 'italic:')}.", *more, *further]
    notes += ["Numbers are in thousandths."] if thousandths else []
    return framed(figure, title, conditions, [" ".join([*notes, view.remarks(bars="")])])


def beneath(noises: Sequence[str], cell: float) -> tuple[bool, list[str]]:
    """Whether cells of so many inches have room for the noises' names beneath them, not turned, and the names."""
    across = cell > 0.9
    return across, list(wrap_all(noises, int(cell * 13) if across else 26, 3).values())


def _heatmap(axes: "Axes", values: "pandas.DataFrame", view: View, times: float) -> None:
    metric, numbers = view.metric, values.to_numpy(dtype=float)
    finite = np.isfinite(numbers)
    seaborn.heatmap(
        values.where(finite),
        ax=axes,
        annot=values.map(lambda value: _annotation(value, metric, times)),
        fmt="",
        annot_kws={"size": SMALL - 0.5},
        linewidths=0.8,
        linecolor="white",
        cmap="cividis" if metric.better == "higher" else "cividis_r",
        norm="log" if wide(numbers[finite]) else None,
        cbar_kws={"label": metric.axis_label, "fraction": 0.05, "aspect": 30, "pad": 0.02, "use_gridspec": False},
        xticklabels=True,
        yticklabels=True,
        **({} if finite.any() else {"vmin": 0, "vmax": 1, "cbar": False}),  # perfect rows alone have no shades
    )
    axes.grid(visible=False)
    _mark_best(axes, values, view)
    rows, columns = list(values.index), list(values.columns)
    for (name, noise), why in view.empty.items():
        if name in rows and noise in columns:
            x, y = columns.index(noise) + 0.5, rows.index(name) + 0.5
            axes.text(x, y, why, size=SMALL - 0.5, color="0.35", ha="center", va="center")
    bar = axes.collections[0].colorbar
    if bar is not None and wide(numbers[finite]):
        scale(bar.ax.yaxis, numbers[finite], log=True, room=1)


def _annotation(value: float, metric: Measure, times: float) -> str:
    return metric.format(value) if metric.decimals is not None else f"{value * times:#.3g}".rstrip(".")


def _mark_best(axes: "Axes", values: "pandas.DataFrame", view: View) -> None:
    """Frame the best cells of each column, mark its ties, and make every number legible on its shade."""
    best, tied = (_held(values, {noise: found(noise) for noise in values.columns}) for found in (view.best, view.tied))
    numbers = values.to_numpy(dtype=float)
    shades = np.asarray(axes.collections[0].get_facecolor())[np.isfinite(numbers).ravel()]
    for text, shade, (row, column) in zip(axes.texts, shades, np.argwhere(np.isfinite(numbers)), strict=True):
        text.set_color("black" if luminance(shade) > 0.18 else "white")
        if best[row, column]:
            text.set_fontweight("bold")
            frame(axes, row, column)
        elif tied[row, column]:
            text.set_fontstyle("italic")
    for row, column in np.argwhere(np.isinf(numbers)):  # no shade is light enough for them
        weight = "bold" if best[row, column] else "normal"
        axes.text(column + 0.5, row + 0.5, "perfect", size=SMALL - 0.5, weight=weight, ha="center", va="center")
        if best[row, column]:
            frame(axes, row, column)


def _held(values: "pandas.DataFrame", points: Mapping[str, Sequence[Point]]) -> np.ndarray:
    """Which cells of a table hold one of the points, given by the column's name."""
    held = {(point.contender, noise) for noise, mine in points.items() for point in mine}
    return np.array([[(name, noise) in held for noise in values.columns] for name in values.index])


def frame(axes: "Axes", row: int, column: int) -> None:
    """Frame a cell of a heat map."""
    corners = [column, column + 1, column + 1, column, column], [row, row, row + 1, row + 1, row]
    axes.plot(*corners, color="black", linewidth=1.3, clip_on=False, solid_joinstyle="miter")
