"""Objectives without clean images, budgets in images and seconds, and the search for a learning rate."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from bench import spec
from bench.core.errors import SpecError
from bench.core.rng import Draw
from bench.datasets import Data
from bench.models import models
from bench.noises import noises
from bench.spec import Train
from bench.spec.cells import Cell
from bench.spec.plan import works_of
from bench.training import train
from bench.training.state import State
from tests.helpers.runs import bench as run_bench


@pytest.fixture(scope="module")
def data(photos: np.ndarray) -> Data:
    return Data(photos[:48], photos[48:64], photos[64:72], "photos", ())


def cell(objective: str = "denoise", **settings: object) -> Cell:
    model = models.parse({"unet": {"width": 4, "depth": 1, "objective": objective}})
    settings = {"epochs": 4, "batch_size": 16, "precision": "float32", "device": "cpu", **settings}
    return Cell(model, noises.parse("gaussian"), 0, Train(**settings), {"train": 48})  # type: ignore[arg-type]


def test_noise2noise_and_noise2void_never_see_the_clean_image(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    clean = torch.from_numpy(data.train).float() / 255
    loss = torch.nn.functional.mse_loss

    def watch(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((output.detach(), target.detach()))
        return loss(output, target)

    monkeypatch.setattr(torch.nn.functional, "mse_loss", watch)
    monkeypatch.setattr("bench.training.train.functional.mse_loss", watch, raising=False)
    monkeypatch.setattr("bench.models.base.functional.mse_loss", watch, raising=False)
    for objective in ("noise2noise", "noise2void"):
        seen.clear()
        train.advance(cell(objective), dataclasses.replace(data, validation=data.validation[:0]), State(), 1)
        assert len(seen) == 3
        targets = torch.cat([target for _, target in seen])
        nearest = torch.stack([(clean - target).square().mean((1, 2, 3)).min() for target in targets])
        assert (nearest > 0.5 * 0.1**2).all(), "a target is closer to a clean image than its noise allows"


def test_noise2void_judges_hidden_pixels_alone(data: Data) -> None:
    noisy = torch.from_numpy(data.train).float() / 255
    draw = Draw(tuple(noisy.shape), 0, ("blind",), torch.arange(len(noisy)))
    shown, hidden = train.blind(noisy, draw)
    share = hidden.float().mean().item()
    assert share == pytest.approx(train.HIDDEN, abs=5 * (train.HIDDEN / hidden.numel()) ** 0.5)
    kept = ~hidden.expand_as(noisy)
    assert torch.equal(shown[kept], noisy[kept])
    for image, row, column in hidden[:, 0].nonzero().tolist():
        window = noisy[image, :, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].flatten(1)
        assert (window == shown[image, :, row, column, None]).all(0).any(), "not a pixel from around"


def test_noise2void_hides_a_pixel_behind_each_of_its_24_neighbours_and_never_itself() -> None:
    """Every pixel has a value of its own, its place, so that a copy tells where it was taken."""
    count, size = 64, 32
    places = torch.arange(size * size, dtype=torch.float32).view(1, 1, size, size).expand(count, 3, -1, -1)
    draw = Draw((count, 3, size, size), 0, ("blind",), torch.arange(count))
    shown, hidden = train.blind(places, draw)
    taken = (shown - places)[:, :1][hidden]
    assert (taken != 0).all(), "a hidden pixel shows its own value"
    inside = hidden[:, 0, 2:-2, 2:-2]
    offsets = (shown - places)[:, 0, 2:-2, 2:-2][inside].long().unique().tolist()
    assert offsets == sorted(size * down + right for down in range(-2, 3) for right in range(-2, 3) if down or right)


def test_noise2void_is_refused_where_a_family_has_its_own_loss() -> None:
    with pytest.raises(SpecError, match=r"vae.objective: vae has a loss of its own"):
        spec.parse("{name: a, dataset: photos, models: [{vae: {objective: noise2void}}], noises: [gaussian]}")


@pytest.mark.parametrize(("images", "epochs", "last"), [(48, 1, 48), (100, 3, 4), (10, 1, 10)])
def test_a_budget_in_images_is_met_exactly(
    data: Data, monkeypatch: pytest.MonkeyPatch, images: int, epochs: int, last: int
) -> None:
    seen: list[int] = []
    loss = train._loss

    def watch(cell: Cell, network: object, images: np.ndarray, indices: np.ndarray, *rest: object) -> torch.Tensor:
        if rest[-1] == "train":
            seen.append(len(indices))
        return loss(cell, network, images, indices, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "_loss", watch)
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
    assert run_bench("run", path, "--results", tmp_path, "--workers", "1").exit_code == 0
    table = pandas.read_csv(tmp_path / "s/tables/results.csv")
    assert list(table["chosen_lr"]) == [5e-3]
    record = json.loads((tmp_path / "s/cells" / table["cell"][0] / "cell.json").read_text())
    assert [trial["lr"] for trial in record["search"]] == [1e-7, 5e-3]
    assert record["train_seconds"] == pytest.approx(sum(trial["seconds"] for trial in record["search"]))
    losses = [trial["validation_loss"] for trial in record["search"]]
    assert losses[1] < losses[0]
    alone = tmp_path / "alone.yaml"
    alone.write_text(text.replace("{search: [1.0e-7, 5.0e-3]}", "5.0e-3").replace("name: s,", "name: alone,"))
    assert run_bench("run", alone, "--results", tmp_path, "--workers", "1").exit_code == 0
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
