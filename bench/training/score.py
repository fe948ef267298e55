"""Scoring as a function: denoiser, images and noise in, per-image values out. Nothing is written here."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench import metrics
from bench.core import machine
from bench.core.errors import BenchError
from bench.core.images import to_float, to_uint8
from bench.core.lazy import nn, torch
from bench.core.rng import Draw
from bench.datasets import Data
from bench.metrics import Metric
from bench.models import Model, TrainableModel
from bench.models.base import layers
from bench.noises import Noise
from bench.spec.cells import Cell
from bench.spec.protocol import CHUNK, TEST_SEED
from bench.training.ensemble import restore
from bench.training.objectives import VALIDATION, corrupt
from bench.training.state import as_arrays
from bench.training.train import build, load_weights

FITTED_TO = 256  # validation images that a model's null keys are tuned on, at most
SAMPLES = 8  # test images whose reconstructions are stored


class NotFinite(BenchError):
    """A value that is not finite and must not enter a table."""


@dataclass(frozen=True)
class Score:
    """The results of one denoiser under one test noise.

    values: metric column -> (N,) float64, one value per image.
    seconds: for all of it. latency_ms: of the denoiser alone, per image, with all its passes, in chunks of CHUNK; None
    where only its outputs are known.
    samples: original, noisy and output of the first images, uint8 (K, 3, H, W).
    fitted: label of the denoiser with its null keys as tuned; empty where it has none.
    made_with: what its arithmetic depended on, as `machine.arithmetic` has it.
    """

    values: dict[str, np.ndarray]
    seconds: float
    latency_ms: float | None
    samples: dict[str, np.ndarray]
    fitted: str = ""
    made_with: str = ""


def fit_to_validation(model: Model, data: Data, noise: Noise) -> Model:
    """Tune a model's null keys on validation images with the test noise."""
    if not model.fits or not len(data.validation):
        return model
    clean = to_float(torch.from_numpy(data.validation[:FITTED_TO].copy()))
    return model.fit(corrupt(noise, clean, torch.arange(len(clean)), VALIDATION), clean)


def network_of(cell: Cell, size: int, weights: Mapping[str, np.ndarray] | None) -> "nn.Module":
    """The cell's denoiser in evaluation mode, float32, with its stored weights; None keeps the first ones."""
    if isinstance(cell.model, TrainableModel):
        network = build(cell.model, size, cell.seed or 0)
    else:
        network = cell.model.build(size)
    if weights is not None:
        load_weights(network, weights)
    return network.eval()


def score(
    network: "nn.Module",
    data: Data,
    noise: Noise,
    chosen: Sequence[Metric],
    device: str = "cpu",
    ensemble: int = 1,
    seed: int = 0,
) -> Score:
    """Every metric of every image of the noise's split, usually the test images; no other image is read.

    noise: drawn with a seed of its own, so that every model gets the same corrupted images. seed: added to that.
    chosen: if empty, only the samples are made, from the first chunk. ensemble: as for `restore`.
    Computes in float32, whatever precision the weights were trained in.
    Raises NotFinite for noisy images, outputs or metrics that are not finite, BenchError for outputs of another shape.
    """
    started = time.perf_counter()
    network = network.to(device).to(memory_format=torch.channels_last)  # convolutions take half the time
    parts: list[dict[str, torch.Tensor]] = []
    samples: dict[str, np.ndarray] = {}
    busy, seen = 0.0, 0
    with torch.inference_mode():
        padded = not isinstance(network, layers.Filter)
        for clean, noisy, count in corrupted_chunks(getattr(data, noise.split), noise, device, padded, seed):
            before = time.perf_counter()
            output = restore(network, noisy, ensemble)
            if device == "cuda":
                torch.cuda.synchronize()
            busy += time.perf_counter() - before
            _check_images("the output", output[:count], clean[:count])
            seen += len(noisy)
            parts.append(metrics.compute(chosen, output[:count].float(), clean[:count]))
            if not samples:
                shown = {"original": clean, "noisy": noisy, "output": output}
                samples = as_arrays({name: to_uint8(batch[:count][:SAMPLES]) for name, batch in shown.items()})
            if not chosen:
                break
    values = {column: torch.cat([part[column] for part in parts]).cpu().numpy() for column in parts[0]}
    _check_values(values, chosen)
    seconds, latency = time.perf_counter() - started, 1000 * busy / seen
    return Score(values, seconds, latency, samples, made_with=machine.arithmetic(device))


def score_outputs(outputs: np.ndarray, data: Data, noise: Noise, chosen: Sequence[Metric], *, seed: int = 0) -> Score:
    """Every metric of every test image, of outputs that somebody else made of the corrupted ones.

    outputs: float32 (N, C, H, W), in the order of the test images. Raises as `score`.
    """
    started = time.perf_counter()
    parts: list[dict[str, torch.Tensor]] = []
    samples: dict[str, np.ndarray] = {}
    first = 0
    for clean, noisy, count in corrupted_chunks(data.test, noise, "cpu", False, seed):
        output = torch.from_numpy(outputs[first : first + count])
        _check_images("the output", output, clean)
        parts.append(metrics.compute(chosen, output, clean))
        if not samples:
            shown = {"original": clean, "noisy": noisy, "output": output}
            samples = as_arrays({name: to_uint8(batch[:SAMPLES]) for name, batch in shown.items()})
        first += count
    values = {column: torch.cat([part[column] for part in parts]).numpy() for column in parts[0]}
    _check_values(values, chosen)
    return Score(values, time.perf_counter() - started, None, samples)


def _check_images(what: str, images: "torch.Tensor", clean: "torch.Tensor") -> None:
    if images.shape != clean.shape:
        raise BenchError(f"{what} has shape {tuple(images.shape)} for images of shape {tuple(clean.shape)}")
    broken = len(images) - int(images.isfinite().flatten(1).all(1).sum())
    if broken:
        raise NotFinite(f"{what} has values that are not finite, in {broken} of {len(images)} images")


def _check_values(values: Mapping[str, np.ndarray], chosen: Sequence[Metric]) -> None:
    for metric in chosen:
        found = values[metric.column]
        perfect = np.isposinf(found) if metric.better == "higher" else np.isneginf(found)
        broken = np.flatnonzero(~(np.isfinite(found) | (perfect if metric.ceiling is not None else False)))
        if broken.size:
            hint = "; a metric that is infinite for a perfect image must declare its `ceiling`" if perfect.any() else ""
            raise NotFinite(
                f"metric {metric.column} is {found[broken[0]]} for {broken.size} of {len(found)} images, "
                f"the first is image {broken[0]}{hint}"
            )


def scoring_draw(shape: Sequence[int], noise: Noise, indices: "torch.Tensor", seed: int = 0) -> Draw:
    """Random numbers of a test noise: they depend on the tests' seed, the kind of noise and the image alone."""
    return Draw(tuple(shape), TEST_SEED + seed, ("test", noise.name), indices)


def corrupted_chunks(
    images: np.ndarray, noise: Noise, device: str, padded: bool, seed: int = 0
) -> "Iterator[tuple[torch.Tensor, torch.Tensor, int]]":
    """Clean and noisy chunks of CHUNK images, the same for every denoiser, and how many of them count.

    padded: whether the last chunk is filled up: a network's rounding depends on the size of the batch, a filter's
    doesn't, and its time is better spent.
    """
    for start in range(0, len(images), CHUNK):
        indices = torch.arange(start, start + CHUNK if padded else min(start + CHUNK, len(images)))
        rows = indices.clamp(max=len(images) - 1)
        clean = to_float(torch.from_numpy(images[rows.numpy()]).to(device))
        noisy = noise.apply(clean, scoring_draw(clean.shape, noise, indices.to(device), seed))
        _check_images(f"the noise {noise.label()}", noisy, clean)
        yield clean, noisy, min(CHUNK, len(images) - start)
