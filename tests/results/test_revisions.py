"""Results of other code are told apart: of earlier revisions of a class or of an objective."""

from pathlib import Path

import pytest

from bench.results.revisions import made_before, outdated
from bench.results.store import Store
from bench.spec import cells
from bench.spec.cells import Work
from bench.training.state import State
from tests.helpers.specs import cell_of


def test_the_revision_of_an_objective_concerns_its_cells_alone() -> None:
    for objective in ("denoise", "noise2noise", "noise2void"):
        node = cell_of({"unet": {"objective": objective}}).node()
        assert outdated(node) == {}
        raised = node.pop("revisions", {})
        assert raised == ({"objective": 2} if objective == "noise2void" else {})
        assert outdated(node) == ({"objective noise2void": (1, 2)} if raised else {})
    assert outdated(cell_of("identity").node()) == {}


def test_cells_of_an_objectives_earlier_revision_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cell, store = cell_of({"unet": {"objective": "noise2void"}}), Store(tmp_path)
    with monkeypatch.context() as then:
        then.setattr(cells, "OBJECTIVE_REVISIONS", {})
        earlier = cell_of(cell.model.node())
        store.cell(earlier.id).finish(earlier, State(), {"size": 16, "parameters": 7, "macs": 11})
    (note,) = made_before([Work(cell, ())], store)
    assert "1 cell stored" in note and "noise2void has revision 2" in note and "unet" not in note
