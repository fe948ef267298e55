"""Loss by epoch."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.core.lazy import mpl_ticker, pandas
from bench.report.conditions import Conditions
from bench.report.figures.frame import framed, nothing
from bench.report.figures.names import wrap_all
from bench.report.figures.style import looks, panels, scale, themed
from bench.report.figures.view import first_few
from bench.results.names import contender_names, short_noises
from bench.results.noise_tests import NoiseTest
from bench.results.records import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.report.figures.style import Look

MOST_PANELS, MOST_LINES = 24, 16
KINDS = {"validation_loss": "validation", "train_loss": "training"}
DASHED = (0, (2, 1.2))


@themed()
def loss_curves(histories: Sequence[History], conditions: Conditions, tests: Iterable[NoiseTest] = ()) -> "Figure":
    """Training and validation loss by epoch: a panel per training noise, a colour and marker per model.

    The losses are the objective's own, per element with pixels in [0, 1]. Seeds are averaged, bands show their range.
    tests: on what else noises must be told apart.
    """
    losses = _frame(histories, tests)
    finite = losses[[*KINDS]].map(np.isfinite)
    lost = int((losses[[*KINDS]].notna() & ~finite).sum().sum() + losses["train_loss"].isna().sum())
    shown = losses[finite.any(axis=1)]
    notes = [f"{lost} losses not finite, left out."] if lost else []
    if shown.empty:
        return nothing("Loss by epoch", conditions, notes)
    noises, more = first_few(shown["noise"].unique(), MOST_PANELS, "training noises")
    names, further = first_few(shown["contender"].unique(), MOST_LINES, "models")
    styles = looks(names)
    titles = wrap_all(noises, 28, 2)
    figure, grid = panels([titles[noise] for noise in noises], "loss (pixels in [0, 1])", ["epoch"])
    for axes, noise in zip(grid, noises, strict=True):
        for number, name in enumerate(names):
            mine = shown[(shown["noise"] == noise) & (shown["contender"] == name)]
            _curves(axes, mine, styles[name], number)
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(4, integer=True))
    values = shown[[*KINDS]].to_numpy(dtype=float)
    scale(grid[0].yaxis, values.ravel(), log=bool((values[np.isfinite(values)] > 0).all()))
    legend = {name: {**styles[name].line(), "linestyle": "-"} for name in names}
    legend["validation"] = {"color": "black", "linestyle": "-"}
    legend["training"] = {"color": "black", "linestyle": DASHED, "linewidth": 1}
    seeds = shown["seed"].nunique()
    spread = f"Means over up to {seeds} seeds; bands: their range." if seeds > 1 else "One seed."
    return framed(figure, "Loss by epoch", conditions, [" ".join([*more, *further, spread, *notes])], legend)


def _frame(histories: Sequence[History], tests: Iterable[NoiseTest]) -> "pandas.DataFrame":
    """A row per epoch of every training: contender, noise, seed, epoch and both losses, NaN where there is none."""
    names = contender_names((history.contender for history in histories), by_train_noise=False)
    noises = short_noises((history.contender for history in histories), tests)
    rows = [
        {
            "contender": names[history.contender],
            "noise": str(noises[noise]) if (noise := history.contender.train_noise) else "clean images",
            "seed": history.seed,
            "epoch": epoch.epoch,
            "train_loss": epoch.train_loss,
            "validation_loss": np.nan if epoch.validation_loss is None else epoch.validation_loss,
        }
        for history in histories
        for epoch in history.epochs
    ]
    columns = ["contender", "noise", "seed", "epoch", *reversed(KINDS)]
    return pandas.DataFrame(rows, columns=columns).astype(dict.fromkeys(KINDS, "float64"))


def _curves(axes: "Axes", mine: "pandas.DataFrame", look: "Look", number: int) -> None:
    for kind in KINDS:
        line = mine.replace([np.inf, -np.inf], np.nan).dropna(subset=[kind]).groupby("epoch")[kind]
        if not len(line):
            continue
        table = line.agg(["mean", "min", "max"])
        axes.fill_between(table.index, table["min"], table["max"], color=look.color, alpha=0.15, linewidth=0)
        if kind == "train_loss":
            axes.plot(table.index, table["mean"], color=look.color, linestyle=DASHED, linewidth=1)
        else:
            style = {**look.line(), "linestyle": "-", "markersize": 4.5}
            step = max(1, len(table) // 8)  # markers of different models stand at different epochs, not on one another
            axes.plot(table.index, table["mean"], markevery=(number % step, step), **style)
