"""Holm's steps, and how often families of identical methods seem to differ."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bench.results.statistics.differences import Estimate, Images
from bench.results.statistics.families import holm
from tests.results.statistics.test_differences import World

DRAWN = Images()


def test_steps_as_written_out() -> None:
    """0.01 is held against 0.05/4, 0.02 against 0.05/3, which it exceeds; the rest stays at that."""
    assert holm([0.02, 0.01, 0.9, 0.03], 0.05) == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    assert holm([], 0.05) == []
    assert holm([0.04], 0.05) == [0.05]


@given(some.lists(some.floats(0, 1), min_size=1, max_size=12))
def test_levels_decide_as_adjusted_values_do(p_values: list[float]) -> None:
    order, adjusted, most = np.argsort(p_values, kind="stable"), np.empty(len(p_values)), 0.0
    for place, which in enumerate(order):
        most = max(most, (len(p_values) - place) * p_values[which])
        adjusted[which] = most
    clear = np.abs(adjusted - 0.05) > 1e-9
    decided = np.array([p <= level for p, level in zip(p_values, holm(p_values, 0.05), strict=True)])
    assert (decided == (adjusted <= 0.05))[clear].all()


def share_with_finds(methods: int, seeds: int, count: int, corrected: bool = True, best: bool = False) -> float:
    """The share of families of identical methods, all pairs of each, in which some pair seems to differ.

    best: compare with the best only, which was chosen by looking, and correct for those comparisons only.
    """
    draw, world, found = np.random.default_rng([methods, seeds, count]), World(image=0.3, images=100), []
    for _ in range(count):
        common = 25 + 3 * draw.standard_normal(100)
        own = world.image * draw.standard_normal((methods, world.images))
        scores = [common + difference + world.trainings(draw, seeds) for difference in own]
        pairs = list(itertools.combinations(scores, 2))
        if best:
            top = max(scores, key=np.mean)
            pairs = [(top, other) for other in scores if other is not top]
        tried = [Estimate.of(a, b, (True, True), DRAWN) for a, b in pairs]
        p_values = [one.level(abs(one.change)) for one in tried]
        levels = holm(p_values, 0.05) if corrected else [0.05] * len(tried)
        found.append(any(one.half(level) < abs(one.change) for one, level in zip(tried, levels, strict=True)))
    return float(np.mean(found))


def test_identical_methods_seldom_differ() -> None:
    """At most 5 % of families, to within three standard errors of 300; without the correction about a third do."""
    assert share_with_finds(5, 5, 300) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert share_with_finds(5, 5, 300, corrected=False) > 0.15


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("methods", [3, 10])
def test_identical_methods_seldom_differ_in_many_families(methods: int, seeds: int) -> None:
    assert share_with_finds(methods, seeds, 2000) <= 0.05


@pytest.mark.long
def test_correcting_for_comparisons_with_the_observed_best_alone_does_not_hold() -> None:
    assert share_with_finds(10, 10, 1000, best=True) > 0.08
