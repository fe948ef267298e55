"""Test images for others to restore, and what these made of them: a folder for each noise, in it a file for each image.

A file is called as its test image, with `.npy` or `.png` behind that unless it ends so already.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.core import pictures
from bench.core.errors import BenchError, DataError, SpecError
from bench.datasets import Data
from bench.models.base import layers
from bench.noises import Noise
from bench.results.outside import Outside
from bench.results.records import PlannedCell, RunPlan
from bench.results.store import Store
from bench.spec import Experiment
from bench.spec.cells import Cell, Scoring, Work
from bench.training.score import Score, corrupted_chunks, score, score_outputs

ARRAY, PICTURE = ".npy", ".png"
FAR = 2.0  # from 0 and 1, beyond which values can't be meant as on that scale
EIGHT = 8

Restored = Callable[..., Score]  # of data, a noise, metrics and the seed of the tests


@dataclass(frozen=True)
class Submission:
    """A contender from elsewhere: what it is, and how it is scored on each test noise that it restored."""

    model: Outside
    scores: dict[Noise, Restored]


def folder_names(noises: Sequence[Noise]) -> dict[Noise, str]:
    """What the folder of each noise is called: `gaussian_sigma_0.1`."""
    plain = [re.sub(r"[^A-Za-z0-9.]+", "_", noise.label()).strip("_") for noise in noises]
    return {
        noise: name if plain.count(name) == 1 else f"{name}_{place}"
        for place, (noise, name) in enumerate(zip(noises, plain, strict=True))
    }


def file_name(image: str, suffix: str) -> str:
    """What the file of a test image is called."""
    return image if image.lower().endswith(suffix) else image + suffix


def corrupted(data: Data, noise: Noise, seed: int) -> Iterator[np.ndarray]:
    """The test images under a noise, as every denoiser meets them: float32 (C, H, W), one after the other."""
    for _, noisy, count in corrupted_chunks(data.test, noise, "cpu", False, seed):
        yield from noisy[:count].numpy()


def of_function(
    title: str, sha256: str, function: Callable[[np.ndarray], np.ndarray], noises: Sequence[Noise]
) -> Submission:
    """A function as a contender.

    function: (N, C, H, W) float32 in [0, 1] to an array of the same shape, for any number of images.
    """
    return Submission(Outside(title, sha256), dict.fromkeys(noises, partial(score, layers.Filter(function))))


def of_folder(title: str, root: Path, noises: Sequence[Noise], names: Sequence[str]) -> Submission:
    """A folder of restored images as a contender, on the noises that it has folders of.

    names: of the test images. Raises SpecError where it has none, DataError for images that are missing or wrong.
    """
    found = {noise: root / folder for noise, folder in folder_names(noises).items() if (root / folder).is_dir()}
    if not found:
        wanted = ", ".join(folder_names(noises).values())
        raise SpecError(f"{root} has no folder of a test noise; they are called {wanted}, as `bench noise` writes them")
    checksum, bits = hashlib.sha256(), 0
    scores: dict[Noise, Restored] = {}
    for noise, folder in found.items():
        images, coarse = _outputs(folder, names)
        bits = max(bits, coarse)
        checksum.update(images.tobytes())
        scores[noise] = partial(score_outputs, images)
    return Submission(Outside(title, checksum.hexdigest(), bits), scores)


def submit(store: Store, plan: RunPlan, data: Data, submission: Submission, experiment: Experiment) -> None:
    """Score a contender from elsewhere and store it in a results folder beside what was run there."""
    metrics, seed = experiment.metrics, experiment.test_seed
    cell = Cell(submission.model, None, None, None, plan.data)
    folder = store.cell(cell.id)
    size = plan.data["size"]
    folder.finish(cell, None, {"dataset": plan.dataset, "size": size, "parameters": None, "macs": None})
    for noise, restored in submission.scores.items():
        folder.finish_score(Scoring(noise, 1, seed), cell.data, restored(data, noise, metrics, seed=seed), metrics)
    work = Work(cell, tuple(Scoring(noise, 1, seed) for noise in submission.scores))
    store.add_outside(replace(PlannedCell.of(work, plan.varied), bits=submission.model.bits))


def _outputs(folder: Path, names: Sequence[str]) -> tuple[np.ndarray, int]:
    """The images in a folder, float32 (N, C, H, W), and the bits of the coarsest that were rounded, or 0."""
    images, bits = zip(*(_output(folder, name) for name in names), strict=True)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DataError(f"{folder} has images of several shapes: {', '.join(map(str, sorted(shapes)))}")
    return np.stack(images), min((count for count in bits if count), default=0)


def _output(folder: Path, name: str) -> tuple[np.ndarray, int]:
    array, picture = (folder / file_name(name, suffix) for suffix in (ARRAY, PICTURE))
    if array.is_file():
        return _of_array(array)
    if picture.is_file():
        found = pictures.read(picture)
        return found.values(), found.bits
    raise DataError(f"{folder} lacks the test image {name}: there is neither {array.name} nor {picture.name}")


def _of_array(path: Path) -> tuple[np.ndarray, int]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not an array that can be read: {error}") from None
    if found.dtype == np.uint8:
        found, bits = found.astype(np.float32) / np.iinfo(np.uint8).max, EIGHT
    else:
        bits = 0
    if found.ndim != 3 or not np.issubdtype(found.dtype, np.floating):
        shape = f"{found.dtype} of shape {found.shape}"
        raise DataError(f"{path}: expected floating-point values (height, width, channels); got {shape}")
    if not np.isfinite(found).all() or found.min() < -FAR or found.max() > 1 + FAR:
        raise DataError(f"{path}: expected values from 0 to 1; they lie between {found.min():g} and {found.max():g}")
    return np.ascontiguousarray(found.transpose(2, 0, 1), np.float32), bits


def checked(plan: RunPlan, identity: dict[str, object], root: Path) -> None:
    """Raise BenchError where a folder's results are of other images than a dataset has now."""
    if plan.data != identity:
        raise BenchError(f"{root} has results of other images than this spec has now: run the spec again first")
