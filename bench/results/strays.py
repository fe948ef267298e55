"""Cells in a results folder that its plan doesn't name: left by another spec of the same name, or by earlier code."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.core.labels import Label
from bench.results.outside import outside_cells
from bench.results.records import Contender
from bench.results.store import Store
from bench.spec.cells import Work

ID = re.compile("[0-9a-f]{12}")  # anything else in the folder was put there by somebody
NAMED = 3  # in a sentence; the others are counted


@dataclass(frozen=True)
class Stray:
    """A stored cell outside the plan. title: what it is; empty for an unfinished one. size: bytes it takes."""

    id: str
    title: str
    size: int

    def __str__(self) -> str:
        return self.title or f"{self.id}, unfinished"


def strays(store: Store, works: Iterable[Work]) -> list[Stray]:
    """The stored cells that are neither of these works nor a learning rate that one of them searches."""
    named = {cell.id for work in works for cell in (work.cell, *work.cell.trials())}
    tried = (trial for cell in named for trial in (store.cell(cell).record() or {}).get("search", ()))
    named |= {trial["cell"] for trial in tried if "cell" in trial}  # under the ids that an older version gave them
    named |= {cell.id for cell in outside_cells(store.root)}
    inside = sorted((store.root / "cells").glob("*"))
    folders = [path for path in inside if ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    folders = [path for path in folders if path.name not in named]
    return [
        Stray(
            path.name, _title(store, path.name), sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        )
        for path in folders
    ]


def left_out(found: Sequence[Stray], folder: object) -> str:
    """That stored cells are outside the plan and how to be rid of them; empty where there are none."""
    if not found:
        return ""
    titles = list(dict.fromkeys(map(str, found)))
    more = f" and {len(titles) - NAMED} more" if len(titles) > NAMED else ""
    cells = "1 stored cell is" if len(found) == 1 else f"{len(found)} stored cells are"
    named = "; ".join(titles[:NAMED])
    return f"{cells} not in this plan ({named}{more}): kept, in no table; `bench prune {folder}` removes them"


def _title(store: Store, cell: str) -> str:
    labels = (store.cell(cell).record() or {}).get("labels")
    if not labels:
        return ""
    noise = Label.parse(labels["train_noise"]) if labels["train_noise"] else None
    seed = "" if labels["seed"] is None else f", seed {labels['seed']}"
    return str(Contender(Label.parse(labels["model"]), labels["objective"], noise)) + seed
