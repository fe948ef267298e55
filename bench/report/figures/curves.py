"""Loss by epoch."""

from typing import TYPE_CHECKING

import numpy as np

from bench.core.lazy import mpl_ticker, pandas
from bench.report.figures.names import short, wrap_all
from bench.report.figures.style import framed, looks, nothing, panels, scale, themed
from bench.report.figures.tidy import cleaned, contenders, first_few

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.report.figures.style import Look

MOST_PANELS, MOST_LINES = 24, 16
KINDS = {"validation_loss": "validation", "train_loss": "training"}


@themed()
def loss_curves(history: "pandas.DataFrame", caption: str) -> "Figure":
    """Training and validation loss by epoch: a panel per training noise, a colour and marker per model.

    history: columns cell, model, objective, train_noise, seed, epoch, train_loss, validation_loss; the losses are the
    objective's own, per element with pixels in [0, 1]. Seeds are averaged, bands show their range.
    """
    history = cleaned(history)
    history["contender"] = contenders(history, by_train_noise=False)
    finite = history[[*KINDS]].apply(pandas.to_numeric, errors="coerce").map(np.isfinite)
    shown = history[finite.any(axis=1)]
    notes = [f"{int((~finite).sum().sum())} losses not finite, left out."] if not finite.all().all() else []
    if shown.empty:
        return nothing("Loss by epoch", caption, notes)
    noises, more = first_few(shown["train_noise"].unique(), MOST_PANELS, "training noises")
    names, further = first_few(shown["contender"].unique(), MOST_LINES, "models")
    styles = looks(names)
    brief = short(noises, keep=1)
    titles = wrap_all(brief.values(), 28, 2)
    heads = [titles[brief[noise]] if noise else "clean images" for noise in noises]
    figure, grid = panels(heads, "loss (pixels in [0, 1])", ["epoch"])
    for axes, noise in zip(grid, noises, strict=True):
        for number, name in enumerate(names):
            mine = shown[(shown["train_noise"] == noise) & (shown["contender"] == name)]
            _curves(axes, mine, styles[name], number)
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(4, integer=True))
    losses = shown[[*KINDS]].to_numpy(dtype=float)
    positive = bool((losses[np.isfinite(losses)] > 0).all())
    scale(grid[0].yaxis, losses.ravel(), log=positive)
    legend = {name: {**styles[name].line(), "linestyle": "-"} for name in names}
    legend["validation"] = {"color": "black", "linestyle": "-"}
    legend["training"] = {"color": "black", "linestyle": (0, (2, 1.2)), "linewidth": 1}
    seeds = shown["seed"].nunique()
    spread = f"Mean over up to {seeds} seeds; bands: their range." if seeds > 1 else "One seed."
    return framed(figure, "Loss by epoch", caption, [" ".join([*more, *further, spread, *notes])], legend)


def _curves(axes: "Axes", mine: "pandas.DataFrame", look: "Look", number: int) -> None:
    for kind in KINDS:
        line = mine.replace([np.inf, -np.inf], np.nan).dropna(subset=[kind]).groupby("epoch")[kind]
        if not len(line):
            continue
        table = line.agg(["mean", "min", "max"])
        axes.fill_between(table.index, table["min"], table["max"], color=look.color, alpha=0.15, linewidth=0)
        if kind == "train_loss":
            axes.plot(table.index, table["mean"], color=look.color, linestyle=(0, (2, 1.2)), linewidth=1)
        else:
            style = {**look.line(), "linestyle": "-", "markersize": 4.5}
            step = max(1, len(table) // 8)  # markers of different models stand at different epochs, not on one another
            axes.plot(table.index, table["mean"], markevery=(number % step, step), **style)
