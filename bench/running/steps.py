"""One cell from what is stored of it to its last test, as a generator of units of work and events."""

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import BenchError
from bench.core.words import counted
from bench.models import ClosedForm
from bench.results.code import Code
from bench.results.remarks import collapse, collapsed
from bench.results.store import CellStore
from bench.running.events import Begun, Event, Noticed, Scored, Trained
from bench.running.pace import Unit
from bench.running.pending import Pending
from bench.running.pools import WorkerDied
from bench.spec import Experiment
from bench.spec.cells import Cell, Work
from bench.training.budget import Budget
from bench.training.complexity import Complexity
from bench.training.state import Epoch, State
from bench.training.train import Diverged, finished
from bench.training.units import Context, diagnose_step, score_step, solve_step, train_step

STEP_SECONDS = 3.0  # how long one unit of training should take: what an interruption may lose, how often progress shows
SAVING_SHARE = 40  # a unit takes at least this many times as long as saving its state

Steps = Generator[Unit | Event, Any, None]


class CellFailed(Exception):
    """A unit of a cell raised; the text is the reason.

    tests: reasons by test id where only tests failed; the cell itself is trained.
    """

    def __init__(self, reason: str, tests: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.tests = tests or {}


@dataclass(frozen=True)
class CellRun:
    """One pending cell: it yields units, is sent their results, and stores them in its folder.

    complexity: that of its model, or why it has none.
    """

    left: Pending
    folder: CellStore
    context: Context
    experiment: Experiment
    complexity: Complexity | Exception
    code: Code

    @property
    def work(self) -> Work:
        return self.left.work

    @property
    def effort(self) -> float:
        """A measure of how long it takes, to compare cells by."""
        macs = 0 if isinstance(self.complexity, Exception) else self.complexity.macs or 0
        return float(macs) * (3 * self.left.epochs + 0.1)

    def steps(self) -> Steps:
        """Train the cell unless that is done, then score it.

        A unit that fails is to be thrown in as CellFailed; what can't go on without it is raised again.
        """
        yield Begun(self.left)
        self.folder.forget_failure()
        intact = self.folder.intact()
        if not intact:
            self.folder.discard()
        if not intact or self.left.stale:  # what other code has made stays until the new is whole
            yield from self._train()
        yield from self._score()

    def _train(self) -> Steps:
        """Store the trained cell, or that it needs no training."""
        cell, facts = self.work.cell, self._facts()
        if cell.trials():
            yield from self._search(facts)
        elif isinstance(cell.model, ClosedForm):
            state, seconds = yield Unit(solve_step, (self.context, cell.node()))
            spent = {"train_seconds": seconds, "made_with": state.made_with}
            self.folder.finish(cell, state, {**facts, **spent})
        elif cell.train:
            yield from self._finish((yield from self._training(cell, self.folder)), facts)
        else:
            self.folder.finish(cell, None, facts)

    def _finish(self, state: State, facts: Mapping[str, Any]) -> Steps:
        """Store a training that is over with what is found out about its network, and say so if it learnt nothing."""
        cell = self.work.cell
        try:
            found = yield Unit(diagnose_step, (self.context, cell.node(), state.kept))
            said = collapse(found) if collapsed(found) else ""
        except CellFailed as failure:  # no reason to lose a training
            found, said = {}, f"without diagnostics: {failure}"
        self.folder.finish(cell, state, {**facts, "diagnostics": found, "made_with": state.made_with})
        if said:
            yield Noticed(self.work, said)

    def _facts(self) -> dict[str, Any]:
        """What a cell's marker holds of its surroundings. Raises CellFailed for a model that can't be built."""
        if isinstance(self.complexity, Exception):
            raise CellFailed(reason(self.complexity))
        return {
            "dataset": self.experiment.dataset.label(),
            "size": self.experiment.dataset.size,
            "parameters": self.complexity.parameters,
            "macs": self.complexity.macs,
            "code": self.code.of_cell(self.work.cell),
        }

    def _search(self, facts: Mapping[str, Any]) -> Steps:
        """Train with each learning rate, as cells of their own, and store the one with the lowest validation loss."""
        tried: list[dict[str, Any]] = []
        for trial in self.work.cell.trials():
            assert trial.train is not None
            folder = self.folder.beside(trial.id)
            try:
                if not folder.intact() or self.code.stale_cell(folder.record(), trial):
                    state = yield from self._training(trial, folder)
                    folder.finish(trial, state, {**facts, "made_with": state.made_with})
            except CellFailed as failure:
                tried.append({"lr": trial.train.lr, "error": str(failure)})
                continue
            state = folder.last_state()
            loss = state.history[state.kept_epoch - 1].validation_loss
            if loss is None or not math.isfinite(loss):
                tried.append({"lr": trial.train.lr, "error": f"diverged: the validation loss is {loss}"})
                continue
            tried.append({"lr": trial.train.lr, "validation_loss": loss, "seconds": state.seconds, "cell": trial.id})
        done = [trial for trial in tried if "cell" in trial]
        if not done:
            raise CellFailed(f"every learning rate failed: {tried[0]['error']}")
        best = min(done, key=lambda trial: trial["validation_loss"])
        spent = {"lr": best["lr"], "search": tried, "train_seconds": sum(trial["seconds"] for trial in done)}
        yield from self._finish(self.folder.beside(best["cell"]).last_state(), {**facts, **spent})

    def _training(self, cell: Cell, folder: CellStore) -> Generator[Unit | Event, Any, State]:
        """The last state of the cell, or of one trial of its search; the ones before it are saved to go on from."""
        code, saving = self.code.of_cell(cell), 0.0
        state = folder.state(code)
        while not finished(cell, state):
            before = state
            epochs = _epochs_per_step(before.history, saving)
            expected = epochs * before.history[-1].seconds if before.history else None
            state = yield Unit(train_step, (self.context, cell.node(), before, epochs), expected)
            if not finished(cell, state):
                started = time.perf_counter()
                folder.save_state(state, code)
                saving = time.perf_counter() - started
            new = state.history[before.epoch :]
            yield Trained(self.work, cell, len(new), _speed(cell, new), new[-1])
        return state

    def _score(self) -> Steps:
        """Score every test, or only make its samples where no metric is missing. One that fails leaves the others."""
        cell, weights = self.work.cell, self.folder.weights()
        reasons: dict[str, str] = {}
        for test in self.work.tests:
            noise, known = test.noise, test.id(cell.data)
            missing = self.folder.lacking(known, self.experiment.metrics)
            wanted = self.code.to_compute(self.folder.score(known), cell, noise, self.experiment.metrics, missing)
            metrics = tuple(metric.node() for metric in wanted)
            try:
                step = (self.context, cell.node(), weights, noise.node(), test.ensemble, metrics, test.seed)
                score = yield Unit(score_step, step)
            except CellFailed as failure:
                reasons[known] = str(failure)
                continue
            if metrics:
                code = self.code.of_test(cell, noise)
                averages = self.folder.finish_score(test, cell.data, score, self.experiment.metrics, code)
            else:
                self.folder.renew_samples(known, score.samples)
                averages = self.folder.averages(known, self.experiment.metrics)
            yield Scored(self.work, test, {column: average.mean for column, average in averages.items()})
        if reasons:
            others = f" (and {counted(len(reasons) - 1, 'more test')} failed)" if len(reasons) > 1 else ""
            raise CellFailed(next(iter(reasons.values())) + others, reasons)


def reason(error: Exception) -> str:
    """Why a unit failed, in one line: known errors by their text alone, others after their type."""
    if _out_of_memory(error):
        return "out of memory: try a smaller train.batch_size, fewer --workers or a smaller model"
    text = str(error).strip().splitlines()
    known = isinstance(error, BenchError | Diverged | WorkerDied)
    return ": ".join([*([] if known and text else [type(error).__name__]), *text[:1]])


def _out_of_memory(error: Exception) -> bool:
    """Whether memory was refused, by Python, numpy, a GPU, or torch on the CPU, which has no class for it."""
    named = any(cls.__name__ in ("MemoryError", "OutOfMemoryError") for cls in type(error).__mro__)
    return named or "can't allocate memory" in str(error)


def _speed(cell: Cell, epochs: Sequence[Epoch]) -> float:
    """Images a second in some epochs, of which the last one of a training may be cut short by its budget."""
    assert cell.train is not None
    budget = Budget.of(cell.train, cell.data["train"])
    return sum(budget.images_in(done.epoch) for done in epochs) / sum(done.seconds for done in epochs)


def _epochs_per_step(history: Sequence[Epoch], saving: float) -> int:
    if not history:
        return 1
    seconds = max(STEP_SECONDS, SAVING_SHARE * saving)
    return max(1, round(seconds / max(history[-1].seconds, 1e-3)))
