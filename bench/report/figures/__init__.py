"""Figures: from typed results to pictures. Nothing here trains, reads or writes a file."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures.curves import loss_curves
from bench.report.figures.levels import by_level, levels_of_models
from bench.report.figures.matrix import matrices
from bench.report.figures.quality import quality
from bench.report.figures.ranks import ranks
from bench.report.figures.samples import Column, Sheet, samples
from bench.report.figures.style import DARK_INK, DARK_PAPER, DPI, settings
from bench.report.figures.tradeoff import tradeoff
from bench.report.figures.view import COSTS
from bench.report.published import METRIC, Beside
from bench.results.records import History
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Column",
    "Sheet",
    "by_level",
    "darken",
    "encoded",
    "everything",
    "levels_of_models",
    "loss_curves",
    "matrices",
    "photographic",
    "quality",
    "ranks",
    "samples",
    "tradeoff",
]


def everything(
    summaries: Sequence[Summary],
    histories: Sequence[History],
    sheets: Iterable[Sheet],
    metrics: Sequence[Measure],
    conditions: Conditions,
    published: Sequence[Beside] = (),
) -> "Iterator[tuple[str, Figure]]":
    """The figures of a results folder: (file stem, figure), one at a time.

    metrics: the leading one first. published: figures to stand beside, drawn where PSNR is.
    """
    for metric in metrics:
        lines = published if metric.column == METRIC else ()
        yield f"{_safe(metric.column)}_by_noise", quality(summaries, metric, conditions, lines)
        levels = by_level(summaries, metric, conditions, lines)
        if levels is not None:
            yield f"{_safe(metric.column)}_by_level", levels
        elif metric is metrics[0]:
            for name, figure in levels_of_models(summaries, metric, conditions):
                yield f"{_safe(metric.column)}_by_level_{_safe(name)}", figure
    for metric in metrics[:1]:
        for kind, figure in matrices(summaries, metric, conditions):
            yield f"{_safe(metric.column)}_{kind}", figure
        places = ranks(summaries, metric, conditions)
        if places is not None:
            yield f"{_safe(metric.column)}_ranks", places
    for number, sheet in enumerate(sheets, 1):
        yield f"samples_{number:02d}_{_safe(sheet.noise.name)}", samples(sheet, conditions)
    if histories:
        yield "loss_curves", loss_curves(histories, conditions, [summary.test for summary in summaries])
    for metric in metrics[:1]:
        for cost in COSTS:
            if cost == "parameters" or any(summary.cost(cost) > 0 for summary in summaries):
                lines = published if metric.column == METRIC else ()
                yield f"{_safe(metric.column)}_by_{cost}", tradeoff(summaries, metric, conditions, cost, lines)


def encoded(figure: "Figure", kind: str) -> bytes:
    """A figure as the bytes of a file, the same for the same figure. kind: `png` (150 dpi) or `svg`."""
    buffer = io.BytesIO()
    with settings({"svg.hashsalt": "bench", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def darken(figure: "Figure") -> None:
    """Light text on a dark ground, for figures of photographs, whose own colours must stay."""
    figure.set_facecolor(DARK_PAPER)
    texts: list[Any] = figure.findobj(lambda artist: hasattr(artist, "get_bbox_patch"))
    for text in texts:
        if not text.get_bbox_patch():
            text.set_color(DARK_INK)


def photographic(figure: "Figure") -> bool:
    """Whether it shows photographs: other figures can be inverted."""
    return any(axes.images for axes in figure.axes)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
