"""How often a planted gap is found, beside what its power says."""

from dataclasses import replace

import numpy as np
import pytest

from bench.results.statistics.differences import Estimate, Seeds, Spread
from bench.results.statistics.power import POWER, chances, seeds_to_settle
from tests.results.statistics.test_differences import World, estimates

GAP = World(gap=0.3)
HALF = World(gap=0.3, half=True)
DROP = 0.1


def shares(world: World, seeds_a: int, seeds_b: int, count: int) -> tuple[float, float, float]:
    """How often each verdict falls."""
    ends = [found.ends(0.05) for found in estimates(world, seeds_a, seeds_b, count)]
    better = np.mean([low > 0 for low, _ in ends])
    same = np.mean([low >= -DROP and high <= DROP for low, high in ends])
    return float(better), float(same), float(np.mean([high < -DROP for _, high in ends]))


@pytest.mark.parametrize("world", [GAP, HALF, World(gap=-0.3), World(seed_a=0.02, seed_b=0.02)])
def test_gaps_are_found_as_often_as_their_power_says(world: World) -> None:
    assert shares(world, 5, 5, 600) == pytest.approx(chances(world.truth(5, 5), DROP, 0.05), abs=0.06)


@pytest.mark.long
@pytest.mark.parametrize("world", [GAP, HALF, World(gap=-0.3), World(seed_a=0.02, seed_b=0.02)])
@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (5, 5), (10, 10), (3, 10)], ids=str)
def test_gaps_are_found_as_often_as_their_power_says_with_any_seeds(world: World, seeds: tuple[int, int]) -> None:
    assert shares(world, *seeds, 4000) == pytest.approx(chances(world.truth(*seeds), DROP, 0.05), abs=0.05)


def test_so_many_seeds_settle_it_and_one_less_does_not() -> None:
    found = GAP.truth(3, 3)
    needed = seeds_to_settle(found, DROP, 0.05)
    assert needed == 6

    def with_seeds(count: int) -> Estimate:
        return replace(found, seeds=tuple(replace(side, count=count, freedom=count - 1) for side in found.seeds))

    assert sum(chances(with_seeds(needed), DROP, 0.05)) >= POWER > sum(chances(with_seeds(needed - 1), DROP, 0.05))


def test_images_that_are_too_few_are_not_settled_by_seeds() -> None:
    sides = (Seeds(1e-4, 3, 2), Seeds(1e-4, 3, 2))
    assert seeds_to_settle(Estimate(-0.05, sides, Spread(0.1, 9)), DROP, 0.05) is None
    assert seeds_to_settle(Estimate(-0.05, (), Spread(0.1, 9)), DROP, 0.05) is None
