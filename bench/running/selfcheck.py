"""Known answers, computed again on this machine: noises, metrics, a solved model, processes and statistics."""

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from multiprocessing import get_context
from typing import Any

import numpy as np

from bench.core.images import to_float
from bench.core.lazy import skimage_metrics, torch
from bench.core.rng import Draw
from bench.datasets import Data
from bench.metrics import metrics
from bench.metrics.base import compute
from bench.models import ClosedForm, models
from bench.noises import noises
from bench.results.statistics.differences import Estimate, Images
from bench.results.statistics.families import holm
from bench.spec import Train
from bench.spec.cells import Cell
from bench.training.closed_form import Batches
from bench.training.state import State
from bench.training.train import advance

ERRORS = 5  # standard errors that a mean may be off; the draws are the same on every machine
PROCESSES = 2
FAMILIES, METHODS, SEEDS, TESTED = 200, 5, 5, 100  # of simulated comparisons; images of each
INTERVALS = 1000


@dataclass(frozen=True)
class Check:
    """One known answer: what it is of, what it must be, what came out."""

    what: str
    expected: str
    found: str
    passed: bool


def checks() -> Iterator[Check]:
    """All of them, one at a time; a minute on one core."""
    yield from _noises()
    yield from _metrics()
    yield _exact_world()
    yield _processes()
    yield from _statistics()


# What is drawn, from the residual of grey images of 0.5: its expected mean, and the standard deviation of one value.
Moment = tuple[Any, Callable[["torch.Tensor"], "torch.Tensor"], float, float]
MOMENTS: dict[str, Moment] = {
    "gaussian, sigma 0.1: variance": (
        {"gaussian": {"sigma": 0.1, "clip": False}}, lambda r: r**2, 0.01, math.sqrt(2) * 0.01,
    ),
    "uniform, amplitude 0.2: variance": (
        {"uniform": {"amplitude": 0.2}}, lambda r: r**2, 0.04 / 3, math.sqrt(4 / 45) * 0.04,
    ),
    "poisson, peak 50: variance": (
        {"poisson": {"peak": 50, "clip": False}}, lambda r: r**2, 0.5 / 50, math.sqrt(2 + 1 / 25) * 0.5 / 50,
    ),
    "masking, p 0.25: share of values": (
        {"masking": {"p": 0.25}}, lambda r: (r != 0).float(), 0.25, math.sqrt(0.25 * 0.75),
    ),
    "salt_and_pepper, p 0.1: share of values": (
        {"salt_and_pepper": {"p": 0.1}}, lambda r: (r != 0).float(), 0.1, math.sqrt(0.1 * 0.9),
    ),
}  # fmt: skip


def _noises() -> Iterator[Check]:
    clean = torch.full((128, 3, 32, 32), 0.5)
    for what, (node, statistic, expected, deviation) in MOMENTS.items():
        noisy = noises.parse(node).apply(clean, Draw(tuple(clean.shape), 0, ("selfcheck",), torch.arange(len(clean))))
        values = statistic((noisy - clean).double())
        found, most = float(values.mean()), ERRORS * deviation / math.sqrt(values.numel())
        yield Check(what, f"{expected:.5f} ± {most:.5f}", f"{found:.5f}", abs(found - expected) <= most)


def _metrics() -> Iterator[Check]:
    draw = np.random.default_rng(0)
    a, b = (draw.random((8, 3, 32, 32)).astype(np.float32) for _ in range(2))
    settings = {"data_range": 1, "channel_axis": 0}
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "mse": skimage_metrics.mean_squared_error,
        "psnr": lambda x, y: skimage_metrics.peak_signal_noise_ratio(x, y, data_range=1),
        "ssim": lambda x, y: skimage_metrics.structural_similarity(x, y, **settings, **wang),
        "ssim_uniform": lambda x, y: skimage_metrics.structural_similarity(x, y, **settings),
    }
    chosen = [metrics.parse(name) for name in reference]
    ours = compute(chosen, torch.from_numpy(a), torch.from_numpy(b))
    for name, theirs in reference.items():
        expected = np.array([theirs(y.astype(np.float64), x.astype(np.float64)) for x, y in zip(a, b, strict=True)])
        off = float(np.abs(ours[name].numpy() - expected).max())
        yield Check(f"{name} against scikit-image, largest difference", "<= 1e-6", f"{off:.1e}", off <= 1e-6)


def _exact_world(size: int = 8, count: int = 20_000, sigma: float = 0.1) -> Check:
    """The best affine denoiser of Gaussian images under Gaussian noise: no other one has a lower mean squared error."""
    values = 3 * size**2
    draw = np.random.default_rng(1)
    variances = 0.5 / (1 + np.arange(values)) ** 1.5
    axes, _ = np.linalg.qr(draw.standard_normal((values, values)))
    optimum = float((variances * sigma**2 / (variances + sigma**2)).mean())

    def images() -> np.ndarray:
        drawn = 0.5 + (draw.standard_normal((count, values)) * np.sqrt(variances)) @ axes.T
        return np.rint(255 * drawn).clip(0, 255).astype(np.uint8).reshape(count, 3, size, size)

    model = models.parse({"wiener": {"flips": False}})
    assert isinstance(model, ClosedForm)
    train, test = images(), to_float(torch.from_numpy(images()))
    with torch.no_grad():
        network = model.solve(Batches(train, noises.parse({"gaussian": {"sigma": sigma, "clip": False}})), size)
        noisy = test + sigma * torch.from_numpy(draw.standard_normal(tuple(test.shape)).astype(np.float32))
        reached = float((network(noisy) - test).double().square().mean())
    gap = 10 * math.log10(reached / optimum)
    what = "wiener of Gaussian images, dB short of the optimum"
    return Check(what, "-0.02 to 0.05", f"{gap:.3f}", -0.02 <= gap <= 0.05)


def digest() -> str:
    """The checksum of the weights that a short training gives."""
    draw = np.random.default_rng(2)
    train, held, test = (draw.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8) for n in (64, 16, 16))
    settings = Train(epochs=1, batch_size=16, precision="float32", device="cpu", lr=1e-3)
    cell = Cell(models.parse({"conv": {"width": 4}}), noises.parse("gaussian"), 0, settings, {"train": 64, "test": 16})
    state = advance(cell, Data(train, held, test, "selfcheck"), State(), 1)
    found = hashlib.sha256()
    for name, value in sorted(state.weights.items()):
        found.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


def _processes() -> Check:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        found = [digest(), *(job.result() for job in [pool.submit(digest) for _ in range(PROCESSES)])]
    expected = f"one checksum in {len(found)} processes"
    return Check("a short training", expected, ", ".join(sorted({text[:12] for text in found})), len(set(found)) == 1)


def _statistics() -> Iterator[Check]:
    draw = np.random.default_rng(3)
    alarms = np.mean([_alarm(draw) for _ in range(FAMILIES)])
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / FAMILIES)
    what = f"{FAMILIES} families of {METHODS} identical methods: share with a difference"
    yield Check(what, f"<= {most:.3f}", f"{alarms:.3f}", bool(alarms <= most))
    least = 0.95 - 3 * math.sqrt(0.05 * 0.95 / INTERVALS)
    for seeds in ((3, 3), (2, 5)):
        found = [_difference(draw, *seeds) for _ in range(INTERVALS)]
        held = np.mean([abs(one.change) <= one.half(0.05) for one in found])
        what = f"95 % intervals of {seeds[0]} against {seeds[1]} seeds: share that holds the truth"
        yield Check(what, f">= {least:.3f}", f"{held:.3f}", bool(held >= least))


def _scores(draw: np.random.Generator, seeds: int) -> np.ndarray:
    """Of a method like all others: seeds vary by 0.15 dB, images around their own worth by 0.5 dB."""
    own = 0.15 * draw.standard_normal((seeds, 1)) + 0.2 * draw.standard_normal((seeds, TESTED))
    return own + 0.35 * draw.standard_normal(TESTED)


def _difference(draw: np.random.Generator, seeds_a: int, seeds_b: int) -> Estimate:
    return Estimate.of(_scores(draw, seeds_a), _scores(draw, seeds_b), (True, True), Images())


def _alarm(draw: np.random.Generator) -> bool:
    """Whether some pair of a family seems to differ."""
    family = [_scores(draw, SEEDS) for _ in range(METHODS)]
    found = [Estimate.of(a, b, (True, True), Images()) for a, b in combinations(family, 2)]
    p_values = [one.level(abs(one.change)) for one in found]
    return any(p <= level for p, level in zip(p_values, holm(p_values, 0.05), strict=True))
