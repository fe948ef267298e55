"""What it costs to restore images, measured in turn over all that are compared. Nothing is written here."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.core.lazy import nn, torch
from bench.core.meters import EnergyMeter
from bench.spec.protocol import CHUNK
from bench.training.ensemble import restore

ROUNDS = 9  # after one to warm up
SECONDS = 0.5  # that a pass of a slow denoiser may take: it gets fewer images


@dataclass(frozen=True)
class Subject:
    """A denoiser in evaluation mode, the side of its images, how many views it averages over, and its device."""

    network: "nn.Module"
    size: int
    ensemble: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Inference:
    """What a denoiser costs.

    latency_ms: per image, the median of all rounds. spread: between the quartiles of the rounds, as a share of it.
    energy_wh: for a thousand images, of the whole machine; None where it doesn't tell. images: restored in a pass.
    """

    latency_ms: float
    spread: float
    energy_wh: float | None
    images: int


@dataclass
class _Passes:
    """What was measured of a subject so far: seconds of each pass, and joules of all."""

    images: "torch.Tensor"
    seconds: list[float] = field(default_factory=list)
    joules: float | None = 0.0


def interleaved(
    subjects: Sequence[Subject], rounds: int = ROUNDS, done: Callable[[int], None] = lambda number: None
) -> list[Inference]:
    """The costs of all subjects, measured in rounds.

    In each of them every subject restores its images once, so that whatever slows the machine for a while slows all
    alike. done: called with the number of rounds that are over.
    """
    with torch.inference_mode():
        found = [_Passes(_images(subject)) for subject in subjects]
        for subject, mine in zip(subjects, found, strict=True):
            _pass(subject, mine.images)
        for number in range(rounds):
            for subject, mine in zip(subjects, found, strict=True):
                meter = EnergyMeter(subject.device)
                mine.seconds.append(_pass(subject, mine.images))
                used = meter.read()
                mine.joules = None if used is None or mine.joules is None else mine.joules + used
            done(number + 1)
    return [_costs(mine) for mine in found]


def chunk(subject: Subject, count: int) -> "torch.Tensor":
    """So many random images for a subject."""
    draw = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, subject.size, subject.size, generator=draw).to(subject.device)


def _images(subject: Subject) -> "torch.Tensor":
    """A chunk of images, or as many as a slow denoiser restores in SECONDS."""
    _pass(subject, one := chunk(subject, 1))
    return chunk(subject, max(1, min(CHUNK, int(SECONDS / max(_pass(subject, one), 1e-6)))))


def _pass(subject: Subject, images: "torch.Tensor") -> float:
    started = time.perf_counter()
    restore(subject.network, images, subject.ensemble)
    if subject.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _costs(mine: _Passes) -> Inference:
    count = len(mine.images)
    times = [1000 * seconds / count for seconds in mine.seconds]
    middle = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else (middle,) * 3
    energy = None if mine.joules is None else 1000 * mine.joules / (3600 * count * len(times))
    return Inference(middle, (high - low) / middle, energy, count)
