"""A metric over the level of each noise that was tested at several levels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.core.labels import Label
from bench.core.lazy import mpl_ticker
from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures import known
from bench.report.figures.frame import Line, framed
from bench.report.figures.quality import MOST_LOOKS
from bench.report.figures.style import Look, looks, panels, scale, themed, wide
from bench.report.figures.view import IDLE, Point, View
from bench.report.published import Beside, said
from bench.results.names import contender_names, crossed
from bench.results.noise_tests import NoiseTest
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 3  # that make a line
MOST_TRAININGS = 14  # lines of one model, of which in a panel mostly those of its noise differ
RING: Line = {"color": "black", "linestyle": "none", "marker": "o", "markersize": 10, "markerfacecolor": "none"}


def by_level(
    summaries: Sequence[Summary], metric: Measure, conditions: Conditions, published: Sequence[Beside] = ()
) -> "Figure | None":
    """The metric over the level of each noise that was tested at several levels; None where there is none.

    A line joins tests that differ in nothing but the level, in a band of confidence intervals; a ring marks the level
    of a contender's training, where contenders are tested at others too. None also for more contenders than the eye
    tells apart. published: figures to draw as lines.
    """
    title = f"{metric.title} by noise level"
    return _drawn(View(metric, tuple(summaries)), title, conditions, MOST_LOOKS, published)


def levels_of_models(
    summaries: Sequence[Summary], metric: Measure, conditions: Conditions
) -> "Iterator[tuple[str, Figure]]":
    """The same for each model on its own, beside the one that does nothing: (name, figure). For many contenders."""
    names = contender_names((summary.contender for summary in summaries), by_train_noise=False)
    for name in dict.fromkeys(names[summary.contender] for summary in summaries if summary.contender.trained):
        mine = tuple(s for s in summaries if names[s.contender] == name or s.contender.model.name == IDLE)
        title = f"{metric.title} of {name} by noise level"
        figure = _drawn(View(metric, mine, tuple(summaries)), title, conditions, MOST_TRAININGS)
        if figure is not None:
            yield name, figure


@themed()
def _drawn(
    view: View, title: str, conditions: Conditions, most: int, published: Sequence[Beside] = ()
) -> "Figure | None":
    families = _families(view.noises)
    if not families or len(view.everyone) > most:
        return None
    metric = view.metric
    styles = looks(view.trained, view.plain)
    own = _own_levels(view)
    keys = [next(iter(tests.values())).level_key for tests in families.values()]
    figure, grid = panels(
        [family.name for family in families], metric.axis_label, keys if len(set(keys)) > 1 else keys[:1]
    )
    published = known.among(published, (test.id for tests in families.values() for test in tests.values()))
    for axes, tests in zip(grid, families.values(), strict=True):
        known.by_level(axes, published, [test.id for test in tests.values()])
        for name, look in styles.items():
            _line(axes, [point for point in view.drawn(name) if point.noise in tests], tests, look)
            for point in view.drawn(name):
                if point.noise in tests and (name, point.noise) in own:
                    axes.plot(tests[point.noise].level or 0.0, point.value.mean, **RING)
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(5))
    scale(grid[0].yaxis, [*view.ends, *known.values(published)], log=wide(view.means))
    legend = {name: look.line() for name, look in styles.items() if name in view.shown}
    legend |= {"level of its training": RING} if own else {}
    legend |= known.legend(published)
    return framed(figure, title, conditions, [" ".join(filter(None, (view.remarks("Bands"), said(published))))], legend)


def _line(axes: "Axes", points: Sequence[Point], tests: Mapping[str, NoiseTest], look: Look) -> None:
    """A line through some points, in a band."""
    mine = sorted(((tests[point.noise].level or 0.0, point.value) for point in points), key=lambda pair: pair[0])
    levels, values = [level for level, _ in mine], [value for _, value in mine]
    axes.plot(levels, [value.mean for value in values], **look.line())
    low, high = [value.low for value in values], [value.high for value in values]
    axes.fill_between(levels, low, high, color=look.color, alpha=0.2, linewidth=0)


def _own_levels(view: View) -> set[tuple[str, str]]:
    """Contenders with the test noise that they were trained on, where they are tested on others too."""
    if not crossed(view.summaries):
        return set()
    own = (s for s in view.summaries if s.contender.train_noise == s.test.label)
    return {(view.names[summary.contender], view.brief[summary.test.id]) for summary in own}


def _families(noises: dict[str, NoiseTest]) -> dict[Label, dict[str, NoiseTest]]:
    """Test noises of several levels, by the names they are shown by, for each noise whatever its level."""
    found: dict[Label, dict[str, NoiseTest]] = {}
    for name, test in noises.items():
        if test.level is not None:
            found.setdefault(test.family, {})[name] = test
    return {family: tests for family, tests in found.items() if len(tests) >= LEVELS}
