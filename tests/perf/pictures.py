"""The images that are measured on."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from bench.datasets import datasets
from tests.perf.fresh import ROOT

CIFAR10 = ROOT.parent / "shared/data/cifar10-exact"  # CIFAR-10 images beside the project, where they are
LARGE = {"train": 48_500, "test": 10_000}


def find(given: str | None, work: Path) -> Path:
    """The ImageFolder to measure on: the one given, CIFAR-10 images beside the project, else bundled photographs."""
    if given:
        root = Path(given).expanduser().absolute()
        if not all((root / split).is_dir() for split in LARGE):
            raise SystemExit(f"{root}: expected the folders train and test with a folder per class in each")
        return root
    if CIFAR10.is_dir():
        return CIFAR10
    photos = datasets.parse({"photos": {"train": 2500, "validation": 0, "test": 500}}).load()
    for split, pixels in (("train", photos.train), ("test", photos.test)):
        _write(work / "photos", split, iter(pixels.transpose(0, 2, 3, 1)), len(pixels), "png")
    return work / "photos"


def describe(root: Path) -> str:
    return f"{root.name} ({number(root, 'train'):,} training and {number(root, 'test'):,} test images)"


def number(root: Path, split: str) -> int:
    """How many files a split has."""
    return sum(len(files) for _, _, files in os.walk(root / split))


def read(root: Path, split: str, most: int) -> np.ndarray:
    """(N, H, W, 3) uint8, evenly from the split's files. The first file's size is taken for all."""
    paths = sorted(path for path in (root / split).rglob("*") if path.is_file())
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int)]
    size = Image.open(chosen[0]).size
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize(size)) for path in chosen])


def large(root: Path, work: Path, sizes: dict[str, int]) -> Path:
    """An ImageFolder with that many images at least: the one given, or one made of moved copies of its images."""
    if all(number(root, split) >= wanted for split, wanted in sizes.items()):
        return root
    made = work / "large"
    endless = _moved(read(root, "train", 2500))
    for split, wanted in sizes.items():
        _write(made, split, endless, wanted, "jpg")
    return made


def pairs(root: Path, folder: Path, wanted: int) -> None:
    """Images and targets to score: 32x32 pixels with a little noise on them, float32 (N, 3, H, W) in [0, 1]."""
    endless = _moved(read(root, "test", 2500))
    targets = np.stack([next(endless) for _ in range(wanted)]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    draw = np.random.default_rng(0)
    images = (targets + 0.05 * draw.standard_normal(targets.shape, np.float32)).clip(0, 1)
    np.save(folder / "images.npy", images)
    np.save(folder / "targets.npy", np.ascontiguousarray(targets))


def _moved(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The images, then the images moved round by a pixel, by two, ...: no two alike."""
    for distance in count():
        for image in pixels:
            yield np.roll(image, (distance // image.shape[1], distance), (0, 1))


def _write(root: Path, split: str, pixels: Iterator[np.ndarray], wanted: int, suffix: str) -> None:
    folder = root / split / "all"
    folder.mkdir(parents=True)

    def save(item: tuple[int, np.ndarray]) -> None:
        Image.fromarray(item[1]).save(folder / f"{item[0]:05d}.{suffix}")

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(save, ((i, next(pixels)) for i in range(wanted))):
            pass
