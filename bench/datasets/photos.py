"""Photographs that scikit-image ships, cut into small images: always available, no download."""

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from bench.core import pictures
from bench.core.errors import DataError
from bench.core.values import plain
from bench.datasets.base import PARTS, Dataset, Pixels, Source, datasets
from bench.datasets.cache import file_sha256

STEPS = 8  # crops along one image's side, so neighbours overlap


class Photo(NamedTuple):
    """A photograph of scikit-image and how it is cut.

    scales: it is reduced until its shorter side holds 1, 2, ... up to this many images; at larger scales it is blurred.
    share: of its crops, those kept: the ones whose luminance varies most. Small where much of the photograph is plain.
    width, height: in pixels.
    """

    file: str
    scales: int
    share: float
    width: int
    height: int


@datasets.register("photos")
@dataclass(frozen=True)
class Photos(Dataset):
    """Crops of scikit-image's bundled photographs at several scales; train, validation and test show different scenes.

    Source: skimage.data, whose README names each photograph's author and licence.
    """

    sample = False  # crops of two scenes

    # Both motorcycles are one scene, seen by two cameras.
    photos: ClassVar[dict[str, tuple[Photo, ...]]] = {
        "train": (
            Photo("astronaut.png", 6, 0.75, 512, 512),
            Photo("motorcycle_left.png", 6, 0.75, 741, 500),
            Photo("motorcycle_right.png", 6, 0.75, 741, 500),
            Photo("hubble_deep_field.jpg", 4, 0.5, 1000, 872),
            Photo("retina.jpg", 4, 0.5, 1411, 1411),
        ),
        "validation": (Photo("rocket.jpg", 4, 0.35, 640, 427), Photo("ihc.png", 4, 0.75, 512, 512)),
        "test": (Photo("chelsea.png", 4, 0.4, 451, 300), Photo("coffee.png", 4, 0.4, 600, 400)),
    }

    def source(self) -> Source:
        folder = _folder()
        checksums = {photo.file: file_sha256(folder / photo.file) for part in PARTS for photo in self.photos[part]}
        counts = {part: sum(_count(photo, self.size) for photo in self.photos[part]) for part in PARTS}
        scenes = {part: ", ".join(Path(photo.file).stem for photo in self.photos[part]) for part in PARTS}
        return Source(
            {"sha256": checksums, "cuts": plain([self.photos[part] for part in PARTS]), "steps": STEPS},
            train=counts["train"],
            validation=counts["validation"],
            test=counts["test"],
            fill=self._fill,
            remarks=tuple(f"{part}: crops of {scenes[part]}" for part in PARTS),
            caveats=("these photographs only: crops of few scenes are no sample, so intervals are over seeds alone",),
        )

    def _fill(self, chosen: Pixels, out: Pixels) -> Counter[str]:
        for part in PARTS:
            pool = np.concatenate([_crops(photo, self.size) for photo in self.photos[part]])
            out[part][:] = pool[chosen[part]]
        return Counter()


def _folder() -> Path:
    found = importlib.util.find_spec("skimage")
    folder = Path(found.submodule_search_locations[0]) / "data" if found and found.submodule_search_locations else None
    needed = [photo.file for part in PARTS for photo in Photos.photos[part]]
    if folder is None or not all((folder / file).is_file() for file in needed):
        raise DataError(f"dataset photos: scikit-image's {', '.join(needed)} are not all there; reinstall its wheel")
    return folder


def _grid(photo: Photo, size: int) -> list[tuple[int, int, int]]:
    """Width and height of each reduced copy, and the step between its crops."""
    short = min(photo.width, photo.height)
    shorts = [scale * size for scale in range(1, photo.scales + 1) if scale * size <= short]
    step = max(1, size // STEPS)
    return [(round(photo.width * side / short), round(photo.height * side / short), step) for side in shorts]


def _count(photo: Photo, size: int) -> int:
    """How many crops a photograph gives, without reading it."""
    crops = sum(((w - size) // step + 1) * ((h - size) // step + 1) for w, h, step in _grid(photo, size))
    return int(photo.share * crops)


def _crops(photo: Photo, size: int) -> np.ndarray:
    """The crops of a photograph whose luminance varies most, uint8 (N, 3, size, size)."""
    picture = pictures.read(_folder() / photo.file)
    crops = [np.empty((0, 3, size, size), np.uint8)]
    spreads = [np.empty(0, np.int64)]
    for width, height, step in _grid(photo, size):
        pixels, grey = picture.scaled(width, height)
        crops.append(_windows(pixels, size, step).reshape(-1, 3, size, size))
        # Integers, so that the choice of crops does not depend on a machine's rounding.
        luminance = _windows(grey, size, step).reshape(-1, size * size).astype(np.int64)
        spreads.append(size * size * (luminance**2).sum(1) - luminance.sum(1) ** 2)
    order = np.argsort(-np.concatenate(spreads), kind="stable")[: _count(photo, size)]
    kept: np.ndarray = np.concatenate(crops)[np.sort(order)]
    return kept


def _windows(pixels: np.ndarray, size: int, step: int) -> np.ndarray:
    """The windows of a picture (height, width, ...) at every `step` pixels: (rows, columns, ..., size, size)."""
    return np.lib.stride_tricks.sliding_window_view(pixels, (size, size), axis=(0, 1))[::step, ::step]
