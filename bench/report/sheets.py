"""The sample pictures of a results folder, as they are stored."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from bench.report.figures import Column, Sheet
from bench.results.files import DamagedResult
from bench.results.names import contender_names, short_noises
from bench.results.noise_tests import NoiseTest
from bench.results.records import Contender, RunPlan
from bench.results.store import SAMPLES_VERSION, CellStore, Store
from bench.results.without import LeftOut

ROWS_SHOWN = 4  # test images per samples figure
OLDER = "older: run the spec again to draw them anew"  # an earlier version stored pictures out of order

NO_PICTURES = np.zeros((0, 3, 1, 1), np.uint8)


@dataclass(frozen=True)
class Sample:
    """The first test images of a test. values: the leading metric of each, None where it can't be read."""

    original: np.ndarray
    noisy: np.ndarray
    output: np.ndarray
    values: np.ndarray | None


def sheets(store: Store, plan: RunPlan, without: LeftOut | None = None) -> Iterator[Sheet]:
    """For each test noise, the first test images as each contender restored them: with the first seed there is.

    without: test images to leave out.
    """
    for test in plan.tests:
        hidden = without.positions if without and test.on_test_images else ()
        found: dict[Contender, Sample] = {}
        missing: dict[Contender, str] = {}
        for cell in plan.cells:
            if test in cell.tests and cell.contender not in found:
                sample = _sample(store.cell(cell.id), test.stored_as(cell.ensemble), plan.leading.column, hidden)
                if isinstance(sample, Sample):
                    found[cell.contender] = sample
                else:
                    missing.setdefault(cell.contender, sample)
        if found or {"damaged", OLDER} & set(missing.values()):
            yield _sheet(plan, test, found, {who: why for who, why in missing.items() if who not in found})


def _sample(folder: CellStore, test: str, column: str, hidden: Collection[int]) -> Sample | str:
    """What is stored of a test, or why there is nothing to show: `to run`, `failed`, `damaged` or OLDER.

    hidden: positions of images that are not shown.
    """
    score = folder.score(test)
    if score is None:
        return "failed" if folder.failure(test) else "to run"
    if score.get("samples") != SAMPLES_VERSION:
        return OLDER
    try:
        stored = folder.samples(test)
    except DamagedResult:
        return "damaged"
    shown = [place for place in range(len(stored["original"])) if place not in hidden][:ROWS_SHOWN]
    values = _values(folder, test, column)
    original, noisy, output = (stored[part][shown] for part in ("original", "noisy", "output"))
    return Sample(original, noisy, output, None if values is None else values[shown])


def _values(folder: CellStore, test: str, column: str) -> np.ndarray | None:
    try:
        values = folder.values(test).get(column)
    except DamagedResult:
        return None
    return None if values is None else values.to_numpy()


def _sheet(plan: RunPlan, test: NoiseTest, found: dict[Contender, Sample], missing: dict[Contender, str]) -> Sheet:
    everyone = [cell.contender for cell in plan.cells if test in cell.tests]
    short = short_noises((cell.contender for cell in plan.cells), plan.tests)
    names = contender_names(everyone, any(who.train_noise not in (None, test.label) for who in everyone), short)
    idle = next((sample.values for who, sample in found.items() if who.model.name == "identity"), None)
    first = next(iter(found.values()), None)
    return Sheet(
        noise=short[test.label],
        metric=plan.leading,
        original=Column("original", first.original if first else NO_PICTURES),
        noisy=Column("noisy", first.noisy if first else NO_PICTURES, idle),
        restored=tuple(Column(names[who], sample.output, sample.values) for who, sample in found.items()),
        missing={names[who]: why for who, why in missing.items()},
    )
