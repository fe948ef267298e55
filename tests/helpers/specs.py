"""A small spec on a folder of made-up pictures, and ways to spoil it."""

from pathlib import Path

import numpy as np
from PIL import Image

GOOD = """\
name: good
dataset: {name: folder, root: images, size: 32, train: 20, validation: 0.1, test: 4}
models: [conv, {median: {size: [3, 5]}}, identity]
noises:
  - gaussian: {sigma: 0.1}
  - masking: {p: 0.25}
train: {epochs: 1, batch_size: 16}
seeds: [0]
"""


def changed(old: str, new: str) -> str:
    """The good spec with one part replaced."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def make_images(folder: Path, train: int = 20, test: int = 4) -> Path:
    """Pictures of noise in FOLDER/images/{train,test}."""
    draw = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        home = folder / "images" / split
        home.mkdir(parents=True)
        for position in range(count):
            Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(home / f"{position:02}.png")
    return folder / "images"
