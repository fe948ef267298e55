"""What happens in a run, for whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.models import Model
from bench.running.pending import Pending
from bench.spec.cells import Cell, Scoring, Work
from bench.training.state import Epoch


@dataclass(frozen=True)
class Started:
    """A run has found out what is left to do.

    cells: of the whole plan. pending: cells that are not finished. epochs: of those that are not trained yet, each
    learning rate of a search counted. done: how many of these epochs earlier runs have done. resumed: cells that have
    such epochs. tests: still to be scored. workers: processes that do it. left: what each pending cell still needs.
    """

    cells: int
    pending: int
    epochs: int
    tests: int
    workers: int
    done: int = 0
    resumed: int = 0
    left: tuple[Pending, ...] = field(default=(), compare=False)  # the counts above say what matters of it


@dataclass(frozen=True)
class Counted:
    """The models that are left were counted. macs: multiply-accumulates an image, of those that have a number."""

    macs: Mapping[Model, int]


@dataclass(frozen=True)
class Begun:
    """A cell is about to be trained or scored. left: what it needs; its epochs that are done are not done again."""

    left: Pending


@dataclass(frozen=True)
class Trained:
    """Some epochs of a cell are done.

    cell: what is trained: the work's cell, or the cell of one learning rate of its search.
    new_epochs: how many. last: the latest of them.
    """

    work: Work
    cell: Cell
    new_epochs: int
    images_per_second: float
    last: Epoch


@dataclass(frozen=True)
class Noticed:
    """A cell is trained, and something about it must be known. what: in words."""

    work: Work
    what: str


@dataclass(frozen=True)
class Scored:
    """A test of a cell is stored.

    means: over the images, by metric column; infinite where all are exact.
    """

    work: Work
    test: Scoring
    means: Mapping[str, float]


@dataclass(frozen=True)
class Done:
    """A cell is finished, its tests included."""

    work: Work


@dataclass(frozen=True)
class Failed:
    """A cell, or some of its tests, has no result, and why.

    error: where that is a fault of this package, for its traceback.
    """

    work: Work
    reason: str
    error: Exception | None = None


Event = Started | Counted | Begun | Trained | Noticed | Scored | Done | Failed
