"""Recipes in results: where they are shown, and what of them `bench compare` matches by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.models import models
from bench.report.cards import all_cards
from bench.report.conditions import conditions
from bench.results.compare import NotComparable, compare
from bench.results.records import RunPlan
from bench.results.rows import read_rows
from bench.results.store import Store
from bench.results.summary import summarise
from bench.results.tables import results_frame, summary_frame
from tests.helpers.cli import bench, run
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache", "no_recipes")
RECIPE: dict[str, Any] = {"optimizer": "muon", "batch_size": 8, "lr": 1e-3, "schedule": "cosine"}
DENSE = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}, {dense: {code: 8}}, identity]")
SAID = "optimizer=muon"  # the spec gives batch size and rate, and its general schedule is that of the recipe


@pytest.fixture
def recipe(no_recipes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models["conv"], "recipe", RECIPE)


def stored(folder: Path, name: str, *changes: tuple[str, str], psnr: float = 25.0) -> Store:
    level = {column: np.full(10, value) for column, value in {"mse": 0.01, "psnr": psnr, "ssim": 0.5}.items()}
    return store_of(folder / name, write_spec(folder, *changes), lambda *_: level)


@pytest.mark.usefixtures("recipe")
def test_tables_conditions_and_cards_say_what_a_recipe_sets_otherwise(tmp_path: Path) -> None:
    store = stored(tmp_path, "a", DENSE)
    plan = store.plan()
    rows = read_rows(store, plan)
    summaries = summarise(rows, plan.metrics)
    for frame in (results_frame(rows, plan), summary_frame(summaries, plan)):
        found = dict(zip(frame["model"].str.partition("(")[0], frame["recipe"], strict=True))
        assert found == {"conv": SAID, "dense": "", "identity": ""}
    assert f"; conv(width=4) by recipe: {SAID}. 1 seed" in conditions(plan, {}, rows, summaries).text
    cards = dict(all_cards(store, plan, rows, ""))
    assert sorted(f"- Recipe: {SAID}\n" in card for card in cards.values()) == [False, False, True, True]
    assert RunPlan.from_node(json.loads(json.dumps(plan.node()))) == plan


def test_without_recipes_no_table_has_a_column_for_them(tmp_path: Path) -> None:
    store = stored(tmp_path, "a")
    assert "recipe" not in results_frame(read_rows(store, store.plan()), store.plan())
    assert "recipe" not in compare(store, store, 0.1).frame()


def test_conditions_name_no_general_setting_that_no_model_is_trained_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dense` is trained by the general optimiser; alone, `conv` is not; its schedule is the general one."""
    recipe = {"optimizer": "muon", "schedule": "cosine", "flips": True}
    monkeypatch.setattr(models["conv"], "recipe", recipe)
    monkeypatch.setattr(models["dense"], "recipe", {})
    said = {}
    for name, changes in {"both": [DENSE], "alone": []}.items():
        store = stored(tmp_path, name, *changes)
        plan = store.plan()
        summaries = summarise(rows := read_rows(store, plan), plan.metrics)
        said[name] = conditions(plan, {}, rows, summaries).text.partition("Training: ")[2]
    assert "optimizer adam" in said["both"] and "optimizer" not in said["alone"].partition(";")[0], said
    assert "schedule cosine" in said["alone"].partition(";")[0]
    assert all("; conv(width=4) by recipe: optimizer=muon, flips=true. 1 seed" in text for text in said.values())


def test_conditions_name_no_budget_that_every_model_replaces_by_its_own(tmp_path: Path) -> None:
    own = (
        "[{conv: {width: 4}}, identity]",
        "[{conv: {width: 4, train: {images: 80}}}, {dense: {train: {images: 160}}}]",
    )
    store = stored(tmp_path, "own", own, ("epochs: 2", "images: 320"))
    summaries = summarise(rows := read_rows(store, plan := store.plan()), plan.metrics)
    assert "images" not in conditions(plan, {}, rows, summaries).text.partition("Training: ")[2].partition(". ")[0]
    swept = stored(tmp_path, "swept", ("epochs: 2", "images: [80, 320]"))
    summaries = summarise(rows := read_rows(swept, plan := swept.plan()), plan.metrics)
    assert "Training: images [80, 320]" in conditions(plan, {}, rows, summaries).text


def test_rows_that_differ_by_recipe_are_compared_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored(tmp_path, "before", DENSE)
    monkeypatch.setattr(models["conv"], "recipe", RECIPE)
    after = stored(tmp_path, "after", DENSE, psnr=27.0)
    found = compare(before, after, 0.1)
    texts = {row.key.contender.model.name: (row.verdict, row.recipe) for row in found.differences}
    assert texts["conv"] == ("undecided", "optimizer adam, now muon") and texts["dense"] == ("undecided", "")
    assert "optimizer adam, now muon" in set(found.for_readers()["by recipe"])
    monkeypatch.setattr(models["conv"], "recipe", {**RECIPE, "optimizer": "adamw", "flips": True})
    later = compare(after, stored(tmp_path, "later", DENSE), 0.1)
    assert later.differences[0].recipe == "optimizer muon, now adamw, flips false, now true"


def test_a_key_that_one_spec_varies_is_matched_where_the_other_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models["conv"], "recipe", RECIPE)
    sweep = ("lr: 2.0e-3, device", "lr: 2.0e-3, flips: [true, false], device")
    a, b = stored(tmp_path, "a"), stored(tmp_path, "b", sweep)
    matched = compare(a, b, 0.1).differences
    assert [dict(row.key.contender.settings) for row in matched if row.key.contender.trained] == [{"flips": False}] * 2
    alone = (DENSE[0], "[{conv: {width: 4}}]")
    given = ("device: cpu", "device: cpu, optimizer: [adam, sgd]")
    with pytest.raises(NotComparable, match="nothing to compare"):
        compare(stored(tmp_path, "c", alone), stored(tmp_path, "d", given, alone), 0.1)


def test_a_folder_of_before_a_key_is_matched_by_its_default(tmp_path: Path) -> None:
    sweep = ("lr: 2.0e-3, device", "lr: 2.0e-3, flips: [true, false], warmup: [0.0, 0.5], device")
    old, new = stored(tmp_path, "old"), stored(tmp_path, "new", sweep)
    path = old.root / "plan.json"
    node = json.loads(path.read_text())
    for key in ("flips", "warmup", "grad_clip", "muon_lr"):
        node["train"].pop(key, None)
    path.write_text(json.dumps(node))
    matched = [row.key.contender for row in compare(old, new, 0.1).differences if row.key.contender.trained]
    assert [dict(who.settings) for who in matched] == [{"flips": False, "warmup": 0.0}] * 2


def test_plan_and_show_tell_the_recipe_and_what_was_trained_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, results = write_spec(tmp_path), ("--results", tmp_path / "results")
    assert run(spec, tmp_path / "results").exit_code == 0
    assert "recipe" not in bench("plan", spec, *results).output + bench("show", "model", "conv").output
    monkeypatch.setattr(models["conv"], "recipe", RECIPE)
    said = " ".join(bench("plan", spec, *results).output.split())
    assert f"conv(width=4) by recipe: {SAID}" in said and "2 to run" in said
    assert "2 cells stored as trained by the general settings; by now conv has a recipe" in said
    said = bench("plan", spec, *results, "--set", "train.optimizer=adam").output
    assert "recipe" not in said and "0 to run" in said
    assert "optimizer: muon, batch_size: 8, lr: 0.001, schedule: cosine" in bench("show", "model", "conv").output


@pytest.mark.usefixtures("recipe")
def test_what_a_run_writes_down_is_found_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a later version, too, whose recipe is another."""
    results = tmp_path / "results"
    assert run(write_spec(tmp_path), results).exit_code == 0
    table = (results / "tiny/tables/results.csv").read_bytes()
    monkeypatch.setattr(models["conv"], "recipe", {"optimizer": "sgd"})
    again = run(results / "tiny/experiment.yaml", results)
    assert again.exit_code == 0 and "nothing to run" in again.output
    assert (results / "tiny/tables/results.csv").read_bytes() == table
