"""What is found out about a network when its training is finished, and that a collapsed one is noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.datasets import Data
from bench.models import TrainableModel
from bench.models.base import DIAGNOSTICS
from bench.report.cards import all_cards
from bench.results.compare import compare
from bench.results.remarks import COLLAPSED, collapsed, remarks
from bench.results.rows import read_rows
from bench.results.store import Store
from bench.spec.cells import Cell
from bench.training.diagnose import diagnose
from bench.training.state import as_arrays
from bench.training.train import build
from tests.helpers.cli import bench
from tests.helpers.specs import cell_of, write_spec

SILENT = """\
from dataclasses import dataclass

from bench.core.lazy import nn, torch
from bench.models import TrainableModel, models


class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.5))

    def forward(self, images):
        return self.value + 0 * images


@models.register("grey")
@dataclass(frozen=True)
class GreyModel(TrainableModel):
    \"\"\"One value, whatever it is shown.

    Source: this test.
    \"\"\"

    def build(self, size):
        return Grey()
"""


def data_of(images: np.ndarray) -> Data:
    return Data(images[:40], images[40:60], images[60:], "noise")


def first_network(cell: Cell) -> nn.Module:
    assert isinstance(cell.model, TrainableModel)
    return build(cell.model, 16, 0)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 3, 16, 16), dtype=np.uint8)


@pytest.mark.parametrize("objective", ["denoise", "autoencode"])
def test_doing_nothing_explains_all_but_the_noise(objective: str, images: np.ndarray) -> None:
    cell = cell_of({"res_unet": {"objective": objective}}, objective=objective)
    weights = as_arrays(first_network(cell).state_dict())  # which start as doing nothing
    found = diagnose(cell, data_of(images), weights)
    assert set(found) == {"unexplained"}
    spread = (images[:40].mean(0) / 255 - images[40:60] / 255).var()
    assert found["unexplained"] == pytest.approx(0 if objective == "autoencode" else 0.1**2 / spread, abs=0.02)
    assert not collapsed(found)


def test_a_code_has_its_numbers_and_one_value_explains_nothing(images: np.ndarray) -> None:
    cell = cell_of({"sparse": {"width": 4}})
    network: Any = first_network(cell)
    with torch.no_grad():
        for parameter in network.decoder[-2].parameters():
            parameter.zero_()
    data = data_of(np.repeat(images[:, :1, :1, :1], 16, 2).repeat(16, 3).repeat(3, 1))  # grey pictures
    found = diagnose(cell, data, as_arrays(network.state_dict()))
    grey = data.validation[:, 0, 0, 0] / 255
    mean = data.train[:, 0, 0, 0].mean() / 255
    assert found["unexplained"] == pytest.approx(np.square(grey - 0.5).mean() / np.square(grey - mean).mean(), rel=1e-3)
    assert found["units"] == 16 and set(found) <= set(DIAGNOSTICS)


def test_without_validation_images_nothing_is_found_out(images: np.ndarray) -> None:
    cell = cell_of("conv")
    data = Data(images[:40], images[:0], images[60:], "noise")
    assert diagnose(cell, data, as_arrays(first_network(cell).state_dict())) == {}


@pytest.mark.usefixtures("cache")
def test_diagnostics_that_fail_lose_no_training(tmp_path: Path) -> None:
    failing = "\n    def diagnose(self, network, images, draw):\n        raise ValueError(5)\n"
    (tmp_path / "mute.py").write_text(SILENT.replace('"grey"', '"mute"') + failing)
    path = write_spec(tmp_path, ("models: [{conv: {width: 4}}", "models: [mute"), ("  - masking: {p: 0.25}\n", ""))
    arguments = ["--plugin", str(tmp_path / "mute.py"), "--results", str(tmp_path / "results"), "--no-figures"]
    done = bench("run", str(path), *arguments)
    assert done.exit_code == 0, done.output
    assert "Warning: mute · gaussian 0.1: without diagnostics: ValueError: 5" in done.stderr
    assert "nothing to run" in bench("run", str(path), *arguments).output


@pytest.mark.usefixtures("cache")
def test_a_training_that_collapses_is_said_at_once_and_marked_in_every_table(tmp_path: Path) -> None:
    (tmp_path / "grey.py").write_text(SILENT)
    path = write_spec(
        tmp_path,
        ("models: [{conv: {width: 4}}", "models: [grey, {res_unet: {width: 4}}"),
        ("  - masking: {p: 0.25}\n", ""),
    )
    arguments = ["--plugin", str(tmp_path / "grey.py"), "--results", str(tmp_path / "results")]
    done = bench("run", str(path), *arguments)
    said = [line for line in done.stderr.splitlines() if "collapsed" in line]
    assert len(said) == 1 and all(line.startswith("Warning: grey") for line in said)
    store = Store(tmp_path / "results" / "tiny")
    rows = read_rows(store, store.plan())
    assert {row.contender.model.name for row in rows if COLLAPSED in remarks(row)} == {"grey"}
    tables = store.root / "tables"
    for name in ("summary.md", "results.csv", "summary.csv", "summary.tex", "summary_long.tex"):
        text = (tables / name).read_text()
        lines = [line for line in text.splitlines() if "grey" in line and "best" not in line]
        marks = (COLLAPSED.mark, r"\ddagger", COLLAPSED.meaning)
        assert lines and all(any(mark in line for mark in marks) for line in lines), name
        assert COLLAPSED.meaning in text, name
    assert COLLAPSED.meaning in (store.root / "report.html").read_text()
    (difference,) = [row for row in compare(store, store, 0.1).differences if row.key.contender.model.name == "grey"]
    assert difference.reason == f"A and B: {COLLAPSED.meaning}"
    cards = [card for _, card in all_cards(store, store.plan(), rows, "")]
    assert [f"Warning: {COLLAPSED.meaning}" in card for card in cards] == [True, False]


@pytest.mark.parametrize(("unexplained", "wanted"), [(1.3, True), (0.99, True), (0.9, False), (None, False)])
def test_a_network_no_better_than_the_mean_image_has_collapsed(unexplained: float | None, wanted: bool) -> None:
    """Cells of before there were diagnostics have none, and are taken as they are."""
    assert collapsed({} if unexplained is None else {"unexplained": unexplained}) == wanted
