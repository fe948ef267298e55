"""Sample pictures: original, noisy, and each model's reconstruction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bench.core.labels import Label
from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures.frame import framed, nothing
from bench.report.figures.names import wrap_all
from bench.report.figures.style import GAP, MEDIUM, SMALL, WIDTH, canvas, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 10  # pictures side by side before the models go on below


@dataclass(frozen=True)
class Column:
    """One column of a sheet. pictures: (K, 3, H, W) uint8. values: (K,) the stored metric of each, None without one."""

    head: str
    pictures: np.ndarray
    values: np.ndarray | None = None


@dataclass(frozen=True)
class Sheet:
    """A few test images under one test noise, and what the models restored.

    metric: of the values. missing: what each model without pictures lacks, `to run` or `failed`, say.
    """

    noise: Label
    metric: Measure
    original: Column
    noisy: Column
    restored: tuple[Column, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


@themed()
def samples(sheet: Sheet, conditions: Conditions) -> "Figure":
    """A row per test image; columns original, noisy, then each model's reconstruction with its stored value."""
    title = f"Test images under {sheet.noise}"
    if not len(sheet.original.pictures):
        return nothing(title, conditions, [_left_out(sheet)])
    blocks = math.ceil(max(len(sheet.restored), 1) / (ACROSS - 2))
    each = math.ceil(len(sheet.restored) / blocks)
    images = len(sheet.original.pictures)
    cell = min(1.5, max(0.95, (WIDTH - 2 * GAP) / (each + 2)))
    heads = wrap_all((column.head for column in sheet.restored), max(11, int(cell * 12)), 4)
    header = 0.2 + 0.14 * max(head.count("\n") + 1 for head in [*heads.values(), ""])
    figure = canvas(max(WIDTH, cell * (each + 2) + 2 * GAP), blocks * (images * cell + header))
    best = _best(sheet)
    for block, parts in enumerate(figure.subfigures(blocks, 1, squeeze=False).flat):
        mine = sheet.restored[block * each : (block + 1) * each]
        grid = parts.subplots(images, each + 2, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, column in enumerate((sheet.original, sheet.noisy, *mine)):
            grid[0, place].set_title(heads.get(column.head, column.head), size=MEDIUM, pad=3)
            marks = best.get(column.head, [False] * images)
            _column(grid[:, place], column, sheet.metric, marks)
    return framed(figure, title, conditions, [_note(sheet)], pad=0.03)


def _note(sheet: Sheet) -> str:
    number = f"Number on a picture: its {sheet.metric.title} as in the tables"
    explained = f"{number}; black on white: the best of its row." if _best(sheet) else f"{number}."
    return f"{explained} {_left_out(sheet)}".rstrip()


def _left_out(sheet: Sheet) -> str:
    """Which models are not shown and why; empty where all are."""
    reasons = dict.fromkeys(sheet.missing.values())
    names = [(", ".join(name for name, why in sheet.missing.items() if why == reason), reason) for reason in reasons]
    return f"Not shown: {'; '.join(f'{who} ({why})' for who, why in names)}." if names else ""


def _best(sheet: Sheet) -> Mapping[str, list[bool]]:
    """For each reconstruction, on which images it is the best; empty while another one is to come."""
    if "to run" in sheet.missing.values():
        return {}
    valued = [(column.head, column.values) for column in sheet.restored if column.values is not None]
    if not valued:
        return {}
    marks = [sheet.metric.best([float(value) for value in row]) for row in np.array([v for _, v in valued]).T]
    return {head: [row[place] for row in marks] for place, (head, _) in enumerate(valued)}


def _column(grid: "Sequence[Axes]", column: Column, metric: Measure, marks: Sequence[bool]) -> None:
    for row, axes in enumerate(grid):
        axes.imshow(column.pictures[row].transpose(1, 2, 0), interpolation="nearest")
        if column.values is not None:
            _badge(axes, float(column.values[row]), metric, marks[row])


def _badge(axes: "Axes", value: float, metric: Measure, best: bool) -> None:
    shown = f"{value:.1f}" if metric.unit == "dB" else f"{value:.3g}"
    text = "exact" if np.isposinf(value) else f"{shown} {metric.unit}".rstrip() if np.isfinite(value) else "no value"
    ink, paper = ("black", "white") if best else ("white", "black")
    axes.text(
        0.04, 0.04, text, transform=axes.transAxes, size=SMALL, color=ink, ha="left", va="bottom",
        weight="bold" if best else "normal",
        bbox={"facecolor": paper, "alpha": 1 if best else 0.65, "edgecolor": "none", "boxstyle": "square,pad=0.2"},
    )  # fmt: skip
