"""Figures of comparisons show the rows they are given, and say what they are."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.core.labels import Label
from bench.report.figures import encoded
from bench.report.figures.changes import MOST_PANELS, MOST_ROWS, changes, per_image
from bench.results.comparison import Comparison
from bench.results.verdicts import Change, Decision, Difference, Key, Rule, Verdict
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, MSE, PSNR

VERDICTS: tuple[Verdict, ...] = ("worse", "better", "same", "undecided")


def comparison(count: int, metric: str = "psnr", failed: int = 0) -> Comparison:
    """Rows of changes from -1 upwards; some failed in B."""
    draw, gate, rows = np.random.default_rng(0), {"psnr": PSNR, "mse": MSE}[metric], []
    for number in range(count):
        change = number / count - 1
        noise = f"gaussian(sigma={number})"
        key = Key(made_up.contender("conv", "denoise", noise), Label.parse(noise))
        a, lost = draw.normal(25, 3, 50), number < failed
        found = Change(25, 25 + change, math.nan if lost else change, change - 0.1, change + 0.1)
        rows.append(
            Difference(
                key,
                3,
                3,
                {metric: found},
                "worse" if lost else VERDICTS[number % 4],
                "",
                decision=Decision(change - 0.2, change + 0.2, 0.99),
                images=np.empty(0) if lost else np.array([a, a + change]),
            )
        )
    return Comparison(tuple(rows), (gate,), Rule(gate, 0.1), made_up.plan(made_up.rows()))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_worst_row_stands_first_with_both_intervals() -> None:
    (axes,) = (figure := changes(comparison(4), CAPTION)).axes
    assert axes.get_yticklabels()[0].get_text() == "conv · gaussian 0"
    assert texts(figure) == ["-1.00 dB, worse", "-0.75 dB, better", "-0.50 dB, same", "-0.25 dB, undecided"]
    spans = [tuple(segment[:, 0]) for lines in axes.collections for segment in lines.get_segments()]  # type: ignore[attr-defined]
    assert spans[:2] == [(-1.2, -0.8), (-1.1, -0.9)]
    assert figure.get_label() == "Change of PSNR, the worst row first"


def test_where_lower_is_better_the_greatest_change_is_the_worst() -> None:
    figure = changes(comparison(4, "mse"), CAPTION)
    assert figure.axes[0].get_yticklabels()[0].get_text() == "conv · gaussian 3"
    bound = figure.axes[0].lines[-1].get_xdata()
    assert list(bound) == [0.1, 0.1]  # type: ignore[arg-type]


def test_every_image_is_a_point_and_the_title_counts_the_worse_ones() -> None:
    figure = per_image(comparison(2), CAPTION)
    assert figure and all("worse on 100 % of images" in axes.get_title() for axes in figure.axes)
    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes] == [50, 50]  # type: ignore[arg-type]


def test_many_rows_are_cut_and_that_is_said() -> None:
    many = comparison(60, failed=1)
    for figure, most in ((changes(many, CAPTION), MOST_ROWS), (per_image(many, CAPTION), MOST_PANELS)):
        assert figure and any(f"The first {most} of" in text.get_text() for text in figure.texts)
        assert encoded(figure, "png").startswith(b"\x89PNG")


def test_without_images_there_is_no_scatter() -> None:
    assert per_image(comparison(2, failed=2), CAPTION) is None


@pytest.mark.filterwarnings("error")
def test_rows_that_failed_come_first_and_draw() -> None:
    figure = changes(comparison(3, failed=1), CAPTION)
    assert texts(figure)[0] == "- dB, worse"
