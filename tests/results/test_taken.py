"""Cells that an earlier version stored under an id of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import spec
from bench.results.store import Store
from bench.results.taken import taken
from bench.running import engine
from bench.running.events import Trained
from bench.spec.plan import works_of
from bench.spec.protocol import digest
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


def as_before(store: Store, cell: str, change: Callable[[dict[str, Any]], Any]) -> str:
    """Store a finished cell as an earlier version would have, under the id it would have had."""
    folder = store.cell(cell).folder
    record = json.loads((folder / "cell.json").read_text())
    change(record["cell"]["train"])
    record["id"] = digest(record["cell"])
    (folder / "cell.json").write_text(json.dumps(record))
    return folder.rename(folder.with_name(record["id"])).name


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ("images: 96", lambda train: train.update(epochs=1)),
        ("lr: {search: [1e-3, 3e-3]}", lambda train: train.update(lr=3e-3, lr_search=[3e-3, 1e-3])),
    ],
)
def test_what_is_finished_is_taken_under_its_own_id(
    settings: str, change: Callable[[dict[str, Any]], Any], tmp_path: Path
) -> None:
    experiment, store = spec.load(write_spec(tmp_path, ("lr: 2.0e-3", settings))), Store(tmp_path / "results")
    works = works_of(experiment)
    list(engine.run(experiment, works, store, 1))
    before = as_before(store, works[0].cell.id, change)
    found = taken(works, store)
    assert [work.cell.id for work in found] == [before, *(work.cell.id for work in works[1:])]
    assert [work.tests for work in found] == [work.tests for work in works]
    events = list(engine.run(experiment, found, store, 1))
    assert not [event for event in events if isinstance(event, Trained)] and len(events) == 1
