"""What all groups of measurements share: how much is measured, where, and what an entry of results/perf.json holds."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.perf import fresh
from tests.perf.fresh import ROOT

Entry = dict[str, Any]
Runs = Sequence[Mapping[str, Any]]

PROCESSES = 2  # on as many cores: what `make perf` is about

DEFAULT = ROOT / "experiments/default.yaml"

# How ours is trained where two processes are compared with one: as at earlier commits, whatever the recipes of today.
ADAM = {"optimizer": "adam", "batch_size": 32, "lr": 2e-3, "schedule": "cosine"}

# Training images with which a model, by its own recipe, ends at the study's PSNR; then further budgets for the figure,
# each a whole schedule.
BUDGETS = {"res_unet": (3200, 1600, 6000, 12_000, 24_000, 48_000), "conv": (26_000, 6000, 12_000, 48_000)}


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    rounds: of each comparison. images, epochs, cells: of the grid that training speed is measured on.
    turns, turn_epochs: of the comparison with bare steps.
    grid_cells, grid_epochs: of the grid that two processes and one take.
    scored, peer_scored: images for the metrics, and how many of them scikit-image gets.
    growth_cells, rerun_cells: sizes of grids. busy_images: with which a cell takes 50 ms.
    growth_images: training and test images of small and large data.
    help_calls: of `bench --help`. cluster_cells: trainings on a cluster. budgets: as BUDGETS.
    """

    rounds: int = 3
    images: int = 2500
    epochs: int = 6
    cells: int = 4
    turns: int = 15
    turn_epochs: int = 2
    grid_cells: int = 8
    grid_epochs: int = 6
    scored: int = 10_000
    peer_scored: int = 2000
    growth_cells: tuple[int, ...] = (10, 100, 1000)
    rerun_cells: int = 200
    busy_images: int = 1280
    growth_images: tuple[tuple[int, int], ...] = ((4850, 1000), (48_500, 10_000))
    help_calls: int = 11
    cluster_cells: int = 64
    budgets: Mapping[str, Sequence[int]] = field(default_factory=lambda: BUDGETS)


@dataclass(frozen=True)
class Bench:
    """Where and how a group measures. data: an ImageFolder. work: a folder that is removed afterwards."""

    data: Path
    work: Path
    settings: Settings
    say: Callable[[str], None]

    def folder(self) -> str:
        """A new folder, so that no result is taken up again."""
        return tempfile.mkdtemp(dir=self.work)

    def grid(self, **arguments: Any) -> dict[str, Any]:
        """One run of our engine on the data."""
        return fresh.call("ours:grid", **{"root": str(self.data), "results": self.folder(), **arguments})

    def rounds(self, shown: str, **sides: Callable[[], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        """What each side gives, measured in turns: A B A B. shown: the key that is told as it comes."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for number in range(self.settings.rounds):
            for name, measure in sides.items():
                found[name].append(measure())
                self.say(f"  round {number + 1}/{self.settings.rounds}, {name}: {shown} {found[name][-1][shown]:,.4g}")
        return found


def entry(values: Sequence[float], unit: str, conditions: str, **more: Any) -> Entry:
    """The median of what was found, its range, and what it holds for."""
    return {**figure(values, unit), "conditions": conditions, **more}


def figure(values: Sequence[float], unit: str) -> Entry:
    """The median and the range."""
    return {"value": float(np.median(values)), "unit": unit, "range": [min(values), max(values)]}


def faster(ours: Runs, other: Runs, key: str, unit: str, conditions: str) -> Entry:
    """How many times better ours is, round by round: more images per second, or fewer seconds."""
    mine, theirs = values(ours, key), values(other, key)
    above, below = (mine, theirs) if unit.endswith("/s") else (theirs, mine)
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return entry(ratios, "ratio", conditions, ours=figure(mine, unit), other=figure(theirs, unit))


def values(runs: Runs, key: str) -> list[float]:
    return [run[key] for run in runs]


def middle(runs: Runs, key: str) -> float:
    return float(np.median(values(runs, key)))
