"""What is left of a plan: the cells that are not finished, and how far their trainings have come."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.metrics import Metric
from bench.results.store import CellStore, Store
from bench.spec.cells import Cell, Work


@dataclass(frozen=True)
class Pending:
    """A cell that is not finished.

    work: the cell and the tests it still has to be scored on.
    epochs: of its training, each learning rate of a search counted; 0 where it is trained or needs no training.
    done: how many of these epochs earlier runs have done.
    """

    work: Work
    epochs: int = 0
    done: int = 0


def pending(works: Sequence[Work], store: Store, metrics: Sequence[Metric]) -> list[Pending]:
    """The cells that are not finished; what is damaged is not finished."""
    found = []
    for work in works:
        folder = store.cell(work.cell.id)
        tests = tuple(test for test in work.tests if not folder.scored(test.id(work.cell.data), metrics))
        if not tests and folder.finished:
            continue
        if folder.intact():
            found.append(Pending(Work(work.cell, tests)))
        else:
            tests = work.tests if folder.finished else tests
            found.append(Pending(Work(work.cell, tests), *_epochs(work.cell, folder)))
    return found


def _epochs(cell: Cell, folder: CellStore) -> tuple[int, int]:
    """The epochs of a cell's training, and how many of them are done."""
    trainings = [(trial, folder.beside(trial.id)) for trial in cell.trials()] or [(cell, folder)]
    return sum(one.epochs for one, _ in trainings), sum(_done(*training) for training in trainings)


def _done(cell: Cell, folder: CellStore) -> int:
    return cell.epochs if folder.intact() else folder.state().epoch
