"""Intervals of differences: against their definitions, against scipy, and by simulation of a planted truth."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from bench.results.statistics.differences import Estimate, Images, Seeds, Spread, terms

DRAWN, FIXED = Images(), Images(sample=False)


@dataclass(frozen=True)
class World:
    """Methods whose truth is known. Images differ by 3 dB; the rest are standard deviations in dB.

    gap: by how much B is better on average, on half of the images twice as much where `half` is set.
    seed_a, seed_b: of a training as a whole. image: of the difference from image to image. mixed: of one training on
    one image.
    """

    gap: float = 0.0
    half: bool = False
    seed_a: float = 0.15
    seed_b: float = 0.15
    image: float = 0.5
    mixed: float = 0.2
    images: int = 300

    def draw(self, draw: np.random.Generator, seeds_a: int, seeds_b: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores of A and B, (S, N), of other images and other seeds in every call."""
        common = 25 + 3 * draw.standard_normal(self.images)
        gap = 2 * self.gap * (draw.random(self.images) < 0.5) if self.half else self.gap
        own = gap + self.image * draw.standard_normal(self.images)
        return (
            common + self.trainings(draw, seeds_a),
            common + own + self.trainings(draw, seeds_b, self.seed_b),
        )

    def trainings(self, draw: np.random.Generator, seeds: int, deviation: float | None = None) -> np.ndarray:
        """What chance adds to the scores of a method, (S, N), by default of A."""
        whole = (self.seed_a if deviation is None else deviation) * draw.standard_normal((seeds, 1))
        return whole + self.mixed * draw.standard_normal((seeds, self.images))

    def truth(self, seeds_a: int, seeds_b: int) -> Estimate:
        """The difference with the variances of its parts as they are."""
        sides = ((self.seed_a, seeds_a), (self.seed_b, seeds_b))
        seeds = [Seeds(deviation**2 + self.mixed**2 / self.images, count, count - 1) for deviation, count in sides]
        per_image = self.image**2 + self.mixed**2 * (1 / seeds_a + 1 / seeds_b) + (self.gap**2 if self.half else 0)
        return Estimate(self.gap, tuple(seeds), Spread(per_image / self.images, self.images - 1))


def estimates(world: World, seeds_a: int, seeds_b: int, count: int, images: Images = DRAWN) -> Iterator[Estimate]:
    """What is found in so many draws of a world."""
    draw = np.random.default_rng([seeds_a, seeds_b, count])
    return (Estimate.of(*world.draw(draw, seeds_a, seeds_b), (True, True), images) for _ in range(count))


def coverage(world: World, seeds_a: int, seeds_b: int, count: int) -> float:
    ends = [found.ends(0.05) for found in estimates(world, seeds_a, seeds_b, count)]
    return float(np.mean([low <= world.gap <= high for low, high in ends]))


SEEDS = [(2, 2), (3, 3), (5, 5), (10, 10), (2, 3), (2, 10), (3, 10), (10, 2)]
WORLDS = {
    "as measured": World(),
    "seeds alike": World(seed_a=0.05, seed_b=0.05),
    "one wild": World(seed_a=0.05, seed_b=0.4),
    "a gap on half of the images": World(gap=0.3, half=True),
    "images": World(seed_a=0.02, seed_b=0.02, image=1.5),
}


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_intervals_hold_the_truth(seeds: tuple[int, int]) -> None:
    """To within three standard errors of 1,000 draws; in `make test-long` to within 0.94 of 10,000."""
    assert coverage(World(), *seeds, 1000) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 1000)


@pytest.mark.long
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_intervals_hold_the_truth_in_many_worlds(seeds: tuple[int, int], world: World) -> None:
    assert coverage(world, *seeds, 10_000) >= 0.94


@pytest.mark.parametrize("world", [World(seed_a=0.5, seed_b=0.5), World(seed_a=0, seed_b=0, image=1.5, images=40)])
def test_neither_seeds_nor_images_can_be_left_out(world: World) -> None:
    """Where one of them is all there is, the other alone is far too narrow, or the images unpaired far too wide."""
    found = list(estimates(world, 3, 3, 300))
    covered = np.mean([low <= 0 <= high for low, high in (one.ends(0.05) for one in found)])
    assert 0.91 <= covered <= 1
    assert np.median([one.half(0.05) for one in found]) < (1.6 if world.seed_a else 0.8)


def test_pairing_takes_out_what_images_have_in_common() -> None:
    """Unpaired, images that differ by 3 dB give an interval of half a dB; the difference itself varies by 0.5 dB."""
    world = World(seed_a=0.01, seed_b=0.01, mixed=0)
    halves = [one.half(0.05) for one in estimates(world, 10, 10, 50)]
    assert np.mean(halves) == pytest.approx(1.97 * 0.5 / math.sqrt(300), rel=0.15)


def test_equal_seeds_have_the_interval_of_welch() -> None:
    draw = np.random.default_rng(1)
    for _ in range(20):
        a, b = draw.normal(25, 0.1, (4, 1)), draw.normal(25, 0.5, (4, 1))
        found = Estimate.of(a, b, (True, True), FIXED)
        expected = stats.ttest_ind(b[:, 0], a[:, 0], equal_var=False).confidence_interval(0.95)
        assert found.ends(0.05) == pytest.approx(tuple(expected))


def test_unequal_seeds_take_the_quantile_of_each_side() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.normal(25, 0.1, (3, 1)), draw.normal(25, 0.5, (7, 1))
    found = Estimate.of(a, b, (True, True), FIXED)
    squares = [stats.t.ppf(0.975, len(side) - 1) ** 2 * side.var(ddof=1) / len(side) for side in (a, b)]
    assert found.half(0.05) == pytest.approx(math.sqrt(sum(squares)))


def test_images_alone_have_the_interval_of_the_paired_test() -> None:
    draw = np.random.default_rng(3)
    a, b = draw.normal(25, 3, (1, 50)), draw.normal(25, 3, (1, 50))
    found = Estimate.of(a, b, (False, False), DRAWN)
    paired = stats.ttest_rel(b[0], a[0])
    assert found.ends(0.05) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    assert found.level(abs(found.change)) == pytest.approx(paired.pvalue, rel=1e-4)


def test_a_side_without_seeds_adds_nothing_for_them() -> None:
    draw = np.random.default_rng(4)
    filtered, trained = draw.normal(25, 3, (1, 50)), draw.normal(25, 3, (3, 50))
    found = Estimate.of(filtered, trained, (False, True), FIXED)
    means = trained.mean(1)
    assert found.half(0.05) == pytest.approx(stats.t.ppf(0.975, 2) * means.std(ddof=1) / math.sqrt(3))


def test_two_filters_on_photographs_differ_exactly() -> None:
    found = Estimate.of(np.full((1, 5), 25.0), np.arange(5.0)[None], (False, False), FIXED)
    assert found.exact and found.ends(0.05) == (-23, -23)


@pytest.mark.parametrize("images", [DRAWN, FIXED])
def test_a_training_of_one_seed_has_no_interval(images: Images) -> None:
    found = Estimate.of(np.arange(6.0).reshape(2, 3), np.arange(3.0)[None], (True, True), images)
    assert not found.known and math.isnan(found.half(0.05)) and found.level(5.0) == 1.0


def test_one_image_is_no_sample() -> None:
    assert not Estimate.of(np.array([[25.0]]), np.array([[26.0]]), (False, False), DRAWN).known


def test_the_level_is_that_of_the_interval_that_just_touches() -> None:
    for seeds in ((3, 3), (2, 5)):
        (found,) = estimates(World(gap=0.4), *seeds, 1)
        assert found.half(found.level(0.3)) == pytest.approx(0.3, rel=1e-4)


def test_groups_are_the_sample() -> None:
    """Liang and Zeger's variance; with groups of one it is that of the images."""
    draw = np.random.default_rng(5)
    values = draw.normal(size=60)
    assert Spread.of(values, np.arange(60)) == Spread.of(values)
    groups = np.repeat(np.arange(12), 5)
    means = values.reshape(12, 5).mean(1)
    assert Spread.of(values, groups).variance == pytest.approx(means.var(ddof=1) / 12)
    assert Spread.of(values, groups).freedom == 11
    copies = Spread.of(np.repeat(means, 5), groups)
    assert copies.variance == pytest.approx(means.var(ddof=1) / 12), "copies of an image tell nothing new"
    uneven = np.array([0] * 30 + list(range(1, 31)))
    sums = np.bincount(uneven, values - values.mean())
    assert Spread.of(values, uneven).variance == pytest.approx(31 / 30 * (sums**2).sum() / 60**2)
    assert math.isnan(Spread.of(values, np.zeros(60)).variance)


def test_grouped_images_are_covered_where_single_ones_are_not() -> None:
    draw, groups = np.random.default_rng(6), np.repeat(np.arange(20), 10)
    found: dict[str, list[bool]] = {"grouped": [], "single": []}
    for _ in range(600):
        differences = np.repeat(draw.normal(0, 0.5, 20), 10) + draw.normal(0, 0.2, 200)
        for name, images in (("grouped", Images(groups=groups)), ("single", DRAWN)):
            low, high = Estimate.of(np.zeros((1, 200)), differences[None], (False, False), images).ends(0.05)
            found[name].append(low <= 0 <= high)
    assert np.mean(found["grouped"]) >= 0.92 and np.mean(found["single"]) < 0.6


def test_without_variance_degrees_of_freedom_are_added() -> None:
    variances, freedoms = terms([np.float64(0)] * 2, [Seeds(0, 3, 2)] * 2, None)
    assert variances.tolist() == [0] and freedoms.tolist() == [4]
