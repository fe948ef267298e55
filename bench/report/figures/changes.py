"""What a comparison found: each row's change with its interval, and the change of every image."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.labels import shortened
from bench.core.lazy import mpl_ticker
from bench.report.conditions import Conditions
from bench.report.figures.frame import Line, framed
from bench.report.figures.names import wrap_all
from bench.report.figures.style import SMALL, WIDTH, canvas, panels, themed
from bench.report.figures.view import first_few
from bench.results.comparison import Comparison
from bench.results.names import brief, contender_names
from bench.results.verdicts import Difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS, MOST_PANELS = 40, 9
ROW = 0.24  # inches
LOSS = "#a63603"
LOOKS: dict[str, Any] = {
    "worse": {"color": LOSS, "marker": "v"},
    "better": {"color": "#08519c", "marker": "^"},
    "same": {"color": "0.25", "marker": "o"},
    "undecided": {"color": "0.45", "marker": "o", "markerfacecolor": "white"},
    "both failed": {"color": "0.45", "marker": "x"},
}


@themed()
def changes(found: Comparison, conditions: Conditions) -> "Figure":
    """B - A of every row by the metric that decides, the worst first, with both of its intervals."""
    gate, rows = found.rule.gate, _worst_first(found)
    shown, more = first_few(rows, MOST_ROWS, "rows")
    figure = canvas(WIDTH, ROW * len(shown) + 0.6)
    axes = figure.subplots()
    for place, row in enumerate(map(rows.__getitem__, shown)):
        change, look = row.changes[gate.column], LOOKS[row.verdict]
        axes.hlines(place, row.decision.low, row.decision.high, color=look["color"], linewidth=1)
        axes.hlines(place, change.low, change.high, color=look["color"], linewidth=3.5, alpha=0.5)
        axes.plot(change.change, place, linestyle="none", markersize=5.5, **look)
        text = f"{gate.format(change.change, signed=True)} {gate.unit}".rstrip()
        axes.text(1.015, place, f"{text}, {row.verdict}", transform=axes.get_yaxis_transform(), va="center", size=SMALL)
    _bounds(axes.axvline, found)
    axes.set_yticks(range(len(shown)), list(wrap_all(shown, 60, 1).values()))
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel=f"{gate.heading}, B - A; {gate.better} is better")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(6))
    verdicts = [rows[name].verdict for name in shown]
    legend: dict[str, Line] = {verdict: {"linestyle": "none", **LOOKS[verdict]} for verdict in verdicts}
    legend["95 %"] = {"color": "0.3", "linewidth": 3.5, "alpha": 0.5}
    legend["decides"] = {"color": "0.3", "linewidth": 1}
    legend["what B may lose"] = {"color": LOSS, "linestyle": ":"}
    return framed(figure, f"Change of {gate.title}, the worst row first", conditions, more, legend)


@themed()
def per_image(found: Comparison, conditions: Conditions) -> "Figure | None":
    """B - A of every image against its value in A, a panel per row, the worst first; None where no row has both."""
    gate = found.rule.gate
    rows = {name: row for name, row in _worst_first(found).items() if len(row.images) and row.verdict != "both failed"}
    shown, more = first_few(rows, MOST_PANELS, "rows")
    if not rows:
        return None
    titles = wrap_all(shown, 34, 2)
    worse = {name: (gate.merit(1.0) * np.diff(rows[name].images, axis=0) < 0).mean() for name in shown}
    headed = [f"{titles[name]}\nworse on {100 * share:.0f} % of images" for name, share in worse.items()]
    figure, grid = panels(headed, f"{gate.heading}, B - A", [f"{gate.heading} of A, mean over seeds"])
    for axes, row in zip(grid, map(rows.__getitem__, shown), strict=True):
        a, change = row.images[0], row.images[1] - row.images[0]
        axes.plot(a, change, ".", color=LOOKS[row.verdict]["color"], markersize=2.5, alpha=0.5)
        _bounds(axes.axhline, found)
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(4))
    legend = {"an image": {"color": "0.3", "marker": ".", "linestyle": "none"}}
    legend["what B may lose"] = {"color": LOSS, "linestyle": ":"}
    return framed(figure, f"Change of {gate.title} of each image, the worst row first", conditions, more, legend)


def _worst_first(found: Comparison) -> dict[str, Difference]:
    """The rows by what they are called; those that failed in B come first."""
    gate = found.rule.gate
    keys = [key for row in found.differences for key in (row.key, row.other) if key]
    models = contender_names((key.contender for key in keys), by_train_noise=False)
    trained = [key.contender.train_noise for key in keys if key.contender.train_noise]
    noises = shortened([*trained, *(key.test for key in keys)], keep=1)

    def name(row: Difference) -> str:
        who = models[row.key.contender]
        parts = [f"{models[row.other.contender]} against {who}" if row.other else who]
        own = row.key.contender.train_noise
        parts += [f"trained on {brief(noises[own])}"] if own not in (None, row.key.test) and own else []
        return " · ".join([*parts, brief(noises[row.key.test])])

    rows = sorted(found.differences, key=lambda row: gate.merit(row.changes[gate.column].change))
    return {name(row): row for row in rows}


def _bounds(line: Callable[..., Any], found: Comparison) -> None:
    """No change, and what B may lose."""
    line(0, color="black", linewidth=0.8)
    line(-found.rule.gate.merit(1.0) * found.rule.max_drop, color=LOSS, linestyle=":", linewidth=1)
