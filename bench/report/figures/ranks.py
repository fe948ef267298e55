"""The ranks that each contender may have on each test noise, and who can't be told from the best."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.core.lazy import pandas, seaborn
from bench.metrics import Measure
from bench.report.conditions import Conditions
from bench.report.figures.frame import framed
from bench.report.figures.names import wrap_all
from bench.report.figures.quality import MOST_COLUMNS, MOST_ROWS, beneath
from bench.report.figures.style import MEDIUM, WIDTH, canvas, themed
from bench.report.figures.view import View, first_few
from bench.results.summary import Standing, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADES = ["#ffffff", "#e3edf5", "#9fc3de"]  # of contenders behind the best, those that can't be told from it, and it
STYLES: list[dict[str, Any]] = [{}, {"fontstyle": "italic"}, {"fontweight": "bold"}]
BEST = "Dark and bold: the best"
TIED = "; light and italic: what can't be told from it"
RANGE = " 1-3: its rank may be any of these."
COMPARED = (
    "All pairs of a test noise are compared, images paired and seeds not, corrected by Holm at 5 %; trainings of one "
    "seed by their images."
)


@themed()
def ranks(summaries: Sequence[Summary], metric: Measure, conditions: Conditions) -> "Figure | None":
    """A row per contender and a column per test noise; None where there are no standings of at least two."""
    view = View(metric, tuple(summaries))
    found: dict[tuple[str, str], Standing] = {
        (view.names[s.contender], view.brief[s.test.id]): s.standing for s in summaries if s.standing
    }
    names = [name for name in view.everyone if any(name == who for who, _ in found)]
    if len(names) < 2:
        return None
    shown, more = first_few(names, MOST_ROWS, "contenders")
    noises, further = first_few([n for n in view.tests if any(n == on for _, on in found)], MOST_COLUMNS, "test noises")
    marks = {(point.contender, on): 2 for on in noises for point in view.best(on)}
    marks |= {(point.contender, on): 1 for on in noises for point in view.tied(on)}
    marked = pandas.DataFrame([[marks.get((who, on), 0) for on in noises] for who in shown])
    texts = pandas.DataFrame([[_text(found.get((who, on))) for on in noises] for who in shown])
    labels = wrap_all(shown, 60, 1)
    margin = 1.2 + 0.075 * max(map(len, labels.values()))
    cell = max(0.52, (WIDTH - margin) / len(noises))
    across, columns = beneath(noises, cell)
    figure = canvas(margin + cell * len(noises), 0.24 * len(shown) + (0.5 if across else 1.9))
    axes = figure.subplots()
    seaborn.heatmap(
        marked, ax=axes, annot=texts, fmt="", cmap=SHADES, vmin=0, vmax=2, cbar=False, linewidths=0.8, linecolor="0.85",
        annot_kws={"size": MEDIUM, "color": "black"},
    )  # fmt: skip
    for text, mark in zip(axes.texts, marked.to_numpy().ravel(), strict=True):
        text.set(**STYLES[mark])
    axes.set_xticklabels(columns, rotation=0 if across else 90)
    axes.set_yticklabels(list(labels.values()), rotation=0)
    axes.grid(visible=False)
    ranges = RANGE if any(standing.first < standing.last for standing in found.values()) else ""
    note = f"{BEST}{TIED if 1 in marks.values() else ''}.{ranges} {COMPARED}"
    return framed(figure, f"Ranks by {metric.title}", conditions, [" ".join([note, *more, *further])])


def _text(standing: Standing | None) -> str:
    if standing is None:
        return "-"
    return str(standing.first) if standing.first == standing.last else f"{standing.first}-{standing.last}"
