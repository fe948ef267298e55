"""Contenders from elsewhere in a results folder: what somebody's function or pictures gave, beside what was run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from bench.core.labels import Label
from bench.models import Model
from bench.results.files import read_json
from bench.results.records import PlannedCell, RunPlan

OUTSIDE = "outside.json"  # in a results folder, beside its plan


@dataclass(frozen=True)
class Outside(Model):
    """A contender whose code is elsewhere. It is in no registry, so that no spec can name it.

    title: what it is called. sha256: checksum of its code, or of the images that it gave.
    bits: of the pictures that it was scored from; 0 where its values were not rounded.
    """

    name: ClassVar[str] = "outside"

    title: str = ""
    sha256: str = ""
    bits: int = 0

    def label(self, without: tuple[str, ...] = ()) -> str:
        """`title(sha256=...)`."""
        return str(Label(self.title, (("sha256", self.sha256[:8]),)))


def outside_cells(root: Path) -> tuple[PlannedCell, ...]:
    """The contenders from elsewhere in a results folder, in the order in which they came."""
    found = read_json(root / OUTSIDE) or {"cells": []}
    return tuple(PlannedCell.from_node(node) for node in found["cells"])


def with_outside(cell: PlannedCell, root: Path) -> tuple[PlannedCell, ...]:
    """The contenders from elsewhere in a results folder with one more, in place of one of its name."""
    others = (one for one in outside_cells(root) if one.contender.model.name != cell.contender.model.name)
    return (*others, cell)


def joined(plan: RunPlan, root: Path) -> RunPlan:
    """A folder's plan with its contenders from elsewhere, where these met the plan's test noises."""
    tests = set(plan.tests)
    cells = (replace(cell, tests=tuple(test for test in cell.tests if test in tests)) for cell in outside_cells(root))
    return replace(plan, cells=(*plan.cells, *(cell for cell in cells if cell.tests)))
