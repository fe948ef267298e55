"""Quality against size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures.frame import framed, nothing
from bench.report.figures.names import wrap_all
from bench.report.figures.style import looks, panels, scale, themed, wide
from bench.report.figures.view import View, first_few
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS, MOST_LINES = 20, 5


@themed()
def tradeoff(summaries: Sequence[Summary], metric: Measure, conditions: Conditions) -> "Figure":
    """The metric against the number of parameters, a panel per test noise; models without any are horizontal lines.

    Where models are tested on noises they weren't trained on, only the noise of their training is shown.
    """
    title = f"{metric.title} against number of parameters"
    view = View(metric, _own(summaries), tuple(summaries))
    sized = [point for point in view.drawn() if point.parameters]
    if not sized:
        return nothing(title, conditions, [view.remarks()])
    styles = looks(view.trained, view.plain)
    noises, more = first_few(view.noises, MOST_PANELS, "test noises")
    flat, further = first_few(
        dict.fromkeys(point.contender for point in view.points if not point.parameters),
        MOST_LINES,
        "models without parameters",
    )
    titles = wrap_all(noises, 28, 2)
    figure, grid = panels([titles[noise] for noise in noises], metric.axis_label, ["parameters"])
    for axes, noise in zip(grid, noises, strict=True):
        for point in (point for point in sized if point.noise == noise):
            style = {**styles[point.contender].line(), "linestyle": "none"}
            value = point.value
            axes.errorbar(point.parameters, value.mean, value.half, elinewidth=1, capsize=2, **style)
        for point in view.drawn(noise=noise):
            if point.contender in flat:
                look = styles[point.contender]
                axes.axhline(point.value.mean, color=look.color, linestyle=look.dash, linewidth=1.2, zorder=1)
    scale(grid[0].xaxis, [point.parameters for point in sized], log=True, room=1.5)
    scale(grid[0].yaxis, view.ends, log=wide(view.means))
    legend = {name: {**styles[name].line(), "linestyle": "none"} for name in dict.fromkeys(p.contender for p in sized)}
    legend |= {name: {"color": styles[name].color, "linestyle": styles[name].dash} for name in flat}
    return framed(figure, title, conditions, [" ".join([*more, *further, view.remarks()])], legend)


def _own(summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """Those of models without a training noise, and of the others on the noise of their training; all if none is."""
    own = tuple(s for s in summaries if s.contender.train_noise in (None, s.test.label))
    return own if any(s.contender.train_noise for s in own) else tuple(summaries)
