"""Intervals against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from bench.results.statistics import interval_over_images, interval_over_seeds

values = some.floats(-100, 100).map(lambda value: round(value, 6))


@given(some.lists(values, min_size=2, max_size=30).filter(lambda found: np.std(found) > 1e-6))
def test_the_interval_over_seeds_is_students(means: list[float]) -> None:
    expected = stats.t.interval(0.95, len(means) - 1, loc=np.mean(means), scale=stats.sem(means))
    assert interval_over_seeds(means) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_equal_seeds_have_no_width() -> None:
    assert interval_over_seeds([25.5, 25.5, 25.5]) == (25.5, 25.5)


@pytest.mark.parametrize("means", [[], [25.0]])
def test_one_seed_says_nothing_about_others(means: list[float]) -> None:
    assert all(math.isnan(end) for end in interval_over_seeds(means))


@given(values, some.floats(0, 100), some.integers(1, 10**6))
def test_the_interval_over_images_is_the_normal_one(mean: float, deviation: float, images: int) -> None:
    half = stats.norm.ppf(0.975) * deviation / math.sqrt(images)
    assert interval_over_images(mean, deviation, images) == pytest.approx((mean - half, mean + half), abs=1e-9)


def test_no_images_no_interval() -> None:
    assert all(math.isnan(end) for end in interval_over_images(math.nan, 0.0, 0))


def test_the_interval_over_seeds_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    held = [low <= 25.0 <= high for low, high in map(interval_over_seeds, draw.normal(25, 0.3, (4000, 3)))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)
