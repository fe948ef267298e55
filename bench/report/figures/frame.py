"""What surrounds the panels of a figure: title and banner above, legend, notes and conditions below."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.lazy import mpl_lines
from bench.report.conditions import Conditions
from bench.report.figures.names import wrap_all
from bench.report.figures.style import DPI, GAP, LARGE, MEDIUM, SMALL, WIDTH, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

INSET = 0.35 * LARGE / 72  # inches between the banner's text and the border of its box
Line = dict[str, Any]  # keywords of a line, as matplotlib takes them


@dataclass(frozen=True)
class Part:
    """A text or a legend outside the panels, measured as drawn. width, height: inches, a box's border included."""

    artist: "Text | Legend"
    width: float
    height: float

    @classmethod
    def of(cls, artist: "Text | Legend") -> "Part":
        """Measure an artist."""
        dpi = artist.figure.dpi if artist.figure else DPI
        extent = artist.get_window_extent()
        pad = 2 * INSET if _boxed(artist) else 0
        return cls(artist, extent.width / dpi + pad, extent.height / dpi + pad)

    def place(self, top: float, width: float, height: float) -> None:
        """Put its upper left corner at the left margin, `top` inches above the bottom of a figure of that size."""
        if hasattr(self.artist, "set_bbox_to_anchor"):
            self.artist.set_bbox_to_anchor((GAP / width, top / height), transform=self.artist.figure.transFigure)
        else:
            inset = INSET if _boxed(self.artist) else 0
            self.artist.set_position(((GAP + inset) / width, (top - inset) / height))


def framed(
    figure: "Figure",
    title: str,
    conditions: Conditions,
    notes: Iterable[str] = (),
    legend: dict[str, Line] | None = None,
    pad: float = 0.06,
) -> "Figure":
    """Put title and stand-in banner above, legend, notes and conditions below, and make the figure as high as needed.

    legend: name -> keywords of its line. pad: inches around each panel.
    Every part is measured as drawn, so none can run into another. The title is also the figure's label.
    """
    title = title[:1].upper() + title[1:]
    width, body = (float(side) for side in figure.get_size_inches())
    room = width - 2 * GAP
    above = [_banner(figure, conditions.banner, room)] if conditions.banner else []
    above += [_text(figure, title, room, LARGE, weight="bold")]
    below = [_legend(figure, legend, room)] if legend else []
    below += [_text(figure, note, room, MEDIUM, color="black") for note in notes if note]
    below += [_text(figure, conditions.of_figures, room, SMALL, color="0.25")]
    top, bottom = _height(above) + GAP / 2, _height(below) + GAP / 2
    total = body + top + bottom
    figure.set_size_inches(width, total)
    _stack(above, total - GAP, width, total)
    _stack(below, bottom - GAP / 2, width, total)
    figure.set_label(title)
    rect = (GAP / width, bottom / total, room / width, body / total)
    figure.set_layout_engine("constrained", rect=rect, w_pad=pad, h_pad=pad, wspace=0, hspace=0)
    return figure


def nothing(title: str, conditions: Conditions, notes: Iterable[str]) -> "Figure":
    """A figure that says that there is nothing to show."""
    figure = canvas(WIDTH, 1.0)
    axes = figure.subplots()
    axes.axis("off")
    axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", size=LARGE, color="0.3")
    return framed(figure, title, conditions, notes)


def _height(parts: Sequence[Part]) -> float:
    """Inches that parts take below one another, the gaps included."""
    return sum(part.height + GAP for part in parts)


def _stack(parts: Sequence[Part], top: float, width: float, height: float) -> None:
    """Place parts below one another from `top` inches downwards."""
    for part in parts:
        part.place(top, width, height)
        top -= part.height + GAP


def _banner(figure: "Figure", text: str, room: float) -> Part:
    box = {"facecolor": "black", "edgecolor": "black", "boxstyle": "square,pad=0.35"}
    return _text(figure, text, room - 2 * INSET, LARGE, weight="bold", color="white", bbox=box)


def _text(figure: "Figure", text: str, room: float, size: float, **style: Any) -> Part:
    """Text wrapped to `room` inches as measured, for letters differ in width."""
    characters = int(room * 72 / (0.5 * size))
    artist = figure.text(0, 0, "", size=size, ha="left", va="top", linespacing=1.25, **style)
    while True:
        lines = [textwrap.wrap(line, characters) or [""] for line in text.splitlines() or [""]]
        artist.set_text("\n".join(part for line in lines for part in line))
        part = Part.of(artist)
        if part.width <= room + 2 * INSET * _boxed(artist) or characters < 20:
            return part
        characters -= 4


def _legend(figure: "Figure", entries: dict[str, Line], room: float) -> Part:
    """A legend in as many columns as fit."""
    names = wrap_all(entries, width=int(room * 10), lines=2)
    handles = [mpl_lines.Line2D([], [], label=names[name], **style) for name, style in entries.items()]
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(
            handles=handles, loc="upper left", ncols=columns, frameon=False, borderpad=0, borderaxespad=0,
            handlelength=3, columnspacing=1.5,
        )  # fmt: skip
        part = Part.of(legend)
        if columns == 1 or part.width <= room:
            break
        legend.remove()
    return part


def _boxed(artist: "Text | Legend") -> bool:
    return bool(hasattr(artist, "get_bbox_patch") and artist.get_bbox_patch())
