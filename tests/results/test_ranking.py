"""Who is the best, and where nobody is; the same in table, figure, page and terminal."""

import numpy as np
import pytest

from bench.core.labels import Label
from bench.metrics import Average
from bench.report import figures
from bench.report.figures.view import View
from bench.results.ranking import Ranking, counted_text, rank
from bench.results.records import PlannedCell, ResultRow
from bench.results.summary import Counts, Summary, summarise
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, METRICS, MSE, PSNR

NOISE = "salt_and_pepper(p=0.02)"
EXACT = np.array([np.inf] * 15 + [21.61] * 45)  # as measured: fewer errors in the mean, more where there are any
STEADY = np.full(60, 24.96)


def summaries(**scores: np.ndarray) -> list[Summary]:
    """One contender per argument, with its PSNR of each image."""
    found: list[ResultRow] = []
    for model, psnr in scores.items():
        cell = PlannedCell(model, made_up.contender(model), None, "", (made_up.noise_test(NOISE),))
        averages = {"psnr": PSNR.summary(psnr), "mse": MSE.summary(10 ** (-psnr / 10))}
        found.append(ResultRow(cell, cell.tests[0], "scored", n_images=len(psnr), averages=averages))
    return summarise(found, METRICS)


def ranking(**scores: np.ndarray) -> Ranking:
    return rank(summaries(**scores), PSNR)[NOISE]


def names(found: tuple[Summary, ...]) -> list[str]:
    return [str(summary.contender.model) for summary in found]


def test_where_the_ceiling_and_the_error_disagree_nobody_is_the_best() -> None:
    found = ranking(identity=EXACT, median=STEADY)
    assert (names(found.best), names(found.rivals)) == (["identity"], ["median"])
    assert found.dispute(lambda who: str(who.model)) == (
        "identity has the best mean PSNR (31.21 dB, 15 of 60 exact, counted as 60 dB), median the lowest mean squared "
        "error (0.00319 against 0.00518)"
    )


def test_where_they_agree_or_nothing_is_exact_there_is_one_best() -> None:
    assert names(ranking(identity=EXACT, median=STEADY - 10).ahead) == ["identity"]
    uneven = np.array([40.0] * 20 + [21.0] * 40)  # a higher mean PSNR with a larger error, and no image exact
    assert names(ranking(uneven=uneven, steady=STEADY).ahead) == ["uneven"]


def test_a_dispute_whose_best_has_no_exact_image_says_its_value_alone() -> None:
    found = ranking(
        uneven=np.array([49.0] * 20 + [21.0] * 40), steady=STEADY, exact=np.array([np.inf] * 5 + [15.0] * 55)
    )
    assert names(found.best) == ["uneven"] and names(found.rivals) == ["steady"]
    assert found.dispute(lambda who: str(who.model)).startswith("uneven has the best mean PSNR (30.33 dB), steady the")


def test_perfect_is_above_every_number() -> None:
    found = ranking(perfect=np.full(5, np.inf), close=np.full(5, 90.0))
    assert names(found.ahead) == ["perfect"] and not found.rivals


def test_table_figure_and_page_mark_the_same() -> None:
    given = summaries(identity=EXACT, median=STEADY)
    view = View(PSNR, tuple(given))
    name = view.brief[NOISE]
    assert [point.contender for point in view.best(name)] == ["identity", "median"]
    assert list(view.disputes) == [name]
    figure = figures.quality(given, PSNR, CAPTION)
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "no single best:\nidentity or median" in written
    assert not any(text.startswith("best:") for text in written)
    assert Label.parse(NOISE) == given[0].test.label


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(60, 0, 0), ""),
        (Counts(60, 44, 44), "44 of 60 exact, counted as 60 dB"),
        (Counts(60, 44, 46), "44 of 60 exact and 2 more beyond 60 dB, counted as 60 dB"),
        (Counts(60, 0, 2), "2 of 60 beyond 60 dB, counted as 60 dB"),
        (Average(np.inf, 0, 60, 60, 60), "60 of 60 exact"),
        (None, ""),
    ],
)
def test_rows_with_exact_images_say_how_many(counts: Counts | Average | None, text: str) -> None:
    assert counted_text(counts, PSNR) == text
