"""Photographs that scikit-image ships, cut into small images: always there, no download."""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image

from bench.datasets import pictures
from bench.datasets.base import PARTS, SEED, Dataset, Pixels, Source, datasets
from bench.datasets.cache import file_sha256
from bench.errors import DataError
from bench.rng import permutation

SCALES = (1, 2, 3, 4, 5, 6)  # the photograph's shorter side, in images: as much in each as in a small photograph
STEPS = 8  # crops along one image's side, so neighbours overlap
TEXTURED = 0.75  # share of a photograph's crops kept: those that vary most


class Photo(NamedTuple):
    """A photograph of scikit-image, how many crops it gives at most, and its width and height in pixels."""

    file: str
    most: int
    width: int
    height: int


@datasets.register("photos")
@dataclass(frozen=True)
class Photos(Dataset):
    """Crops of scikit-image's bundled photographs at several scales; train, validation and test show different scenes.

    Source: skimage.data, whose README names each photograph's author and licence.
    """

    # Both motorcycles are one scene, seen by two cameras.
    photos: ClassVar[dict[str, tuple[Photo, ...]]] = {
        "train": (
            Photo("astronaut.png", 3000, 512, 512),
            Photo("motorcycle_left.png", 3500, 741, 500),
            Photo("motorcycle_right.png", 3500, 741, 500),
            Photo("hubble_deep_field.jpg", 1000, 1000, 872),
            Photo("retina.jpg", 1000, 1411, 1411),
        ),
        "validation": (Photo("rocket.jpg", 750, 640, 427), Photo("ihc.png", 750, 512, 512)),
        "test": (Photo("chelsea.png", 600, 451, 300), Photo("coffee.png", 600, 600, 400)),
    }

    def source(self) -> Source:
        folder = _folder()
        checksums = {photo.file: file_sha256(folder / photo.file) for part in PARTS for photo in self.photos[part]}
        counts = {part: sum(_count(photo, self.size) for photo in self.photos[part]) for part in PARTS}
        scenes = {part: ", ".join(Path(photo.file).stem for photo in self.photos[part]) for part in PARTS}
        return Source(
            {"sha256": checksums, "scales": list(SCALES), "steps": STEPS, "textured": TEXTURED},
            **counts,
            fill=self._fill,
            remarks=(
                *(f"{part}: crops of {scenes[part]}" for part in PARTS),
                "crops of one photograph overlap, so intervals over images come out too narrow",
            ),
        )

    def _fill(self, chosen: Pixels, out: Pixels) -> Counter[str]:
        for part in PARTS:
            pool = np.concatenate([_crops(photo, self.size) for photo in self.photos[part]])
            out[part][:] = pool[chosen[part]]
        return Counter()


def _folder() -> Path:
    found = importlib.util.find_spec("skimage")
    folder = Path(found.submodule_search_locations[0]) / "data" if found and found.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        raise DataError("dataset photos: scikit-image's pictures are missing; install scikit-image")
    return folder


def _grid(photo: Photo, size: int) -> list[tuple[int, int, int]]:
    """Width and height of each scaled copy and the step between its crops; a photograph is never enlarged."""
    short = min(photo.width, photo.height)
    scales = [scale for scale in SCALES if scale * size <= short]
    step = max(1, size // STEPS)
    return [(round(photo.width * scale * size / short), round(photo.height * scale * size / short), step) for scale in scales]


def _count(photo: Photo, size: int) -> int:
    crops = sum(((w - size) // step + 1) * ((h - size) // step + 1) for w, h, step in _grid(photo, size))
    return min(photo.most, int(TEXTURED * crops))


def _crops(photo: Photo, size: int) -> np.ndarray:
    """A photograph's crops, uint8 (N, 3, size, size): drawn from those whose luminance varies most."""
    image, _ = pictures.read(_folder() / photo.file)
    found = [np.empty((0, 3, size, size), np.uint8)]
    for width, height, step in _grid(photo, size):
        scaled = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        windows = np.lib.stride_tricks.sliding_window_view(scaled, (size, size), axis=(0, 1))[::step, ::step]
        found.append(windows.reshape(-1, 3, size, size))
    crops = np.concatenate(found)
    # Whole numbers, so that no rounding of one machine's sums decides.
    luminance = np.tensordot(crops.astype(np.int64), [299, 587, 114], (1, 0)).reshape(len(crops), -1) // 1000
    spread = luminance.shape[1] * (luminance**2).sum(1) - luminance.sum(1) ** 2
    best = np.argsort(-spread, kind="stable")[: int(TEXTURED * len(crops))]
    return crops[np.sort(best)[permutation(len(best), SEED, "photos", photo.file)[: photo.most]]]
