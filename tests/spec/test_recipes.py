"""Recipes: whose settings a training gets, under which id, and how that is written down."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import SpecError
from bench.models import models
from bench.results.records import Contender, RunPlan
from bench.spec import Experiment, Train, parse
from bench.spec.entries import BUDGET, settings
from bench.spec.plan import works_of
from bench.spec.train_settings import TRAIN_KEYS
from bench.spec.yaml12 import dump, read
from tests.helpers.images import Node
from tests.helpers.models import NODES
from tests.spec.test_plan import MadeUp

RECIPE = {"optimizer": "muon", "lr": 3e-3, "batch_size": 16, "flips": True, "warmup": 0.03}
PLAIN = dataclasses.asdict(Train())


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """`conv` has a recipe, `dense` has none."""
    monkeypatch.setattr(models["conv"], "recipe", RECIPE)
    monkeypatch.setattr(models["dense"], "recipe", {})


def experiment(listed: str, train: str = "{}") -> Experiment:
    text = f"name: x\ndataset: photos\nnoises: [gaussian]\nmodels: {listed}\ntrain: {train}"
    return dataclasses.replace(parse(text), dataset=MadeUp())


@pytest.mark.parametrize(
    ("train", "listed", "expected"),
    [
        ("{}", "conv", RECIPE),
        ("{}", "dense", {}),
        ("{epochs: 3}", "conv", {**RECIPE, "epochs": 3}),
        ("{lr: 0.5}", "conv", {**RECIPE, "lr": 0.5}),
        ("{lr: 0.5}", "{conv: {train: {lr: 0.25}}}", {**RECIPE, "lr": 0.25}),
        ("{lr: 0.5}", "{dense: {train: {lr: 0.25}}}", {"lr": 0.25}),
        ("{flips: false}", "{conv: {train: {batch_size: 8}}}", {**RECIPE, "flips": False, "batch_size": 8}),
        ("{optimizer: adam}", "conv", {}),
        ("{optimizer: muon}", "conv", {"optimizer": "muon"}),
        ("{lr: 0.5}", "{conv: {train: {optimizer: sgd}}}", {"optimizer": "sgd", "lr": 0.5}),
        ("{optimizer: adam}", "{conv: {recipe: {optimizer: muon, lr: 0.1}}}", {"optimizer": "muon", "lr": 0.1}),
        ("{optimizer: adam}", "{conv: {train: {lr: 0.2}, recipe: {lr: 0.1, flips: true}}}", {"lr": 0.2, "flips": True}),
        ("{}", "{conv: {recipe: {}}}", {}),
    ],
)
def test_a_key_of_the_model_wins_over_one_of_the_spec_and_that_over_the_recipe(
    train: str, listed: str, expected: dict[str, Any]
) -> None:
    (entry,) = experiment(f"[{listed}]", train).models
    assert [dataclasses.asdict(found) for found in entry.train] == [{**PLAIN, **expected}]


def test_a_recipe_is_resolved_before_a_cell_is_named() -> None:
    by_recipe, by_hand, plain = (
        works_of(experiment("[conv]", text))[0].cell for text in ("{}", json.dumps(RECIPE), "{optimizer: adam}")
    )
    assert by_recipe.id == by_hand.id and by_recipe.train == by_hand.train
    assert set(by_recipe.recipe) == set(RECIPE) and by_hand.recipe == ()
    assert plain.id not in (by_recipe.id, works_of(experiment("[conv]", "{optimizer: adam, flips: true}"))[0].cell.id)
    models["conv"].recipe = {}  # the fixture puts it back
    assert works_of(experiment("[conv]"))[0].cell.id == plain.id


@pytest.mark.parametrize(
    ("listed", "train", "varied"),
    [
        ("[conv, dense]", "{}", ()),
        ("[conv, dense]", "{lr: [0.1, 0.2]}", ("lr",)),
        ("[conv, {dense: {train: {lr: 0.5}}}]", "{}", ("lr",)),
        ("[{dense: {train: {lr: 0.5}}}]", "{}", ("lr",)),
        ("[conv, {conv: {train: {optimizer: adam}}}]", "{}", ("optimizer",)),
        ("[conv, {conv: {train: {lr: 1.0e-3}}}]", "{}", ("lr",)),  # which is the general default
        ("[{conv: {train: {muon_lr: [0.1, 0.2]}}}, {dense: {train: {epochs: 3}}}]", "{}", ("epochs", "muon_lr")),
        ("[{conv: {recipe: {lr: 0.1}}}]", "{}", ()),
    ],
)
def test_what_the_spec_varies_is_what_contenders_are_named_by(listed: str, train: str, varied: tuple[str, ...]) -> None:
    given = experiment(listed, train)
    assert given.varied == varied
    cells = [work.cell for work in works_of(given)]
    assert len({Contender.of(cell, varied) for cell in cells}) == len(cells)
    for cell in cells:
        settings = dict(Contender.of(cell, varied).settings)
        assert all(settings[key] is None for key in varied if key in cell.recipe)


@pytest.mark.parametrize(
    ("listed", "train"),
    [
        ("[conv, dense, identity]", "{}"),
        ("[conv, {conv: {train: {lr: [0.1, {search: [1, 2]}]}}}]", "{epochs: [1, 2], batch_size: 4}"),
        ("[{conv: {width: [4, 8], train: {optimizer: sgd}}}, {dense: {recipe: {flips: true}}}]", "{warmup: 0.5}"),
    ],
)
def test_what_is_written_down_trains_the_same_cells_under_the_same_names(listed: str, train: str) -> None:
    """Later recipes change nothing of it: `train` names an optimiser, and the recipe stands beside the model."""
    given = experiment(listed, train)
    works = works_of(given)
    plan = RunPlan.of(given, works)
    text = dump(given.node())
    models["conv"].recipe = {"optimizer": "adamw", "grad_clip": 1.0}
    again = dataclasses.replace(parse(text.replace("name: ''", "name: photos")), dataset=MadeUp())
    assert again.node() == given.node() and again == given
    assert [work.cell.id for work in works_of(again)] == [work.cell.id for work in works]
    assert RunPlan.of(again, works_of(again)) == plan == RunPlan.from_node(json.loads(json.dumps(plan.node())))


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("{conv: {train: {epochs: 0}}}", r"models\.0\.conv\.train\.epochs: must be at least 1"),
        ("{conv: {train: {lr: [1, -1]}}}", r"models\.0\.conv\.train\.lr\.1: must be greater than 0"),
        ("{conv: {train: {rate: 1}}}", r"models\.0\.conv\.train\.rate: unknown key 'rate'"),
        ("{conv: {train: 3}}", r"models\.0\.conv\.train: expected keys and values"),
        ("{conv: {recipe: {epochs: 3}}}", r"models\.0\.conv\.recipe\.epochs: a recipe sets no budget"),
        ("{conv: {recipe: {lr: [1, 2]}}}", r"models\.0\.conv\.recipe\.lr: must be a number"),
        ("{conv: {recipe: 3}}", r"models\.0\.conv\.recipe: expected keys and values"),
        ("{median: {train: {lr: 1}}}", "unknown key 'train'"),
        ("conv, {conv: {recipe: {lr: 0.1}}}", "conv is given with two recipes"),
    ],
)
def test_what_a_model_cannot_be_given_is_refused_with_its_place(listed: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        experiment(f"[{listed}]")


@pytest.mark.parametrize("node", [node for node in NODES if models.parse(node).trains], ids=str)
def test_every_recipe_can_be_trained_by_and_sets_no_budget(node: Node) -> None:
    recipe = models.parse(node).recipe
    assert settings(recipe)
    assert not set(recipe) & set(BUDGET)
    assert not recipe or "optimizer" in recipe


def test_the_study_sets_every_key() -> None:
    """To the letter: no default of later versions reaches it. Without Muon its rate has no effect."""
    path = Path(__file__).parents[2] / "experiments/study.yaml"
    assert set(read(path.read_text(), "study").value["train"]) == set(TRAIN_KEYS) - {"muon_lr"}
