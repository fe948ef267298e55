"""What is left of a plan: the cells that are not finished, and how far their trainings have come."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.code import Code
from bench.results.store import CellStore, Store
from bench.spec import Experiment
from bench.spec.cells import Cell, Scoring, Work


@dataclass(frozen=True)
class Pending:
    """A cell that is not finished.

    work: the cell and the tests it still has to be scored on.
    epochs: of its training, each learning rate of a search counted; 0 where it is trained or needs no training.
    done: how many of these epochs earlier runs have done.
    stale: whether it is finished, but made by other code than today's.
    """

    work: Work
    epochs: int = 0
    done: int = 0
    stale: bool = False


def pending(works: Sequence[Work], store: Store, experiment: Experiment, keep_stale: bool = False) -> list[Pending]:
    """The cells that are not finished; what is damaged is not finished.

    keep_stale: whether what other code has made is finished.
    """
    found, code = [], Code.of(experiment, keep_stale)
    for work in works:
        folder = store.cell(work.cell.id)
        stale = bool(code.stale_cell(folder.record(), work.cell))
        tests = tuple(test for test in work.tests if stale or _left(folder, work.cell, test, experiment, code))
        if not tests and folder.finished and not stale:
            continue
        if folder.intact() and not stale:
            found.append(Pending(Work(work.cell, tests)))
        else:
            tests = work.tests if folder.finished else tests
            found.append(Pending(Work(work.cell, tests), *_epochs(work.cell, folder, code), stale))
    return found


def _left(folder: CellStore, cell: Cell, test: Scoring, experiment: Experiment, code: Code) -> bool:
    """Whether a test is still to be scored, or again."""
    known = test.id(cell.data)
    return not folder.scored(known, experiment.metrics) or bool(code.stale_test(folder.score(known), cell, test.noise))


def _epochs(cell: Cell, folder: CellStore, code: Code) -> tuple[int, int]:
    """The epochs of a cell's training, and how many of them are done."""
    trainings = [(trial, folder.beside(trial.id)) for trial in cell.trials()] or [(cell, folder)]
    return sum(one.epochs for one, _ in trainings), sum(_done(*training, code) for training in trainings)


def _done(cell: Cell, folder: CellStore, code: Code) -> int:
    whole = folder.intact() and not code.stale_cell(folder.record(), cell)
    return cell.epochs if whole else folder.state(code.of_cell(cell)).epoch
