"""Figures: from rows to pictures. Nothing here trains, reads or writes a file."""

import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bench.core.lazy import matplotlib
from bench.report.figures.curves import loss_curves
from bench.report.figures.names import short
from bench.report.figures.quality import by_level, quality
from bench.report.figures.samples import Samples, samples
from bench.report.figures.style import DPI
from bench.report.figures.tidy import cleaned, contenders
from bench.report.figures.tradeoff import tradeoff

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from bench.metrics import Metric

__all__ = [
    "Samples",
    "by_level",
    "cleaned",
    "contenders",
    "encoded",
    "everything",
    "loss_curves",
    "quality",
    "samples",
    "short",
    "tradeoff",
]


def everything(
    rows: "pandas.DataFrame",
    history: "pandas.DataFrame",
    sheets: Iterable[Samples],
    metrics: Iterable["Metric"],
    caption: str,
) -> "Iterator[tuple[str, Figure]]":
    """What a results folder gets: (file stem, figure), one at a time, PSNR first.

    rows: results.csv. history: the histories of all cells, see loss_curves. caption: the conditions, below each figure.
    """
    chosen = sorted(metrics, key=lambda metric: metric.column != "psnr")
    for metric in chosen:
        yield f"{_safe(metric.column)}_by_noise", quality(rows, metric, caption)
        levels = by_level(rows, metric, caption)
        if levels is not None:
            yield f"{_safe(metric.column)}_by_level", levels
    for number, sheet in enumerate(sheets, 1):
        yield f"samples_{number:02d}_{_safe(sheet.test_noise.split('(')[0])}", samples(sheet, caption)
    if len(history):
        yield "loss_curves", loss_curves(_with_settings(history, rows), caption)
    for metric in chosen[:1]:
        yield f"{_safe(metric.column)}_by_parameters", tradeoff(rows, metric, caption)


def encoded(figure: "Figure", kind: str) -> bytes:
    """A figure as the bytes of a file, the same for the same figure. kind: `png` (150 dpi) or `svg`."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "bench", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def _with_settings(history: "pandas.DataFrame", rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """The history with the varied settings of each cell, which tell its lines apart."""
    settings = [key for key in rows.columns if key.startswith("train.") and key not in history.columns]
    if not settings:
        return history
    return history.merge(rows[["cell", *settings]].drop_duplicates("cell"), on="cell", how="left")
