"""Intervals against scipy."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import optimize, stats

from bench.metrics import Average
from bench.results.statistics.means import Interval, interval, student
from tests.helpers.made_up import PSNR


@cache
def quantile(freedom: int) -> float:
    """Student's t by the probability beyond it, which every SciPy has exactly; `t.ppf` was good to nine digits only."""
    return float(optimize.brentq(lambda t: 2 * stats.t.sf(t, freedom) - 0.05, 1, 13, xtol=1e-13))


values = some.floats(-100, 59).map(lambda value: round(value, 6))


def seeds(*means: float, deviation: float = 1.0, n: int = 10) -> list[Average]:
    """An average per seed."""
    return [Average(mean, deviation, n) for mean in means]


def ends(found: Interval) -> tuple[float, float]:
    return found.low, found.high


@given(some.lists(values, min_size=2, max_size=30).filter(lambda found: np.std(found) > 1e-6))
def test_the_interval_over_seeds_is_students(means: list[float]) -> None:
    centre, half = np.mean(means), quantile(len(means) - 1) * stats.sem(means)
    found = interval(PSNR, seeds(*means))
    assert ends(found) == pytest.approx((centre - half, centre + half), rel=1e-9, abs=1e-9)
    assert found.over == "seeds"


@pytest.mark.parametrize("freedom", [*range(1, 220), 500, 999, 9_999, 1_000_000])
def test_students_quantile_is_that_of_scipy(freedom: int) -> None:
    assert student(freedom) == pytest.approx(quantile(freedom), rel=1e-10)


def test_equal_seeds_have_no_width() -> None:
    assert interval(PSNR, seeds(25.5, 25.5, 25.5)) == Interval(25.5, 25.5, 25.5, "seeds")


@given(some.lists(values, min_size=2, max_size=30))
def test_the_interval_of_one_seed_is_students_over_the_images(images: list[float]) -> None:
    found = interval(PSNR, [PSNR.summary(np.array(images))])
    half = quantile(len(images) - 1) * np.std(images, ddof=1) / math.sqrt(len(images))
    assert found.half == pytest.approx(half, abs=1e-9)
    assert found.over == "images"


def test_one_value_has_no_interval() -> None:
    found = interval(PSNR, [PSNR.summary(np.array([25.0]))])
    assert found.mean == 25.0 and found.over == ""
    assert math.isnan(found.half)


def test_images_that_are_no_sample_have_an_interval_over_seeds_alone() -> None:
    assert not interval(PSNR, [PSNR.summary(np.arange(20.0))], sample=False).over
    assert interval(PSNR, seeds(25.0, 26.0), sample=False) == interval(PSNR, seeds(25.0, 26.0))


def test_nothing_measured_has_neither_mean_nor_interval() -> None:
    for found in (interval(PSNR, []), interval(PSNR, seeds(math.nan))):
        assert math.isnan(found.mean) and math.isnan(found.low) and math.isnan(found.high) and not found.over


def test_a_mean_of_perfect_rows_is_infinite_and_has_no_interval() -> None:
    found = interval(PSNR, seeds(math.inf, math.inf))
    assert found.mean == math.inf and math.isnan(found.half) and not found.over


def test_a_perfect_seed_counts_as_the_ceiling_beside_others() -> None:
    assert interval(PSNR, seeds(math.inf, 30.0)).mean == 45


def test_the_interval_over_seeds_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    found = [interval(PSNR, seeds(*means)) for means in draw.normal(25, 0.3, (4000, 3))]
    assert np.mean([one.low <= 25.0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("images", [2, 5, 24])
def test_the_interval_over_few_images_holds_the_truth_as_often_as_it_says(images: int) -> None:
    draw = np.random.default_rng(images)
    found = [interval(PSNR, [PSNR.summary(values)]) for values in draw.normal(25, 3, (4000, images))]
    assert np.mean([one.low <= 25.0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.012)
