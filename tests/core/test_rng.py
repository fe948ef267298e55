"""Draws: reproducible, independent of batching, and as random as the tests of their laws can tell."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.core.rng import WEYL, Draw, _mix, derive, permutation

SEEDS = st.integers(-(2**70), 2**70)


def draw_for(
    indices: Sequence[int] | torch.Tensor,
    seed: int = 0,
    purpose: tuple[str | int, ...] = ("test",),
    shape: tuple[int, ...] = (3, 8, 8),
) -> Draw:
    indices = torch.as_tensor(indices)
    return Draw((len(indices), *shape), seed, purpose, indices)


def test_the_mixer_is_splitmix64() -> None:
    # First outputs of the reference implementation (prng.di.unimi.it/splitmix64.c) for the seed 1234567.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = torch.arange(1, 6) * WEYL + 1234567
    assert [word % 2**64 for word in _mix(states).tolist()] == expected
    assert [splitmix64(1234567 + step * 0x9E3779B97F4A7C15) for step in range(1, 6)] == expected


def splitmix64(state: int) -> int:
    state %= 2**64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


@given(seed=SEEDS, index=st.integers(0, 2**50), call=st.integers(0, 3))
def test_a_draw_is_the_published_generator_from_a_start_of_its_own(seed: int, index: int, call: int) -> None:
    draw = draw_for([index], seed, ("test", 7))
    for _ in range(call):
        draw.normal((1, 1, 1))
    start = splitmix64(derive(seed, "test", 7, call) + (index + 1) * 0x9E3779B97F4A7C15)
    words = [splitmix64(start + step * 0x9E3779B97F4A7C15) for step in range(3)]
    expected = [half >> 8 for word in words for half in (word % 2**32, word >> 32)]
    assert (draw.uniform((1, 1, 5)) * 2**24).flatten().tolist() == expected[:5]


@given(seed=SEEDS, size=st.integers(1, 40), data=st.data())
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_an_image_gets_the_same_draw_in_every_batch(kind: str, seed: int, size: int, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([None, (1, 1, 1), (1, 5, 7), (3, 11, 3), (3, 32, 32)]))
    chosen = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=50))
    whole = getattr(draw_for(range(size), seed), kind)(shape)
    part = getattr(draw_for(chosen, seed), kind)(shape)
    assert part.dtype == torch.float32
    assert part.shape == (len(chosen), *(shape or (3, 8, 8)))
    assert torch.equal(part, whole[chosen])


def test_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = draw_for(range(200), shape=(3, 32, 32)).normal()
        torch.set_num_threads(2)
        assert torch.equal(draw_for(range(200), shape=(3, 32, 32)).normal(), alone)
    finally:
        torch.set_num_threads(before)


def test_an_empty_batch() -> None:
    assert draw_for(torch.arange(0)).normal().shape == (0, 3, 8, 8)


def streams() -> Iterator[tuple[str, Draw]]:
    """The first values of streams that differ in seed, purpose, fork, call or image, each by as little as can be."""
    shape = (1, 256, 256)
    for seed in (0, 1, 2, -1, 2**32, 2**32 + 1, 2**63, 2**64):
        yield f"seed {seed}", draw_for([0], seed, shape=shape)
    for purpose in ((), ("a",), ("b",), ("a", 0), ("a", 1), ("a", "0"), ("a0",), ("test", 0)):
        yield f"purpose {purpose}", draw_for([0], 0, purpose, shape)
    for index in (1, 2, 3, 2**31, 2**32, 2**32 + 1, 2**40):
        yield f"index {index}", draw_for([index], shape=shape)
    for name in ("sigma", "p", 1):
        yield f"fork {name}", draw_for([0], shape=shape).fork(name)
    second = draw_for([0], shape=shape)
    second.uniform()
    yield "second call", second


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_streams_are_uncorrelated(kind: str) -> None:
    values = torch.cat([getattr(draw, kind)().flatten(1) for _, draw in streams()])
    count = values.shape[1]
    for lag in (0, 1, 2):
        rolled = values.roll(lag, 1)
        correlation = torch.corrcoef(torch.cat([values, rolled]).double())[: len(values), len(values) :]
        if lag == 0:
            correlation.fill_diagonal_(0)
        assert correlation.abs().max() < 5.5 / count**0.5


def test_consecutive_images_and_seeds_are_uncorrelated() -> None:
    grid = torch.stack([draw_for(range(64), seed, shape=(1, 32, 32)).normal().flatten(1) for seed in range(64)])
    for a, b in ((grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:]), (grid[:-1, :-1], grid[1:, 1:])):
        assert abs((a * b).mean().item()) < 5 / a.numel() ** 0.5
        assert abs(((a * a - 1) * (b * b - 1)).mean().item()) < 5 * 2 / a.numel() ** 0.5


def test_no_two_images_share_a_draw() -> None:
    keys = []
    for seed in (*range(100), *(2**32 + seed for seed in range(100))):
        values = draw_for(range(5000), seed).uniform((1, 1, 4)).double().mul(2**24).long().view(-1, 4)
        keys.append(((values[:, 0] << 40) ^ (values[:, 1] << 20) ^ values[:, 2] ^ (values[:, 3] << 10)).numpy())
    every = np.concatenate(keys)
    assert len(np.unique(every)) == len(every)


def big(kind: str) -> np.ndarray:
    """A million values, odd in number per image."""
    return getattr(draw_for(range(1000), 11, shape=(1, 7, 143)), kind)().flatten().double().numpy()


def test_uniform_law() -> None:
    values = big("uniform")
    assert values.min() >= 0
    assert values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    bits = (values * 2**24).astype(np.int64)
    assert np.array_equal(bits, values * 2**24)
    share = np.array([(bits >> place & 1).mean() for place in range(24)])
    assert np.abs(share - 0.5).max() < 5 * 0.5 / len(values) ** 0.5


def test_normal_law() -> None:
    values = big("normal")
    assert np.isfinite(values).all()
    assert stats.kstest(values, "norm").pvalue > 1e-3
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10395 - 225)):
        assert abs((values**power).mean() - moment) < 5 * (variance / len(values)) ** 0.5
    for edge in (1, 2, 3, 4):
        share = 2 * stats.norm.sf(edge)
        assert abs((np.abs(values) > edge).mean() - share) < 5 * (share / len(values)) ** 0.5


def test_the_halves_of_box_and_muller_are_independent() -> None:
    values = draw_for(range(2000), 3, shape=(1, 2, 128)).normal()
    first, second = values[:, 0, 0].flatten(), values[:, 0, 1].flatten()
    for f, g in itertools.product((lambda x: x, lambda x: x.abs() - (2 / np.pi) ** 0.5, lambda x: x * x - 1), repeat=2):
        product = (f(first) * g(second)).double()
        assert abs(product.mean()) < 5 * product.std() / len(product) ** 0.5


def test_calls_are_numbered_and_forks_apart() -> None:
    draw = draw_for(range(5))
    first, second = draw.uniform(), draw.uniform()
    again = draw_for(range(5))
    again.fork("levels").uniform()
    assert not torch.equal(first, second)
    assert torch.equal(again.uniform(), first)
    assert torch.equal(again.fork("levels").uniform(), draw.fork("levels").uniform())
    assert not torch.equal(draw.fork("levels").uniform(), draw.fork("masks").uniform())


@given(
    st.lists(st.tuples(SEEDS, st.lists(st.text() | st.integers(), max_size=3)), unique_by=repr, min_size=2, max_size=50)
)
def test_keys_differ(origins: list[tuple[int, list[str | int]]]) -> None:
    keys = [derive(seed, *purpose) for seed, purpose in origins]
    assert len(set(keys)) == len(keys)
    assert all(-(2**63) <= key < 2**63 for key in keys)


@given(count=st.integers(0, 300), seed=SEEDS)
def test_a_permutation_is_one(count: int, seed: int) -> None:
    order = permutation(count, seed, "order")
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, permutation(count, seed, "order"))


def test_permutations_are_uniform() -> None:
    orders = ["".join(map(str, permutation(4, seed, "order", epoch))) for seed in range(40) for epoch in range(60)]
    counts = [orders.count("".join(order)) for order in itertools.permutations("0123")]
    assert stats.chisquare(counts).pvalue > 1e-3
    assert not np.array_equal(permutation(50, 0), permutation(50, 2**32))
