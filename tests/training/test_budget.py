"""Budgets in epochs, images and seconds, and the search for a learning rate."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from torch import nn

from bench import spec
from bench.core.errors import SpecError
from bench.datasets import Data
from bench.spec.cells import Cell
from bench.spec.plan import works_of
from bench.training import objectives, train
from bench.training.budget import Budget
from bench.training.objectives import Phase
from bench.training.state import State
from tests.helpers.cli import run
from tests.helpers.specs import cell_of


@pytest.fixture(scope="module")
def data(photos: np.ndarray) -> Data:
    return Data(photos[:48], photos[48:64], photos[64:72], "photos")


def cell(**settings: Any) -> Cell:
    return replace(cell_of({"unet": {"width": 4, "depth": 1}}, **{"epochs": 4, **settings}), data={"train": 48})


@pytest.mark.parametrize(
    ("images", "batch_size", "per_epoch", "steps"),
    [
        (144, 16, [48, 48, 48], 9),
        (100, 16, [48, 48, 4], 7),
        (10, 16, [10], 1),
        (96, 20, [48, 48], 6),
        (50, 64, [48, 2], 2),
    ],
)
def test_a_budget_counts_images_and_steps(images: int, batch_size: int, per_epoch: list[int], steps: int) -> None:
    budget = Budget(images, 48, batch_size)
    assert [budget.images_in(epoch) for epoch in range(1, 6)] == per_epoch + [0] * (5 - len(per_epoch))
    assert [budget.spent(epochs, 0.0) for epochs in range(len(per_epoch) + 1)] == [False] * len(per_epoch) + [True]
    last = len(per_epoch)
    assert budget.steps == budget.steps_before(last) + -(-per_epoch[-1] // batch_size) == steps


def test_the_learning_rate_falls_with_steps_or_time_whichever_is_further() -> None:
    budget = Budget(100, 48, 16, schedule="cosine")
    expected = [0.5 * (1 + np.cos(np.pi * step / 7)) for step in range(8)]
    assert [budget.rate(step, 1e9) for step in range(8)] == pytest.approx(expected)
    timed = replace(budget, seconds=10.0)
    assert timed.rate(3, 0.0) == budget.rate(3, 0.0)
    assert timed.rate(0, 5.0) == pytest.approx(0.5) and timed.rate(0, 20.0) == pytest.approx(0)
    assert (timed.time_is_up(9.9), timed.time_is_up(10.0), budget.time_is_up(1e9)) == (False, True, False)
    assert timed.spent(1, 10.0) and not timed.spent(1, 9.9)
    assert replace(timed, schedule="constant").rate(6, 9.0) == 1


def test_the_learning_rate_rises_first_and_falls_over_what_is_left() -> None:
    warm = Budget(100 * 16, 48, 16, schedule="cosine", warmup=0.2)
    assert warm.steps == 100
    rising = [(step + 1) / 20 for step in range(20)]
    falling = [0.5 * (1 + np.cos(np.pi * (step - 20) / 80)) for step in range(20, 100)]
    assert [warm.rate(step, 1e9) for step in range(100)] == pytest.approx([*rising, *falling])
    assert [replace(warm, schedule="constant").rate(step, 0.0) for step in range(100)] == pytest.approx(
        [*rising, *[1.0] * 80]
    )
    timed = replace(warm, seconds=10.0)
    assert timed.rate(0, 1.0) == pytest.approx(0.5) and timed.rate(0, 6.0) == pytest.approx(0.5)
    assert timed.rate(0, 2.0) == pytest.approx(1.0) and timed.rate(0, 10.0) == pytest.approx(0.0)


@pytest.mark.parametrize(("images", "epochs", "last"), [(48, 1, 48), (100, 3, 4), (10, 1, 10)])
def test_a_budget_in_images_is_met_exactly(
    data: Data, monkeypatch: pytest.MonkeyPatch, images: int, epochs: int, last: int
) -> None:
    seen: list[int] = []

    def watch(cell: Cell, network: nn.Module, images: np.ndarray, indices: np.ndarray, phase: Phase) -> torch.Tensor:
        if phase.purpose == "train":
            seen.append(len(indices))
        return objectives.loss(cell, network, images, indices, phase)

    monkeypatch.setattr(train, "loss", watch)
    budgeted = cell(images=images)
    state = train.advance(budgeted, data, State(), 10)
    assert sum(seen) == images and state.epoch == epochs == budgeted.epochs
    assert train.finished(budgeted, state)


def test_a_budget_in_images_is_the_same_in_one_step_and_in_several(data: Data) -> None:
    budgeted = cell(images=100)
    whole = train.advance(budgeted, data, State(), 10)
    parts = State()
    while not train.finished(budgeted, parts):
        parts = train.advance(budgeted, data, parts, 1)
    assert all(np.array_equal(value, parts.flat()[path]) for path, value in whole.flat().items())


def test_a_budget_in_seconds_ends_the_training(data: Data) -> None:
    budgeted = cell(seconds=0.5, epochs=100_000)
    state = State()
    while not train.finished(budgeted, state):
        state = train.advance(budgeted, data, state, 100)
    assert 0.5 <= state.seconds < 5 and state.epoch < 100_000


def test_the_learning_rate_that_validates_best_is_kept_and_every_trial_counted(
    tmp_path: Path, photos: np.ndarray
) -> None:
    text = (
        "{name: s, dataset: {name: photos, train: 200, test: 20}, models: [{unet: {width: 4, depth: 1}}], "
        "noises: [gaussian], train: {epochs: 1, batch_size: 16, lr: {search: [1.0e-7, 5.0e-3]}}}"
    )
    path = tmp_path / "s.yaml"
    path.write_text(text)
    assert run(path, tmp_path, "--workers", 1).exit_code == 0
    table = pandas.read_csv(tmp_path / "s/tables/results.csv")
    assert list(table["chosen_lr"]) == [5e-3]
    record = json.loads((tmp_path / "s/cells" / table["cell"][0] / "cell.json").read_text())
    assert [trial["lr"] for trial in record["search"]] == [1e-7, 5e-3]
    assert record["train_seconds"] == pytest.approx(sum(trial["seconds"] for trial in record["search"]))
    losses = [trial["validation_loss"] for trial in record["search"]]
    assert losses[1] < losses[0]
    alone = tmp_path / "alone.yaml"
    alone.write_text(text.replace("{search: [1.0e-7, 5.0e-3]}", "5.0e-3").replace("name: s,", "name: alone,"))
    assert run(alone, tmp_path, "--workers", 1).exit_code == 0
    again = pandas.read_csv(tmp_path / "alone/tables/results.csv")
    assert list(again["psnr"]) == list(table["psnr"]), "the search's winner is the training it names"


def test_a_search_is_written_out_and_read_again() -> None:
    text = "{name: s, dataset: photos, models: [unet], noises: [gaussian], train: {lr: {search: [1e-3, 3e-3, 1e-3]}}}"
    experiment = spec.parse(text)
    assert experiment.train[0].lr_search == (1e-3, 3e-3)
    assert [w.cell.id for w in works_of(spec.parse(json.dumps(experiment.node())))] == [
        w.cell.id for w in works_of(experiment)
    ]


@pytest.mark.parametrize(
    "lr", ["{search: []}", "{search: [-1]}", "{serach: [1]}", "{search: [1], x: 2}", "{search: 1}"]
)
def test_a_malformed_search_is_refused(lr: str) -> None:
    with pytest.raises(SpecError, match=r"line 1: train\.lr"):
        spec.parse(f"{{name: s, dataset: photos, models: [unet], noises: [gaussian], train: {{lr: {lr}}}}}")


def test_a_search_without_validation_images_and_a_slow_model_on_many_are_refused() -> None:
    base = "name: s, noises: [gaussian], dataset: {name: photos, train: 100, "
    with pytest.raises(SpecError, match="set validation"):
        works_of(spec.parse(f"{{{base}validation: 0}}, models: [unet], train: {{lr: {{search: [1e-3]}}}}}}"))
    with pytest.raises(SpecError, match="test: 200 at most"):
        works_of(spec.parse(f"{{{base}test: 201}}, models: [bm3d]}}"))
    assert works_of(spec.parse(f"{{{base}test: 200}}, models: [bm3d]}}"))
