"""`ensemble: 8` from spec to `denoise`: one training, two rows, and nothing else is another than before."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import spec
from bench.cli.trained import find
from bench.core.errors import SpecError
from bench.report.cards import all_cards
from bench.results.compare import compare
from bench.results.names import contender_names
from bench.results.records import RunPlan
from bench.results.rows import read_rows
from bench.results.store import WEIGHTS, Store
from bench.running import engine, steps
from bench.running.events import Failed, Scored, Trained
from bench.running.pending import pending
from bench.spec import Experiment
from bench.spec.plan import works_of
from bench.training import units
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
MODELS = "models: [{conv: {width: 4}}, identity]"
BOTH = (MODELS, "models: [{conv: {width: 4, ensemble: [1, 8]}}, {identity: {ensemble: 8}}, identity]")
KINDS = (
    MODELS,
    "models: [{conv: {width: 4, ensemble: 8}}, {pca: {patch: 4, code: 5, ensemble: 8}}, "
    "{median: {size: null, ensemble: 8}}, {level_one: {ensemble: [1, 8]}}]",
)
PLUGIN = """
from dataclasses import dataclass
from torch import nn
from bench.models import TrainableModel, models

@models.register("level_one")
@dataclass(frozen=True)
class Shallow(TrainableModel):
    \"\"\"One convolution.

    Source: an example.
    \"\"\"

    def build(self, size):
        return nn.Conv2d(3, 3, 3, padding=1)
"""


def experiment(folder: Path, *changes: tuple[str, str]) -> Experiment:
    return spec.load(write_spec(folder, *changes))


def through(given: Experiment, store: Store, workers: int = 1) -> list[Any]:
    works = works_of(given)
    store.begin(given.node(), RunPlan.of(given, works))
    return list(engine.run(given, works, store, workers))


def test_rows_with_and_without_it_are_one_cell_and_other_scores(tmp_path: Path) -> None:
    plain, both = experiment(tmp_path), experiment(tmp_path, BOTH)
    assert [work.cell.id for work in works_of(both)] == [work.cell.id for work in works_of(plain)]
    for one, two in zip(works_of(plain), works_of(both), strict=True):
        ids = [[test.id(work.cell.data) for test in work.tests] for work in (one, two)]
        assert set(ids[0]) < set(ids[1]) and len(set(ids[1])) == 2 * len(ids[0])
    rows = [(cell.id, str(cell.contender.model)) for cell in RunPlan.of(both, works_of(both)).cells]
    assert [label.endswith("ensemble=8)") for _, label in rows] == [False, True] * 3
    assert len({cell for cell, _ in rows}) == 3


@pytest.mark.parametrize(
    "listed",
    [
        "[conv, {conv: {ensemble: 8}}, {median: {ensemble: 8}}]",
        "[{conv: {width: [4, 8], ensemble: {grid: [1, 8]}, train: {lr: [0.1, 0.2]}}}]",
        "[{res_unet: {ensemble: 8}}]",
    ],
)
def test_the_spec_and_plan_that_are_written_down_say_the_same(listed: str, tmp_path: Path) -> None:
    given = experiment(tmp_path, (MODELS, f"models: {listed}"))
    text = spec.yaml12.dump(given.node())
    again = spec.parse(text)
    assert again == given
    plan = RunPlan.of(given, works_of(given))
    assert RunPlan.from_node(plan.node()) == plan
    assert len({cell.id for cell in plan.cells}) == len(plan.distinct)
    for names in plan.recipes.values():
        assert len({name.replace(", ensemble=8", "") for name in names}) == len(names), "a training is named once"


@pytest.mark.parametrize("value", ["4", "true", "8.0", "'8'", "null", "[]"])
def test_other_numbers_are_refused_by_their_place(value: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"models\.0\.conv\.ensemble"):
        experiment(tmp_path, (MODELS, f"models: [{{conv: {{ensemble: {value}}}}}]"))


def test_it_is_trained_once_and_scored_twice(tmp_path: Path) -> None:
    given, store = experiment(tmp_path, BOTH), Store(tmp_path / "tiny")
    events = through(given, store)
    assert sum(event.new_epochs for event in events if isinstance(event, Trained)) == 4  # two noises, two epochs
    assert sum(isinstance(event, Scored) for event in events) == 8
    rows = {(row.cell.id, row.cell.ensemble, row.test.id): row for row in read_rows(store, store.plan())}
    for (cell, count, test), row in rows.items():
        alone = rows[cell, 1, test]
        assert row.state == "scored" and row.latency_ms and alone.latency_ms
        if count == 8 and row.contender.model.name == "conv":
            assert row.mean(store.plan().leading) != alone.mean(store.plan().leading)
            assert row.macs and alone.macs and row.macs == 8 * alone.macs
        if row.contender.model.name == "identity":
            assert row.averages == alone.averages
    assert not pending(works_of(given), store, given)


def test_asked_for_later_it_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "tiny")
    through(experiment(tmp_path), store)
    before = {path: path.read_bytes() for path in store.root.rglob("cells/**/*") if path.is_file()}
    monkeypatch.setattr(steps, "train_step", None)
    events = through(experiment(tmp_path, BOTH), store)
    assert sum(isinstance(event, Scored) for event in events) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


def test_one_that_fails_leaves_the_row_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, store = experiment(tmp_path, BOTH), Store(tmp_path / "tiny")
    real = units.score_step

    def step(*arguments: Any) -> Any:
        if arguments[4] == 8 and arguments[2] is not None:
            raise ValueError("not today")
        return real(*arguments)

    monkeypatch.setattr(steps, "score_step", step)
    events = through(given, store)
    assert sum(isinstance(event, Failed) for event in events) == 2
    states = [(row.contender.model.name, row.cell.ensemble, row.state) for row in read_rows(store, store.plan())]
    assert {state for *what, state in states if what == ["conv", 8]} == {"failed"}
    assert {state for *what, state in states if what != ["conv", 8]} == {"scored"}


def test_processes_plugins_and_models_of_every_kind_score_the_same(tmp_path: Path) -> None:
    plugin = tmp_path / "level_one.py"
    plugin.write_text(PLUGIN)
    path = write_spec(tmp_path, KINDS)
    for workers in (1, 2):
        found = run(path, tmp_path / str(workers), "--plugin", plugin, "--workers", workers)
        assert found.exit_code == 0, found.output
    one, two = (Store(tmp_path / str(workers) / "tiny") for workers in (1, 2))
    assert {path.parent.name: path.read_bytes() for path in one.root.rglob(WEIGHTS)} == {
        path.parent.name: path.read_bytes() for path in two.root.rglob(WEIGHTS)
    }
    tests = sorted(path.relative_to(one.root) for path in one.root.rglob("*.parquet"))
    assert len(tests) == 10 and tests == sorted(path.relative_to(two.root) for path in two.root.rglob("*.parquet"))
    assert all((one.root / name).read_bytes() == (two.root / name).read_bytes() for name in tests)


def test_tables_report_card_plan_and_compare_name_it(tmp_path: Path) -> None:
    path = write_spec(tmp_path, BOTH)
    assert bench("run", path, "--results", tmp_path / "results").exit_code == 0
    store = Store(tmp_path / "results" / "tiny")
    rows = list(csv.DictReader((store.root / "tables" / "results.csv").open()))
    named = [row for row in rows if "ensemble=8" in row["model"]]
    assert len(rows) == 8 and len(named) == 4
    assert "ensemble=8" in (store.root / "tables" / "summary.md").read_text()
    assert "ensemble=8" in (store.root / "report.html").read_text()
    plan = store.plan()
    (card, *_) = [text for _, text in all_cards(store, plan, read_rows(store, plan), "")]
    assert len(list(all_cards(store, plan, read_rows(store, plan), ""))) == 2
    assert "| ensemble |" in card and "| 1 |" in card and "| 8 |" in card
    shown = bench("plan", path, "--results", tmp_path / "results").output
    assert "3 cells: 3 finished" in shown and "2, 1 by ensemble" in shown
    found = compare(store, store, 0.0)
    assert sum("ensemble=8" in str(row.key) for row in found.differences) == 4
    only = [cell.contender for cell in plan.cells if cell.ensemble == 8]
    assert all("ensemble=8" in name for name in contender_names(only, False).values())


def test_denoise_averages_as_the_cell_was_scored_or_as_asked(tmp_path: Path) -> None:
    path = write_spec(tmp_path, (MODELS, "models: [{conv: {width: 4, ensemble: 8}}]"))
    assert run(path, tmp_path / "results").exit_code == 0
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (20, 44, 3), dtype=np.uint8)).save(tmp_path / "in.png")
    words = ("--with", tmp_path / "results" / "tiny", "--model", "conv", "--noise", "gaussian", "-o")
    outputs = {}
    for name, more in (("scored", ()), ("8", ("--ensemble", 8)), ("1", ("--ensemble", 1))):
        found = bench("denoise", tmp_path / "in.png", *words, tmp_path / f"{name}.png", *more)
        assert found.exit_code == 0, found.output
        assert ("mean over 8 flips and rotations" in " ".join(found.output.split())) == (name != "1")
        outputs[name] = np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int)
    assert outputs["8"].shape == (20, 44, 3)
    assert (outputs["scored"] == outputs["8"]).all() and (outputs["8"] != outputs["1"]).any()
    folder = find(tmp_path / "results" / "tiny", "conv", "gaussian").folder.folder
    assert find(folder).ensemble == 8
