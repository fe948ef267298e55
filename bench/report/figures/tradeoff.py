"""Quality against size."""

from typing import TYPE_CHECKING

from bench.report.figures.names import short, wrap_all
from bench.report.figures.style import axis_label, framed, looks, nothing, panels, scale, themed, wide
from bench.report.figures.tidy import cleaned, contenders, ends, first_few, in_order, over_seeds, remarks, tested

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
    noises, more = first_few(tested(rows, table), MOST_PANELS, "test noises")
    sized = table[table["parameters"] > 0]
    without = table.loc[~(table["parameters"] > 0), "contender"].unique()
    names, further = first_few(without, MOST_LINES, "models without parameters")
    brief = short(noises, keep=1)
    titles = wrap_all(brief.values(), 28, 2)
    figure, grid = panels([titles[brief[noise]] for noise in noises], axis_label(metric), ["parameters"])
    for axes, noise in zip(grid, noises, strict=True):
        for _, point in sized[sized["test_noise"] == noise].iterrows():
            style = {**styles[point["contender"]].line(), "linestyle": "none"}
            axes.errorbar(point["parameters"], point["mean"], point["half"], elinewidth=1, capsize=2, **style)
        for _, line in table[(table["test_noise"] == noise) & table["contender"].isin(names)].iterrows():
            look = styles[line["contender"]]
            axes.axhline(line["mean"], color=look.color, linestyle=look.dash, linewidth=1.2, zorder=1)
    scale(grid[0].xaxis, sized["parameters"], log=True, room=1.5)
    scale(grid[0].yaxis, ends(table), log=wide(table["mean"]))
    legend = {name: {**styles[name].line(), "linestyle": "none"} for name in dict.fromkeys(sized["contender"])}
    legend |= {name: {"color": styles[name].color, "linestyle": styles[name].dash} for name in names}
    return framed(figure, title, caption, [" ".join([*more, *further, *remarks(rows, metric.column)])], legend)
