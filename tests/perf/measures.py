"""What `make perf` measures, group by group: each gives the entries of results/perf.json that it stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.spec import Train

from . import fresh, growth, pictures, reference

Entry = dict[str, Any]
PROCESSES = 2  # and cores: more are left idle
LOADERS = (0, 1, 2)


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    rounds: of each comparison. images, epochs: of the training speeds. cells: of the grid that they are measured on.
    grid_epochs: of the 8 cells that two processes and one share. scored, peer_scored: images for the metrics, and how
    many of them scikit-image gets. growth_cells, rerun_cells: sizes of grids. growth_images: training and test images.
    recipes: model -> training settings that reach the study's PSNR, epochs as a list of budgets, shortest first.
    """

    rounds: int = 3
    images: int = 2500
    epochs: int = 6
    cells: int = 4
    grid_epochs: int = 4
    scored: int = 10_000
    peer_scored: int = 2000
    growth_cells: tuple[int, ...] = (10, 100, 1000)
    rerun_cells: int = 200
    growth_images: tuple[tuple[int, int], ...] = ((4850, 1000), (48_500, 10_000))
    recipes: Mapping[str, Mapping[str, Any]] = ()  # type: ignore[assignment]


@dataclass(frozen=True)
class Bench:
    """Where and how a group measures. data: an ImageFolder. work: a folder that is removed afterwards."""

    data: Path
    work: Path
    settings: Settings
    say: Callable[[str], None]

    def fresh_folder(self) -> str:
        """A new name under `work`, for results that must not be taken up again."""
        return str(self.work / f"run-{len(list(self.work.glob('run-*'))):03d}")
