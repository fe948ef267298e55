"""What all tests share: Hypothesis without deadlines, and pictures to measure on."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from skimage import data

from bench.models import models

for name in [name for name in os.environ if name.startswith("NOISE_BENCH_")]:
    del os.environ[name]  # settings of whoever runs the tests
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for tensors this small a second thread only gets in the way

settings.register_profile("here", deadline=None, max_examples=30)
settings.register_profile("automatic", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile("automatic" if os.environ.get("CI") else "here")

CIFAR10 = Path(__file__).parents[2] / "shared/data/cifar10-lossless/test"


@pytest.fixture(scope="session")
def photos() -> np.ndarray:
    """(96, 3, 32, 32) uint8 cut from scikit-image's photographs."""
    cuts = [
        picture[top : top + 256 : 8, left : left + 256 : 8, :3].transpose(2, 0, 1)
        for picture in (data.astronaut(), data.coffee(), data.chelsea())
        for top in range(0, 40, 5)
        for left in range(0, 160, 40)
    ]
    return np.stack(cuts)


@pytest.fixture(scope="session")
def cifar10() -> np.ndarray:
    """(500, 3, 32, 32) uint8 of CIFAR-10, where they are present."""
    paths = sorted(CIFAR10.glob("*/*.png"))
    if not paths:
        pytest.skip("needs CIFAR-10 images beside the project")
    return np.stack([np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) for path in paths])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the tests' own where datasets are kept, instead of the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISE_BENCH_CACHE", str(folder))
        yield folder


@pytest.fixture
def no_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models without recipes, for tests that give them their own or have none in mind."""
    for name in models:
        monkeypatch.setattr(models[name], "recipe", {})
