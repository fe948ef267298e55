"""Pictures: original, noisy, and what each model makes of it."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.report.figures.names import short, wrap_all
from bench.report.figures.style import GAP, MEDIUM, SMALL, WIDTH, canvas, framed, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 10  # pictures side by side before the models go on below


@dataclass(frozen=True)
class Samples:
    """A few test images under one test noise.

    original, noisy: (K, 3, H, W) uint8. noisy_psnr: (K,) dB.
    reconstructions: model -> (K, 3, H, W) uint8. psnr: model -> (K,) dB against the original.
    """

    test_noise: str
    original: np.ndarray
    noisy: np.ndarray
    noisy_psnr: np.ndarray
    reconstructions: dict[str, np.ndarray]
    psnr: dict[str, np.ndarray]


@themed()
def samples(sheet: Samples, caption: str) -> "Figure":
    """A row per test image; columns original, noisy, then each model's reconstruction, its PSNR on the picture."""
    names = short(sheet.reconstructions)
    models = list(sheet.reconstructions)
    blocks = math.ceil(max(len(models), 1) / (ACROSS - 2))
    each = math.ceil(len(models) / blocks)
    images = len(sheet.original)
    cell = min(1.5, max(0.95, (WIDTH - 2 * GAP) / (each + 2)))
    heads = wrap_all(names.values(), max(11, int(cell * 12)), 4)
    header = 0.2 + 0.14 * max(head.count("\n") + 1 for head in [*heads.values(), ""])
    figure = canvas(max(WIDTH, cell * (each + 2) + 2 * GAP), blocks * (images * cell + header))
    for block, parts in enumerate(figure.subfigures(blocks, 1, squeeze=False).flat):
        mine = models[block * each : (block + 1) * each]
        grid = parts.subplots(images, each + 2, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        columns = [("original", sheet.original, None), ("noisy", sheet.noisy, sheet.noisy_psnr)]
        columns += [(heads[names[model]], sheet.reconstructions[model], sheet.psnr[model]) for model in mine]
        for column, (head, pictures, psnr) in enumerate(columns):
            grid[0, column].set_title(head, size=MEDIUM, pad=3)
            for row in range(images):
                _picture(grid[row, column], pictures[row])
                if psnr is not None:
                    best = column > 1 and psnr[row] == max(float(sheet.psnr[model][row]) for model in models)
                    _badge(grid[row, column], float(psnr[row]), best)
    notes = ["Number on a picture: its PSNR against the original; black on white: the best of its row."]
    return framed(figure, f"Test images under {sheet.test_noise}", caption, notes, pad=0.03)


def _picture(axes: "Axes", image: np.ndarray) -> None:
    axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")


def _badge(axes: "Axes", psnr: float, best: bool) -> None:
    text = "exact" if np.isposinf(psnr) else f"{psnr:.1f} dB" if np.isfinite(psnr) else "no value"
    ink, paper = ("black", "white") if best else ("white", "black")
    axes.text(
        0.04, 0.04, text, transform=axes.transAxes, size=SMALL, color=ink, ha="left", va="bottom",
        weight="bold" if best else "normal",
        bbox={"facecolor": paper, "alpha": 1 if best else 0.65, "edgecolor": "none", "boxstyle": "square,pad=0.2"},
    )  # fmt: skip
