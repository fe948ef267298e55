"""Training: the chain of steps, the loop against plain PyTorch, what it looks at, how it ends."""

import shutil
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.core import rng
from bench.core.images import to_float
from bench.core.rng import Draw
from bench.models import TrainableModel, models
from bench.results.store import CellStore
from bench.spec.cells import Cell
from bench.spec.protocol import TEST_SEED
from bench.training.state import State
from bench.training.train import Diverged, advance, build, load_weights
from tests.helpers.images import Node, data_of, forbidden, smooth_pictures
from tests.helpers.models import NODES
from tests.helpers.specs import cell_of

TRAINABLE = [name for name in models if models[name].trains]
SETTINGS = list(product(("adam", "adamw", "sgd", "muon"), ("constant", "cosine"), ("float32", "bfloat16")))


def chained(cell: Cell, folder: Path, steps: tuple[int, ...]) -> State:
    """A training in several steps, each from what the one before has stored."""
    store, state = CellStore(folder), State()
    for epochs in steps:
        store.save_state(advance(cell, data_of(), state, epochs))
        state = CellStore(folder).state()
    return state


def same(one: State, other: State) -> None:
    ours, theirs = one.flat(), other.flat()
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert value.dtype == theirs[path].dtype
        assert np.array_equal(value, theirs[path]), path
    untimed = [[replace(epoch, seconds=0.0) for epoch in state.history] for state in (one, other)]
    assert untimed[0] == untimed[1]
    assert one.kept_epoch == other.kept_epoch


@pytest.mark.parametrize(("optimizer", "schedule", "precision"), SETTINGS)
def test_steps_through_the_store_equal_one_long_step(
    optimizer: str, schedule: str, precision: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule, "precision": precision, "lr": 1e-2}
    cell = cell_of({"conv": {"width": 4}}, epochs=4, **settings)
    same(advance(cell, data_of(), State(), 4), chained(cell, tmp_path, (1, 2, 1)))


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("name", TRAINABLE)
def test_every_model_can_be_trained_in_steps(name: str, optimizer: str, tmp_path: Path) -> None:
    cell = cell_of(name, epochs=2, keep="best", optimizer=optimizer)
    same(advance(cell, data_of(), State(), 2), chained(cell, tmp_path, (1, 1)))


def test_flips_warm_up_and_clipping_can_be_trained_in_steps(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimizer": "muon", "flips": True, "warmup": 0.5, "grad_clip": 0.01}
    cell = cell_of({"unet": {"width": 4}}, epochs=4, **settings)
    same(advance(cell, data_of(), State(), 4), chained(cell, tmp_path, (1, 2, 1)))


@pytest.mark.parametrize("objective", ["autoencode", "noise2noise", "noise2void"])
@pytest.mark.parametrize("budget", [{"epochs": 3}, {"images": 90}])
def test_every_objective_and_budget_can_be_trained_in_steps(
    objective: str, budget: dict[str, Any], tmp_path: Path
) -> None:
    cell = cell_of({"conv": {"width": 4, "objective": objective}}, objective=objective, **budget)
    same(advance(cell, data_of(), State(), 3), chained(cell, tmp_path, (1, 1, 1)))


@dataclass(frozen=True)
class Dropping(TrainableModel):
    """Draws from torch's RNG and keeps a buffer."""

    def build(self, size: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, 3, 1))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_layers_that_draw_by_themselves_can_be_trained_in_steps(keep: str, tmp_path: Path) -> None:
    cell = replace(cell_of("conv", keep=keep), model=Dropping())
    one = advance(cell, data_of(), State(), 3)
    torch.rand(17)  # what others draw in between must not matter
    same(one, chained(cell, tmp_path, (2, 1)))


def test_more_epochs_than_are_left_change_nothing() -> None:
    cell = cell_of({"conv": {"width": 4}}, epochs=2)
    done = advance(cell, data_of(), State(), 99)
    assert done.epoch == 2
    same(done, advance(cell, data_of(), done, 1))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_loop_is_what_plain_torch_does(optimizer: str) -> None:
    """Against a loop written out with torch's own optimisers and schedule, nothing fused, usual memory order."""
    data = data_of(train=48)
    settings: dict[str, Any] = {"optimizer": optimizer, "lr": 1e-2, "weight_decay": 1e-2, "keep": "last"}
    cell = cell_of({"unet": {"width": 4}}, epochs=2, **settings)
    assert isinstance(cell.model, TrainableModel) and cell.noise is not None
    network = build(cell.model, 16, seed=0).train()
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    momentum: dict[str, Any] = {"momentum": 0.9} if optimizer == "sgd" else {}
    steps = make(network.parameters(), lr=1e-2, weight_decay=1e-2, fused=False, foreach=False, **momentum)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(steps, T_max=2 * 3)
    losses = []
    for epoch in (1, 2):
        total = 0.0
        order = rng.permutation(48, 0, "order", epoch)
        for start in (0, 16, 32):
            chosen = torch.from_numpy(order[start : start + 16])
            clean = to_float(torch.from_numpy(data.train)[chosen])
            noisy = cell.noise.apply(clean, Draw(tuple(clean.shape), 0, ("train", epoch), chosen))
            loss = ((network(noisy) - clean) ** 2).mean()
            steps.zero_grad()
            loss.backward()
            steps.step()
            schedule.step()
            total += loss.item() * len(chosen)
        losses.append(total / 48)
    state = advance(cell, data, State(), 2)
    assert [epoch.train_loss for epoch in state.history] == pytest.approx(losses, rel=1e-5)
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(state.kept[name], value, atol=2e-5, err_msg=name)


def test_validation_loss_is_the_mean_over_the_validation_images() -> None:
    data = data_of()
    cell = cell_of({"conv": {"width": 4}}, epochs=1, keep="last")
    assert isinstance(cell.model, TrainableModel) and cell.noise is not None
    state = advance(cell, data, State(), 1)
    network = build(cell.model, 16, 0)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in state.weights.items()})
    clean = to_float(torch.from_numpy(data.validation))
    noisy = cell.noise.apply(clean, Draw(tuple(clean.shape), TEST_SEED, ("validation", 0), torch.arange(10)))
    with torch.inference_mode():
        expected = ((network.eval()(noisy) - clean) ** 2).mean().item()
    assert state.history[0].validation_loss == pytest.approx(expected, rel=1e-5)


def test_training_lowers_the_loss() -> None:
    history = advance(cell_of("unet", epochs=20, lr=3e-3), data_of(), State(), 20).history
    first, last = history[0], history[-1]
    assert last.train_loss < 0.75 * first.train_loss
    assert first.validation_loss is not None and last.validation_loss is not None
    assert last.validation_loss < 0.9 * first.validation_loss
    assert [epoch.epoch for epoch in history] == list(range(1, 21))


def test_the_seed_decides() -> None:
    first, again, other = (
        advance(cell_of({"conv": {"width": 4}}, seed=seed, epochs=1), data_of(), State(), 1) for seed in (1, 1, 2)
    )
    same(first, again)
    assert not np.array_equal(first.kept["encoder.0.weight"], other.kept["encoder.0.weight"])
    assert first.history[0].train_loss != other.history[0].train_loss


def test_training_never_looks_at_the_test_images() -> None:
    data = replace(data_of(), test=forbidden())
    assert advance(cell_of({"conv": {"width": 4}}, epochs=2), data, State(), 2).epoch == 2


def test_the_weights_kept_are_those_of_the_epoch_with_the_lowest_validation_loss() -> None:
    cell = cell_of({"conv": {"width": 4}}, epochs=6, optimizer="sgd", lr=3.0, schedule="constant", keep="best")
    state = advance(cell, data_of(), State(), 6)
    losses = [epoch.validation_loss for epoch in state.history if epoch.validation_loss is not None]
    assert state.kept_epoch == 1 + int(np.argmin(losses)) < 6, "the test needs a run whose last epoch is not its best"
    then = advance(cell, data_of(), State(), state.kept_epoch).weights
    for name, value in then.items():
        assert np.array_equal(state.kept[name], value)


def test_the_choice_looks_at_validation_images_only() -> None:
    """Other training images of the same number leave the rule as it is: lowest validation loss, not training loss."""
    cell = cell_of({"conv": {"width": 4}}, epochs=6, optimizer="sgd", lr=3.0, schedule="constant")
    data = data_of()
    chosen = {
        advance(cell, replace(data, validation=smooth_pictures(10, 16, seed)), State(), 6).kept_epoch
        for seed in range(5, 11)
    }
    assert len(chosen) > 1, "the choice does not depend on the validation images"


def test_the_last_weights_are_kept_on_request_and_without_validation_images() -> None:
    for cell, data in (
        (cell_of("unet", optimizer="sgd", lr=0.3, keep="last"), data_of()),
        (cell_of("unet", optimizer="sgd", lr=0.3), _without_validation()),
    ):
        state = advance(cell, data, State(), 3)
        assert state.kept_epoch == 3
        for name, value in state.weights.items():
            assert np.array_equal(state.kept[name], value)


def _without_validation() -> Any:
    data = data_of()
    return replace(data, validation=data.validation[:0])


def test_a_loss_that_explodes_ends_the_training() -> None:
    cell = cell_of({"unet": {"width": 4}}, optimizer="sgd", lr=100.0, epochs=30)
    with pytest.raises(Diverged, match=r"diverged: .* in epoch \d+ \(learning rate 100\)"):
        advance(cell, data_of(), State(), 30)


@dataclass(frozen=True)
class Broken(TrainableModel):
    """Its loss is a number, its gradient is none."""

    def build(self, size: int) -> nn.Module:
        return nn.Conv2d(3, 3, 1)

    def loss(self, network: nn.Module, inputs: Any, targets: Any, draw: Draw) -> torch.Tensor:
        return (0 * network(inputs).sum()).sqrt()


def test_weights_that_are_no_numbers_end_the_training_in_the_epoch_that_made_them() -> None:
    cell = replace(cell_of("conv", epochs=1, batch_size=64), model=Broken())
    with pytest.raises(Diverged, match="a weight is no longer a finite number in epoch 1"):
        advance(cell, data_of(), State(), 1)


def test_a_model_that_needs_no_training_is_refused() -> None:
    with pytest.raises(ValueError, match="identity needs no training"):
        advance(cell_of("identity"), data_of(), State(), 1)


class Gateless(nn.Module):
    """A branch behind a scale of zero: its weight has no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.branch = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.scale = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.main(images) + self.scale * self.branch(images)


def branch_after(steps: int, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight of a branch without a gradient, before and after some steps."""
    cell = cell_of("conv", epochs=steps, batch_size=40, schedule="constant", keep="last", **settings)
    monkeypatch.setattr(type(cell.model), "build", lambda self, size: Gateless())
    assert isinstance(cell.model, TrainableModel)
    first = build(cell.model, 16, 0).state_dict()["branch.weight"]
    return first, torch.from_numpy(advance(cell, data_of(), State(), steps).weights["branch.weight"])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "muon"])
def test_by_default_a_weight_without_a_gradient_keeps_its_value(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = branch_after(5, monkeypatch, optimizer=optimizer)
    assert torch.equal(before, after)


def test_decoupled_decay_shrinks_a_weight_by_the_rate_times_the_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = branch_after(1, monkeypatch, optimizer="adamw", weight_decay=0.1, lr=2e-3)
    assert torch.allclose(after / before, torch.tensor(1 - 2e-3 * 0.1), rtol=0, atol=1e-3 * 2e-3 * 0.1 + 1e-7)


def test_a_long_gradient_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain descent moves the weights by the rate times the gradient, so by no more than the rate times its limit."""
    moved = {}
    for limit in (1e-3, None, 1e6):
        settings: dict[str, Any] = {"optimizer": "sgd", "lr": 1.0, "schedule": "constant", "batch_size": 40}
        cell = cell_of({"conv": {"width": 4}}, epochs=1, keep="last", grad_clip=limit, **settings)
        assert isinstance(cell.model, TrainableModel)
        first = build(cell.model, 16, 0)
        after = advance(cell, data_of(), State(), 1).weights
        moves = [after[name] - weight.detach().numpy() for name, weight in first.named_parameters()]
        moved[limit] = float(np.sqrt(sum((move.astype(float) ** 2).sum() for move in moves)))
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-3) and moved[None] == moved[1e6] > 0.01


@pytest.mark.parametrize("node", [node for node in NODES if models.parse(node).trains], ids=str)
def test_a_last_batch_of_one_image_can_be_trained(node: Node) -> None:
    (epoch,) = advance(cell_of(node, epochs=1, batch_size=8), data_of(train=17), State(), 1).history
    assert np.isfinite(epoch.train_loss)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_codebook_trains_with_and_without_memory(decay: float) -> None:
    cell = cell_of({"vq_vae": {"width": 4, "entries": 64, "decay": decay}}, epochs=2)
    assert all(np.isfinite(epoch.train_loss) for epoch in advance(cell, data_of(), State(), 2).history)


def test_a_loss_that_never_was_finite_is_not_blamed_on_the_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cell_of({"conv": {"width": 4}}, epochs=1)
    monkeypatch.setattr(TrainableModel, "loss", lambda self, network, inputs, targets, draw: network(inputs).sum() / 0)
    with pytest.raises(Diverged, match="not finite before the first step either"):
        advance(cell, data_of(), State(), 1)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", [name for name in models if models[name].trains])
def test_compiled_training_differs_by_rounding_only(name: str) -> None:
    """In the first epoch: from then on training amplifies rounding, by processor and model to several thousandths."""
    plain, compiled = (
        advance(cell_of(name, epochs=1, keep="last", compile=choice), data_of(), State(), 1) for choice in ("off", "on")
    )
    for before, after in zip(plain.history, compiled.history, strict=True):
        assert after.train_loss == pytest.approx(before.train_loss, rel=1e-3)
        assert after.validation_loss == pytest.approx(before.validation_loss, rel=1e-3)


def test_a_training_starts_from_what_a_model_takes_from_its_images() -> None:
    """Without a step to speak of, an autoencoder of clean images has the error of principal component analysis."""
    data = data_of()
    node = {"dense": {"code": 8, "objective": "autoencode"}}
    cell = cell_of(node, objective="autoencode", epochs=1, lr=1e-12)
    assert isinstance(cell.model, TrainableModel)
    state = advance(cell, data, State(), 1)
    network = build(cell.model, 16, 0)
    load_weights(network, state.weights)
    clean = torch.from_numpy(data.train.copy()).float().flatten(1).double() / 255
    values = torch.linalg.svdvals(clean - clean.mean(0))
    best = values[8:].square().sum() / clean.numel()
    error = (network(clean.float().view(-1, 3, 16, 16)).flatten(1) - clean).square().mean()
    assert error.item() == pytest.approx(best.item(), rel=1e-3)
    assert state.history[0].train_loss == pytest.approx(best.item(), rel=1e-3)
