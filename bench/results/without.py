"""Results without some of the test images: means from the values stored of each image, nothing scored anew."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import spec
from bench.core.errors import BenchError, DataError, SpecError, shorten
from bench.results.records import ResultRow, RunPlan
from bench.results.store import Store

COLUMN = "test"  # of a CSV that names images
NAMED = 3  # in a message; the others are counted


@dataclass(frozen=True)
class LeftOut:
    """The test images that a file names.

    file: its name. positions: of the images among the test images. total: how many of those there are.
    """

    file: str
    positions: tuple[int, ...]
    total: int

    @cached_property
    def kept(self) -> np.ndarray:
        """The positions of the others."""
        return np.setdiff1d(np.arange(self.total), self.positions)

    def of_plan(self, plan: RunPlan) -> RunPlan:
        """The plan of results that say so, and how many images are left."""
        said = f"{len(self.positions)} of {self.total:,} test images left out: those that {self.file} names"
        groups = tuple(np.array(plan.notes.groups)[self.kept].tolist()) if plan.notes.groups else ()
        notes = replace(plan.notes, caveats=(*plan.notes.caveats, said), groups=groups)
        return replace(plan, data={**plan.data, "test": len(self.kept)}, notes=notes)

    def of_rows(self, rows: Sequence[ResultRow], store: Store) -> Iterator[ResultRow]:
        """The rows with what the values of the other images come to. Raises DamagedResult."""
        planned = store.plan().metrics
        for row in rows:
            if row.state != "scored" or not row.test.on_test_images:
                yield row
                continue
            values = store.cell(row.cell.id).values(row.score_id).iloc[self.kept]
            metrics = (metric for metric in planned if metric.column in row.averages)
            averages = {metric.column: metric.summary(values[metric.column].to_numpy()) for metric in metrics}
            yield replace(row, n_images=len(self.kept), averages=averages)


def left_out(store: Store, file: Path) -> LeftOut:
    """The test images of a results folder that a file names: a name a line, or a CSV with a column `test`.

    Raises SpecError for a file that can't be read, unknown names, or where nothing would be left; BenchError where
    nobody knows what the images of a folder are called.
    """
    names = _names(store)
    asked = list(dict.fromkeys(_asked(file)))
    known = {name: position for position, name in enumerate(names)}
    if unknown := [name for name in asked if name not in known]:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        raise SpecError(
            f"{file}: no test image is called {', '.join(map(shorten, unknown[:NAMED]))}{more}; the first of "
            f"{len(names):,} is {shorten(names[0])}"
        )
    if not asked or len(asked) == len(names):
        raise SpecError(f"{file} names {'all' if asked else 'none'} of the {len(names):,} test images")
    return LeftOut(file.name, tuple(sorted(known[name] for name in asked)), len(names))


def _asked(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: can't be read: {error}") from None
    if lines and COLUMN in next(csv.reader(lines[:1])):
        return [row[COLUMN] for row in csv.DictReader(lines)]
    return [line.strip() for line in lines if line.strip()]


def _names(store: Store) -> list[str]:
    """What the test images are called: as the folder says, or the dataset of its spec where that has its images."""
    if (names := store.image_names()) is not None:
        return names
    plan, path = store.plan(), store.root / "experiment.yaml"
    advice = "run its spec again, which trains nothing that is finished"
    try:
        experiment = spec.load(path)
        dataset = (experiment.with_fallback() if plan.stand_in_for else experiment).dataset
        if dataset.identity() == plan.data:
            return dataset.test_names()
    except (DataError, SpecError) as error:
        raise BenchError(f"{store.root} doesn't say what its test images are called: {error}; {advice}") from None
    raise BenchError(f"{store.root} doesn't say what its test images are called, and its dataset has others: {advice}")
