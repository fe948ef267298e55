"""Benchmarks of training and scoring, per image, on random images. Nothing is written here."""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench import metrics
from bench.core.images import to_float
from bench.core.lazy import torch
from bench.datasets import Data
from bench.metrics import Metric
from bench.models import Model
from bench.noises import Noise
from bench.spec.cells import Cell
from bench.spec.protocol import CHUNK
from bench.training import train
from bench.training.costs import Cost
from bench.training.ensemble import restore
from bench.training.score import scoring_draw
from bench.training.state import State

BATCHES = 8  # of training images in an epoch
LONG = 0.5  # seconds to measure for, at least
FEW = 4  # images for a denoiser that works on one at a time
WORTH = 600.0  # seconds; a shorter training hardly wins back the time to compile


def training(cell: Cell, size: int, compiled: bool) -> Cost:
    """The cost of a cell's training: noise, forward, backward and step.

    compiled: measure it through torch.compile too, if the training is long enough for that to pay.
    """
    assert cell.train is not None
    plain = replace(cell.train, epochs=100_000, images=None, seconds=None, lr_search=(), keep="last", compile="off")
    data = _random(BATCHES * plain.batch_size, size)
    _, seconds = _per_image(replace(cell, train=plain), data)
    if not compiled or seconds * cell.images < WORTH:
        return Cost(seconds)
    with contextlib.suppress(Exception):  # no compiler, or a network it can't compile
        first, faster = _per_image(replace(cell, train=replace(plain, compile="on")), data)
        return Cost(seconds, faster, max(0.0, first - faster * len(data.train)))
    return Cost(seconds)


def scoring(model: Model, noise: Noise, chosen: Sequence[Metric], size: int, ensemble: int = 1) -> Cost:
    """The cost of a test: noise, denoiser and metrics."""
    network = model.build(size).eval().to(memory_format=torch.channels_last)
    count = CHUNK if model.trains else FEW
    clean = to_float(torch.from_numpy(_random(count, size).train))
    draw = scoring_draw(clean.shape, noise, torch.arange(count))

    def once() -> float:
        started = time.perf_counter()
        metrics.compute(chosen, restore(network, noise.apply(clean, draw), ensemble).float(), clean)
        return time.perf_counter() - started

    with torch.inference_mode():
        return Cost(statistics.median(_again(once)) / count)


def _per_image(cell: Cell, data: Data) -> tuple[float, float]:
    """Seconds of the first epoch, and of one image later on."""
    state = train.advance(cell, data, State(), 1)
    first = state.seconds

    def epoch() -> float:
        nonlocal state
        state = train.advance(cell, data, state, 1)
        return state.history[-1].seconds

    return first, statistics.median(_again(epoch)) / len(data.train)


def _again(once: Callable[[], float]) -> list[float]:
    """Seconds of each of several calls, after one to warm up."""
    once()
    found = [once()]
    while sum(found) < LONG:
        found.append(once())
    return found


def _random(count: int, size: int) -> Data:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return Data(pixels, pixels[:0], pixels[:0], "random")
