"""What a comparison found: each row's change with its interval, and the change of every image."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.labels import shortened
from bench.core.lazy import mpl_ticker
from bench.report.conditions import Conditions
from bench.report.figures.frame import Line, framed
from bench.report.figures.names import wrapped
from bench.report.figures.style import SMALL, WIDTH, canvas, panels, themed
from bench.report.figures.view import first_few
from bench.results.comparison import Comparison
from bench.results.names import brief, contender_names
from bench.results.verdicts import Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS, MOST_PANELS = 40, 9
ROW = 0.24  # inches
APART = " · "  # between the parts of a row's name
LONGEST = 72  # characters of a name
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
    gate = found.rule.gate
    rows, more = first_few(_worst_first(found), MOST_ROWS, "rows")
    figure = canvas(WIDTH, ROW * len(rows) + 0.6)
    axes = figure.subplots()
    for place, (_, row) in enumerate(rows):
        change, look = row.changes[gate.column], LOOKS[row.verdict]
        axes.hlines(place, row.decision.low, row.decision.high, color=look["color"], linewidth=1)
        axes.hlines(place, change.low, change.high, color=look["color"], linewidth=3.5, alpha=0.5)
        axes.plot(change.change, place, linestyle="none", markersize=5.5, **look)
        text = f"{gate.format(change.change, signed=True)} {gate.unit}".rstrip()
        axes.text(1.015, place, f"{text}, {row.verdict}", transform=axes.get_yaxis_transform(), va="center", size=SMALL)
    _bounds(axes.axvline, found)
    if _reach(axes, rows, gate.column):
        more.append("Intervals that reach the edge go on beyond it.")
    axes.set_yticks(range(len(rows)), [wrapped(name, LONGEST, 1) for name, _ in rows])
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"{gate.heading}, B - A; {gate.better} is better")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(6))
    legend: dict[str, Line] = {row.verdict: {"linestyle": "none", **LOOKS[row.verdict]} for _, row in rows}
    if any(not math.isnan(row.changes[gate.column].low) for _, row in rows):
        legend["95 %"] = {"color": "0.3", "linewidth": 3.5, "alpha": 0.5}
    if any(not math.isnan(row.decision.low) for _, row in rows):
        legend["decides"] = {"color": "0.3", "linewidth": 1}
    legend["what B may lose"] = {"color": LOSS, "linestyle": ":"}
    return framed(figure, f"Change of {gate.title}, the worst row first", conditions, more, legend)


@themed()
def per_image(found: Comparison, conditions: Conditions) -> "Figure | None":
    """B - A of every image against its value in A, a panel per row, the worst first; None where no row has both."""
    gate = found.rule.gate
    known = [(name, row) for name, row in _worst_first(found) if len(row.images) and row.verdict != "both failed"]
    rows, more = first_few(known, MOST_PANELS, "rows")
    if not rows:
        return None
    worse = [(gate.merit(1.0) * np.diff(row.images, axis=0) < 0).mean() for _, row in rows]
    titles = ["\n".join(wrapped(part, 34, 1) for part in name.split(APART)) for name, _ in rows]
    headed = [f"{title}\nworse on {100 * share:.0f} % of images" for title, share in zip(titles, worse, strict=True)]
    figure, grid = panels(headed, f"{gate.heading}, B - A", [f"{gate.heading} of A, mean over seeds"])
    for axes, (_, row) in zip(grid, rows, strict=True):
        a, change = row.images[0], row.images[1] - row.images[0]
        axes.plot(a, change, ".", color=LOOKS[row.verdict]["color"], markersize=2.5, alpha=0.5)
        _bounds(axes.axhline, found)
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(4))
    legend = {"an image": {"color": "0.3", "marker": ".", "linestyle": "none"}}
    legend["what B may lose"] = {"color": LOSS, "linestyle": ":"}
    return framed(figure, f"Change of {gate.title} of each image, the worst row first", conditions, more, legend)


def _reach(axes: "Axes", rows: Sequence[tuple[str, Difference]], column: str) -> bool:
    """Let the axis end with the plain intervals, and tell whether others go on beyond it.

    Those of few seeds, corrected for many rows, would hide everything else.
    """
    known = [0.0, *(end for _, row in rows for end in row.changes[column].ends if math.isfinite(end))]
    room = 0.05 * (max(known) - min(known)) or 1.0
    low, high = min(known) - room, max(known) + room
    axes.set_xlim(low, high)
    return any(row.decision.low < low or row.decision.high > high for _, row in rows)


def _worst_first(found: Comparison) -> list[tuple[str, Difference]]:
    """The rows and what they are called; those that failed in B come first."""
    gate = found.rule.gate
    keys = [key for row in found.differences for key in (row.key, row.other) if key]
    models = contender_names((key.contender for key in keys), by_train_noise=False)
    trained = filter(None, (row.train_noise for row in found.differences))
    noises = shortened([*trained, *(key.test for key in keys)], keep=1)

    def name(row: Difference) -> str:
        who = models[row.key.contender]
        parts = [f"{models[row.other.contender]} against {who}" if row.other else who]
        own = row.train_noise
        parts += [f"trained on {brief(noises[own])}"] if own and own != row.key.test else []
        return APART.join([*parts, brief(noises[row.key.test])])

    rows = sorted(found.differences, key=lambda row: gate.merit(row.changes[gate.column].change))
    return [(name(row), row) for row in rows]


def _bounds(line: Callable[..., Any], found: Comparison) -> None:
    """No change, and what B may lose."""
    line(0, color="black", linewidth=0.8)
    line(-found.rule.gate.merit(1.0) * found.rule.max_drop, color=LOSS, linestyle=":", linewidth=1)
