"""Quality against size."""

from typing import TYPE_CHECKING

from bench.figures.names import fitted, short
from bench.figures.style import axis_label, framed, looks, nothing, panels, scale, themed
from bench.figures.tidy import cleaned, contenders, first_few, in_order, over_seeds, remarks

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from bench.metrics import Metric

MOST_PANELS, MOST_LINES = 20, 5


@themed()
def tradeoff(rows: "pandas.DataFrame", metric: "Metric", caption: str) -> "Figure":
    """The metric against the number of parameters, a panel per test noise; models without any are horizontal lines.

    rows: results.csv. Where models meet noises they weren't trained on, only the noise of their training is shown.
    """
    rows = cleaned(rows)
    title = f"{metric.title} against number of parameters"
    own = rows[(rows["train_noise"] == "") | (rows["train_noise"] == rows["test_noise"])]
    rows = own if (own["train_noise"] != "").any() else rows
    table = over_seeds(rows, metric.column)
    if table.empty or not (table["parameters"] > 0).any():
        return nothing(title, caption, remarks(rows, metric.column))
    trained, plain = in_order(rows, contenders(rows))
    styles = looks(trained, plain)
    noises, more = first_few(table["test_noise"].unique(), MOST_PANELS, "test noises")
    sized = table[table["parameters"] > 0]
    without = table.loc[~(table["parameters"] > 0), "contender"].unique()
    names, further = first_few(without, MOST_LINES, "models without parameters")
    figure, grid = panels(len(noises), "parameters", axis_label(metric))
    titles = fitted(short(noises, keep=1).values(), 28, 2)
    for axes, noise in zip(grid, short(noises, keep=1).items(), strict=True):
        for _, point in sized[sized["test_noise"] == noise[0]].iterrows():
            style = {**styles[point["contender"]].line(), "linestyle": "none"}
            axes.errorbar(point["parameters"], point["mean"], _half(point["half"]), elinewidth=1, capsize=2, **style)
        for _, line in table[(table["test_noise"] == noise[0]) & table["contender"].isin(names)].iterrows():
            look = styles[line["contender"]]
            axes.axhline(line["mean"], color=look.color, linestyle=look.dash, linewidth=1.2, zorder=1)
        axes.set_title(titles[noise[1]])
    scale(grid[0].xaxis, sized["parameters"], log=True)
    scale(grid[0].yaxis, table["mean"])
    legend = {name: {**styles[name].line(), "linestyle": "none"} for name in dict.fromkeys(sized["contender"])}
    legend |= {name: {"color": styles[name].color, "linestyle": styles[name].dash} for name in names}
    return framed(figure, title, caption, [" ".join([*more, *further, *remarks(rows, metric.column)])], legend)


def _half(width: float) -> float:
    return width if width > 0 else 0.0
