"""What happens in a run, for whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.spec.cells import Work
from bench.training.state import Epoch


@dataclass(frozen=True)
class Started:
    """A run has found out what is left to do.

    cells: of the whole plan. pending: cells that are not finished. epochs, tests: what is left in them, each learning
    rate of a search counted. workers: processes that do it.
    """

    cells: int
    pending: int
    epochs: int
    tests: int
    workers: int


@dataclass(frozen=True)
class Trained:
    """Some epochs of a cell are done. new_epochs: how many. last: the latest of them."""

    work: Work
    new_epochs: int
    images_per_second: float
    last: Epoch


@dataclass(frozen=True)
class Scored:
    """A test of a cell is stored. test: the noise's label. means: over the images, by metric column."""

    work: Work
    test: str
    means: Mapping[str, float]


@dataclass(frozen=True)
class Done:
    """A cell is finished, its tests included."""

    work: Work


@dataclass(frozen=True)
class Failed:
    """A cell, or some of its tests, has no result, and why."""

    work: Work
    reason: str


Event = Started | Trained | Scored | Done | Failed
