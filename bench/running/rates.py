"""How long what is left to train will take, by what a run has shown so far: for where nothing was measured before."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean

from bench.models import Model
from bench.running.pending import Pending
from bench.spec.cells import Cell

GROWTH = 0.5  # the power of multiply-accumulates that an image's time grew by, over 12 networks (docs/family.md)


class Rates:
    """Seconds a training image by each model, and how many images are left.

    macs: multiply-accumulates an image by each model: a model that was not seen yet is held against those that were.
    """

    def __init__(self, left: Iterable[Pending] = ()) -> None:
        self.macs: Mapping[Model, int] = {}
        self.seen: dict[Model, float] = {}
        self.images: defaultdict[Model, float] = defaultdict(float)
        self.seconds = 0.0  # of the cells whose budget is time
        for one in left:
            self._count(one, one.epochs - one.done)

    def note(self, left: Pending, cell: Cell, epochs: int, images_per_second: float) -> None:
        """Some epochs of a cell are done."""
        self.seen[cell.model] = 1 / images_per_second
        self._count(left, -epochs)

    def end(self, left: Pending, done: int) -> None:
        """A cell has ended: what it has left undone after so many epochs is not to be done any more."""
        self._count(left, done - left.epochs)

    def left(self, processes: int) -> float | None:
        """Seconds still to go in so many processes; None as long as nothing was trained."""
        if not self.seen:
            return None
        typical, plain = self._typical(), fmean(self.seen.values())
        busy = self.seconds
        for model, images in self.images.items():
            macs = self.macs.get(model)
            other = typical * math.pow(macs, GROWTH) if macs and typical else plain
            busy += images * self.seen.get(model, other)
        return busy / max(1, processes)

    def _typical(self) -> float | None:
        """Seconds an image for each power of a multiply-accumulate, of the models seen; None where none is counted."""
        known = [rate / math.pow(macs, GROWTH) for model, rate in self.seen.items() if (macs := self.macs.get(model))]
        return fmean(known) if known else None

    def _count(self, left: Pending, epochs: int) -> None:
        cell = left.work.cell
        if cell.train and cell.train.seconds:
            self.seconds += cell.train.seconds * epochs / cell.epochs
        elif left.epochs:
            self.images[cell.model] += cell.images * epochs / cell.epochs
