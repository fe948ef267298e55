"""A metric by test noise and model: points, a table of shades where there are many; lines over a noise's levels."""

from typing import TYPE_CHECKING

import numpy as np

from bench.core.labels import Label
from bench.core.lazy import mpl_ticker, pandas, seaborn
from bench.report.figures.names import short, wrap_all, wrapped
from bench.report.figures.style import (
    MEDIUM,
    SMALL,
    WIDTH,
    axis_label,
    canvas,
    framed,
    looks,
    luminance,
    nothing,
    panels,
    scale,
    themed,
    wide,
)
from bench.report.figures.tidy import cleaned, contenders, ends, first_few, in_order, over_seeds, remarks, tested

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.metrics import Metric

MOST_POINTS = 48  # beyond them a row of points per noise is too high for a page
MOST_LOOKS = 10  # contenders that the eye tells apart by their markers
MOST_ROWS, MOST_COLUMNS = 60, 40  # of a table of shades
LEVELS = 3  # that make a line


@themed()
def quality(rows: "pandas.DataFrame", metric: "Metric", caption: str) -> "Figure":
    """The metric by test noise and model: points with error bars over seeds, or a table of shades for many of them.

    rows: results.csv. caption: the conditions, put below.
    """
    rows = cleaned(rows)
    table = over_seeds(rows, metric.column)
    title = f"{metric.title} by test noise"
    if table.empty:
        return nothing(title, caption, remarks(rows, metric.column))
    few = len(table) <= MOST_POINTS and table["contender"].nunique() <= MOST_LOOKS
    return (_points if few else _shades)(rows, table, metric, title, caption)


def _points(
    rows: "pandas.DataFrame", table: "pandas.DataFrame", metric: "Metric", title: str, caption: str
) -> "Figure":
    trained, plain = in_order(rows, contenders(rows))
    styles = {name: look for name, look in looks(trained, plain).items() if name in set(table["contender"])}
    noises = tested(rows, table)
    step = max(0.15, 0.5 / len(styles))  # inches between the points of one noise
    band = step * (len(styles) + 1)
    figure = canvas(WIDTH, band * len(noises) + 0.5)
    axes = figure.subplots()
    for i, (name, look) in enumerate(styles.items()):
        mine = table[table["contender"] == name]
        y = mine["test_noise"].map(noises.index) + (i + 1) * step / band - 0.5
        style = {**look.line(), "linestyle": "none"}
        axes.errorbar(mine["mean"], y, xerr=mine["half"], elinewidth=1.2, capsize=2.5, zorder=3, **style)
    for row in range(1, len(noises), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", zorder=0)
    names = wrap_all(short(noises, keep=1).values(), 26, max(1, int(band / 0.14)))
    axes.set_yticks(range(len(noises)), [names[name] for name in short(noises, keep=1).values()])
    axes.set(ylim=(len(noises) - 0.5, -0.5), xlabel=axis_label(metric))
    axes.grid(visible=False, axis="y")
    scale(axes.xaxis, ends(table), log=wide(table["mean"]))
    _winners(axes, table, metric, noises, int(band / 0.14))
    legend = {name: {**look.line(), "linestyle": "none"} for name, look in styles.items()}
    return framed(figure, title, caption, remarks(rows, metric.column), legend)


def _winners(axes: "Axes", table: "pandas.DataFrame", metric: "Metric", noises: list[str], lines: int) -> None:
    """Name the best of each noise at the right margin."""
    for row, noise in enumerate(noises):
        mine = table[table["test_noise"] == noise].set_index("contender")["mean"]
        best = str(mine.idxmax() if metric.better == "higher" else mine.idxmin())
        text = f"{mine[best]:.2f} dB" if metric.unit == "dB" else f"{mine[best]:#.3g} {metric.unit}".strip()
        name = wrapped(best, 22, max(1, min(2, lines - 1)))
        axes.text(
            1.015, row, f"best: {name}\n{text}", transform=axes.get_yaxis_transform(), va="center", size=MEDIUM
        )  # fmt: skip


def _shades(
    rows: "pandas.DataFrame", table: "pandas.DataFrame", metric: "Metric", title: str, caption: str
) -> "Figure":
    present = set(table["contender"])
    order = [name for part in in_order(rows, contenders(rows)) for name in part if name in present]
    shown, more = first_few(order, MOST_ROWS, "models")
    noises, further = first_few(tested(rows, table), MOST_COLUMNS, "test noises")
    values = table.pivot(index="contender", columns="test_noise", values="mean").loc[shown, noises]
    names, brief = wrap_all(shown, 60, 1), short(noises, keep=1)
    margin = 1.2 + 0.075 * max(map(len, names.values()))
    cell = max(0.52, (WIDTH - margin) / len(noises))
    across = cell > 0.9  # room for the noises' names beneath one another's cells, not turned
    columns = wrap_all(brief.values(), int(cell * 12) if across else 26, 3)
    figure = canvas(margin + cell * len(noises), 0.24 * len(shown) + (0.5 if across else 1.9))
    axes = figure.subplots()
    thousandths = table["mean"].max() < 0.1
    _heatmap(axes, values, metric, 1000 if thousandths else 1)
    axes.set_xticklabels([columns[brief[noise]] for noise in noises], rotation=0 if across else 90)
    axes.set_yticklabels([names[name] for name in shown], rotation=0)
    axes.set(xlabel="", ylabel="")
    notes = ["Framed and bold: the best of each test noise.", *more, *further]
    notes += ["Numbers are in thousandths."] if thousandths else []
    notes += remarks(rows, metric.column, bars=False)
    return framed(figure, title, caption, [" ".join(notes)])


def _heatmap(axes: "Axes", values: "pandas.DataFrame", metric: "Metric", times: float) -> None:
    digits = ".2f" if metric.unit == "dB" else "#.3g"
    numbers = values.to_numpy(dtype=float)
    finite = numbers[np.isfinite(numbers)]
    seaborn.heatmap(
        values,
        ax=axes,
        annot=(values * times).map(lambda value: format(value, digits).rstrip(".")),
        fmt="",
        annot_kws={"size": SMALL - 0.5},
        linewidths=0.8,
        linecolor="white",
        cmap="cividis" if metric.better == "higher" else "cividis_r",
        norm="log" if wide(finite) else None,
        cbar_kws={"label": axis_label(metric), "fraction": 0.05, "aspect": 30, "pad": 0.02, "use_gridspec": False},
        xticklabels=True,
        yticklabels=True,
    )
    merit = np.where(np.isfinite(numbers), numbers if metric.better == "higher" else -numbers, -np.inf)
    shades = np.asarray(axes.collections[0].get_facecolor())[np.isfinite(numbers).ravel()]
    for text, shade, (row, column) in zip(axes.texts, shades, np.argwhere(np.isfinite(numbers)), strict=True):
        text.set_color("black" if luminance(shade) > 0.18 else "white")
        if merit[row, column] == merit[:, column].max():
            text.set_fontweight("bold")
            corners = [column, column + 1, column + 1, column, column], [row, row, row + 1, row + 1, row]
            axes.plot(*corners, color="black", linewidth=1.3, clip_on=False, solid_joinstyle="miter")
    bar = axes.collections[0].colorbar
    if bar is not None and wide(finite):
        scale(bar.ax.yaxis, finite, log=True, room=1)


@themed()
def by_level(rows: "pandas.DataFrame", metric: "Metric", caption: str) -> "Figure | None":
    """The metric over the level of each noise that was tested at several levels; None where there is none.

    A noise's first numeric parameter is its level; all others must be equal.
    """
    rows = cleaned(rows)
    table = over_seeds(rows, metric.column)
    trained, plain = in_order(rows, contenders(rows))
    families = _families(tested(rows, table))
    if not families or len(trained) + len(plain) > MOST_LOOKS:
        return None
    styles = looks(trained, plain)
    keys = [key for _, key, _ in families]
    levels_of = keys if len(set(keys)) > 1 else keys[:1]
    figure, grid = panels([name for name, _, _ in families], axis_label(metric), levels_of)
    for axes, levels in zip(grid, families.values(), strict=True):
        for contender, look in styles.items():
            mine = table[(table["contender"] == contender) & table["test_noise"].isin(levels)]
            mine = mine.assign(level=mine["test_noise"].map(levels)).sort_values("level")
            axes.errorbar(mine["level"], mine["mean"], mine["half"], elinewidth=1, capsize=2, **look.line())
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(5))
    scale(grid[0].yaxis, ends(table), log=wide(table["mean"]))
    legend = {name: look.line() for name, look in styles.items() if name in set(table["contender"])}
    return framed(figure, f"{metric.title} by noise level", caption, remarks(rows, metric.column), legend)


def _families(noises: list[str]) -> dict[tuple[str, str, str], dict[str, float]]:
    """(name, key of the level, the other parameters) -> label -> level, for noises of several levels."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for label in noises:
        parsed = Label.parse(label)
        key = next(iter(parsed.params), "")
        try:
            level = float(parsed.params.get(key, ""))
        except ValueError:
            continue
        others = {other: value for other, value in parsed.params.items() if other != key}
        found.setdefault((parsed.name, key, str(Label("", others))), {})[label] = level
    return {family: levels for family, levels in found.items() if len(levels) >= LEVELS}
