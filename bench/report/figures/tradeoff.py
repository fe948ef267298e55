"""Quality against what it costs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures import known
from bench.report.figures.frame import Line, framed, nothing
from bench.report.figures.names import wrap_all
from bench.report.figures.style import looks, panels, scale, themed, wide
from bench.report.figures.view import COSTS, Point, View, first_few
from bench.report.published import Beside, said
from bench.results.costs import NOISY
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, MOST_LINES = 20, 5
FRONT: Line = {"color": "0.75", "linewidth": 4, "alpha": 0.6, "zorder": 0}


@themed()
def tradeoff(
    summaries: Sequence[Summary],
    metric: Measure,
    conditions: Conditions,
    cost: str = "parameters",
    published: Sequence[Beside] = (),
) -> "Figure":
    """The metric against a cost, a panel per test noise; models without that cost are horizontal lines.

    Where models are tested on noises they weren't trained on, only the noise of their training is shown.
    cost: one of COSTS. Behind the points lies the front, the best that each cost buys. published: figures to draw as
    lines.
    """
    title = f"{metric.title} against {COSTS[cost]}"
    view = View(metric, _own(summaries), tuple(summaries))
    sized = [point for point in view.drawn() if cost in point.costs]
    if not sized:
        return nothing(title, conditions, [view.remarks()])
    styles = looks(view.trained, view.plain)
    noises, more = first_few(view.noises, MOST_PANELS, "test noises")
    flat, further = first_few(
        dict.fromkeys(point.contender for point in view.points if cost not in point.costs),
        MOST_LINES,
        "models without this cost",
    )
    published = known.among(published, (view.noises[noise].id for noise in noises))
    titles = wrap_all(noises, 28, 2)
    figure, grid = panels([titles[noise] for noise in noises], metric.axis_label, [COSTS[cost]])
    for axes, noise in zip(grid, noises, strict=True):
        known.across(axes, published, view.noises[noise].id)
        for point in (point for point in sized if point.noise == noise):
            style = {**styles[point.contender].line(), "linestyle": "none"}
            value = point.value
            axes.errorbar(point.costs[cost], value.mean, value.half, elinewidth=1, capsize=2, **style)
        for point in view.drawn(noise=noise):
            if point.contender in flat:
                look = styles[point.contender]
                axes.axhline(point.value.mean, color=look.color, linestyle=look.dash, linewidth=1.2, zorder=1)
    costs = [point.costs[cost] for point in sized]
    scale(grid[0].xaxis, costs, log=True, room=1.5)
    for axes, noise in zip(grid, noises, strict=True):
        _front(axes, view.drawn(noise=noise), cost, metric)
    scale(grid[0].yaxis, [*view.ends, *known.values(published)], log=wide(view.means))
    legend = {name: {**styles[name].line(), "linestyle": "none"} for name in dict.fromkeys(p.contender for p in sized)}
    legend |= {name: {"color": styles[name].color, "linestyle": styles[name].dash} for name in flat}
    legend["front: nothing cheaper is as good"] = {key: FRONT[key] for key in ("color", "linewidth", "alpha")}
    legend |= known.legend(published)
    notes = [*more, *further, *_noisy(view, cost), view.remarks(), said(published)]
    return framed(figure, title, conditions, [" ".join(filter(None, notes))], legend)


def _noisy(view: View, cost: str) -> list[str]:
    """That latencies are not to be relied on, and whose."""
    busy = dict.fromkeys(view.names[s.contender] for s in view.summaries if s.cost("latency_spread") > NOISY)
    if cost != "latency_ms" or not busy:
        return []
    return [f"Latency measured on a busy machine, quartiles over {100 * NOISY:.0f} % apart: {', '.join(busy)}."]


def _front(axes: "Axes", points: Sequence[Point], cost: str, metric: Measure) -> None:
    """The best of what costs at most so much, as a line of steps through the points that make it."""
    low, high = axes.get_xlim()
    steps: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: (point.costs.get(cost, low), -metric.merit(point.value.mean))):
        if not steps or metric.merit(point.value.mean) > metric.merit(steps[-1][1]):
            steps.append((point.costs.get(cost, low), point.value.mean))
    if steps:
        costs, values = zip(*steps, (high, steps[-1][1]), strict=True)
        axes.step(costs, values, where="post", **FRONT)


def _own(summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """Those of models without a training noise, and of the others on the noise of their training; all if none is."""
    own = tuple(s for s in summaries if s.contender.train_noise in (None, s.test.label))
    return own if any(s.contender.train_noise for s in own) else tuple(summaries)
