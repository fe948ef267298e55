"""Intervals against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from bench.results.statistics import Interval, interval

values = some.floats(-100, 100).map(lambda value: round(value, 6))


def ends(found: Interval) -> tuple[float, float]:
    return found.low, found.high


@given(some.lists(values, min_size=2, max_size=30).filter(lambda found: np.std(found) > 1e-6))
def test_the_interval_over_seeds_is_students(means: list[float]) -> None:
    expected = stats.t.interval(0.95, len(means) - 1, loc=np.mean(means), scale=stats.sem(means))
    found = interval(means, 1.0, 1000)
    assert ends(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.over == "seeds"


def test_equal_seeds_have_no_width() -> None:
    assert interval([25.5, 25.5, 25.5], 1.0, 10) == Interval(25.5, 25.5, 25.5, "seeds")


@given(values, some.floats(0, 100), some.integers(2, 10**6))
def test_the_interval_of_one_seed_is_over_images_and_normal(mean: float, deviation: float, images: int) -> None:
    half = stats.norm.ppf(0.975) * deviation / math.sqrt(images)
    found = interval([mean], deviation, images)
    assert ends(found) == pytest.approx((mean - half, mean + half), abs=1e-9)
    assert found.over == "images"


@pytest.mark.parametrize("images", [0, 1])
def test_one_value_has_no_interval(images: int) -> None:
    found = interval([25.0], 0.0, images)
    assert found.mean == 25.0 and found.over == ""
    assert math.isnan(found.half)


def test_nothing_measured_has_neither_mean_nor_interval() -> None:
    for found in (interval([], 0.0, 0), interval([math.nan], 1.0, 10)):
        assert math.isnan(found.mean) and math.isnan(found.low) and math.isnan(found.high) and not found.over


def test_a_mean_of_perfect_rows_is_infinite_and_has_no_interval() -> None:
    found = interval([math.inf, math.inf], 1.0, 10)
    assert found.mean == math.inf and math.isnan(found.half) and not found.over
    assert math.isnan(interval([math.inf, 30.0], 1.0, 10).mean)


def test_the_interval_over_seeds_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    found = [interval(list(means), 1.0, 10) for means in draw.normal(25, 0.3, (4000, 3))]
    assert np.mean([one.low <= 25.0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.012)
