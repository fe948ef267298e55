"""Specs and cells to run, and specs to spoil."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.models import ClosedForm, models
from bench.noises import Noise, noises
from bench.spec import Train
from bench.spec.cells import Cell
from tests.helpers.images import smooth_pictures

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


SPEC = """\
name: tiny
dataset: {name: folder, root: ROOT, size: 16, train: 40, validation: 0.2, test: 10}
models: [{conv: {width: 4}}, identity]
noises:
  - gaussian: {sigma: 0.1}
  - masking: {p: 0.25}
train: {epochs: 2, batch_size: 16, lr: 2.0e-3, device: cpu}
"""


def cell_of(
    model: Any = "identity", noise: Any = "gaussian", seed: int = 0, objective: str = "denoise", **train: Any
) -> Cell:
    """A cell; its training is short, on the processor and in float32 unless said otherwise."""
    found = models.parse(model)
    if not found.trains:
        solved_for = noises.parse(noise) if isinstance(found, ClosedForm) and found.for_noise else None
        return Cell(found, solved_for, None, None, {"train": 40, "test": 10})
    settings = Train(**{"epochs": 3, "batch_size": 16, "precision": "float32", "device": "cpu", "lr": 2e-3, **train})
    met: Noise | None = noises.parse(noise) if objective != "autoencode" else None
    return Cell(found, met, seed, settings, {"train": 40, "test": 10})


def write_spec(folder: Path, *changes: tuple[str, str]) -> Path:
    """The small spec in a folder, its pictures beside it, with parts of the text replaced."""
    root = folder / "images"
    if not root.exists():
        for split, count, seed in (("train", 40, 1), ("test", 10, 3)):
            home = root / split
            home.mkdir(parents=True)
            for position, image in enumerate(smooth_pictures(count, 16, seed)):
                Image.fromarray(image.transpose(1, 2, 0)).save(home / f"{position:02}.png")
    text = SPEC.replace("ROOT", str(root))
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "spec.yaml"
    path.write_text(text)
    return path
