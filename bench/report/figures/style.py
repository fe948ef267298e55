"""What all figures share: theme, sizes, one look per contender, panels and scales."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.lazy import matplotlib, mpl_figure, mpl_ticker, seaborn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


WIDTH = 7.2  # inches: the text width of a two-column journal
DPI = 150
DARK_PAPER, DARK_INK = "#16181b", "#e8e8e8"  # of the page in dark mode
SMALL, MEDIUM, LARGE = 7, 8, 10  # points
GAP = 0.1  # inches between the parts of a figure
MARKERS = "os^DvPXphd<>"
PLAIN_MARKERS = "|x+1234"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (8, 1, 1, 1)))
STEPS = {200: (1,), 20: (1, 3), 5: (1, 2, 5), 0: (1, 1.5, 2, 3, 5, 7)}  # ticks in a decade of so wide a scale
THEME: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure on every machine
    "font.size": MEDIUM,
    "axes.labelsize": MEDIUM,
    "axes.titlesize": MEDIUM,
    "xtick.labelsize": MEDIUM,
    "ytick.labelsize": MEDIUM,
    "legend.fontsize": MEDIUM,
    "text.usetex": False,
    "text.parse_math": False,  # a name may hold a dollar
    "figure.facecolor": "white",
    "grid.color": "0.85",
    "lines.linewidth": 1.4,
}


@dataclass(frozen=True)
class Look:
    """How a contender is drawn in every figure: told apart by marker and dash as well as by colour."""

    color: Any
    marker: str
    dash: Any
    hollow: bool = False

    def line(self) -> dict[str, Any]:
        """Keywords of a line with markers."""
        face = "white" if self.hollow else self.color
        edge = self.color if self.hollow or self.marker in PLAIN_MARKERS else "black"
        return {
            "color": self.color,
            "linestyle": self.dash,
            "marker": self.marker,
            "markersize": 9 if self.marker == "|" else 5.5,
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markeredgewidth": 2 if self.marker == "|" else 1.3 if self.marker in PLAIN_MARKERS else 0.6,
        }


@contextmanager
def themed() -> Iterator[None]:
    """Seaborn's white grid with our sizes, for as long as a figure is drawn."""
    with settings({**seaborn.axes_style("whitegrid"), **seaborn.plotting_context("paper"), **THEME}):
        yield


@contextmanager
def settings(changed: Mapping[Any, Any]) -> Iterator[None]:
    """Matplotlib with its own defaults except for some, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changed)
        yield


def looks(trained: Sequence[str], plain: Sequence[str] = ()) -> dict[str, Look]:
    """A look per contender: those with weights in colours of falling darkness, the others in greys."""
    count = max(len(trained), 3)
    palette = seaborn.cubehelix_palette(count, start=2, rot=1.2, hue=1.6, dark=0.2, light=0.68, reverse=True)
    found = {
        name: Look(color, MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)], bool(i // len(MARKERS) % 2))
        for i, (name, color) in enumerate(zip(trained, palette, strict=False))
    }
    for i, name in enumerate(plain):
        grey = str(0.15 + 0.4 * i / max(len(plain), 2))
        found[name] = Look(grey, PLAIN_MARKERS[i % len(PLAIN_MARKERS)], DASHES[(i + 1) % len(DASHES)])
    return found


def canvas(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    return mpl_figure.Figure(figsize=(width, height), dpi=DPI)


def panels(titles: Sequence[str], ylabel: str, xlabels: Sequence[str]) -> "tuple[Figure, list[Axes]]":
    """One panel per title on a common y scale, at most three in a row; the spare ones are removed.

    xlabels: one for all panels, which then share their x scale, or one for each.
    """
    count = len(titles)
    across = 2 if count == 4 else min(count, 3)
    down = math.ceil(count / across)
    shared = len(xlabels) == 1
    figure = canvas(WIDTH, (2.3 if down < 3 else 1.8) * down + (0.1 if shared else 0.3 * down))
    grid = figure.subplots(down, across, sharex=shared, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    for place, (one, title) in enumerate(zip(axes, titles, strict=False)):
        below = not shared or place >= count - across
        one.tick_params(labelbottom=below)
        one.set(title=title, xlabel=xlabels[place % len(xlabels)] if below else "")
        one.set_ylabel("" if place % across else ylabel if down == 1 else ylabel.replace(", ", ",\n", 1))
    return figure, axes[:count]


def wide(values: "Iterable[float]") -> bool:
    """Whether positive values, infinite ones aside, span so much that only a logarithmic scale shows the small ones."""
    given = [value for value in values if math.isfinite(value)]
    return bool(given) and min(given) > 0 and max(given) >= 10 * min(given)


def luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour in [0, 1] (WCAG 2): black reads better on it above 0.18, white below."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def number(value: float, position: int | None = None) -> str:
    """A tick's text on a logarithmic scale: plain digits, or k and M for thousands and millions."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def scale(axis: "Axis", ends: "Iterable[float]", log: bool, room: float = 1.2) -> None:
    """Few ticks with plain numbers. ends: what must be seen; on a logarithmic scale with a factor `room` around it."""
    if not log:
        axis.set_major_locator(mpl_ticker.MaxNLocator(5))
        return
    given = [value for value in ends if np.isfinite(value) and value > 0]
    low, high = min(given) / room, max(given) * room
    vertical = axis is axis.axes.yaxis
    (axis.axes.set_yscale if vertical else axis.axes.set_xscale)("log")
    (axis.axes.set_ylim if vertical else axis.axes.set_xlim)(low, high)
    steps = next(steps for span, steps in STEPS.items() if high / low > span)
    axis.set_major_locator(mpl_ticker.LogLocator(subs=steps, numticks=9))
    axis.set_major_formatter(mpl_ticker.FuncFormatter(number))
    axis.set_minor_formatter(mpl_ticker.NullFormatter())
