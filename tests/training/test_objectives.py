"""Objectives: what a network is shown, what it is compared with, and which pixels count."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bench import spec
from bench.core.errors import SpecError
from bench.core.images import to_float
from bench.core.rng import Draw
from bench.datasets import Data
from bench.noises import noises
from bench.training import objectives
from bench.training.objectives import Phase, blind, corrupt, loss
from bench.training.state import State
from bench.training.train import advance, build
from tests.helpers.images import Node, data_of, smooth_pictures
from tests.helpers.specs import cell_of


@pytest.fixture(scope="module")
def data(photos: np.ndarray) -> Data:
    return Data(photos[:48], photos[48:64], photos[64:72], "photos")


def test_noise2noise_and_noise2void_never_see_the_clean_image(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    clean = torch.from_numpy(data.train).float() / 255
    loss = torch.nn.functional.mse_loss

    def watch(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((output.detach(), target.detach()))
        return loss(output, target)

    monkeypatch.setattr(torch.nn.functional, "mse_loss", watch)
    monkeypatch.setattr("bench.training.objectives.functional.mse_loss", watch, raising=False)
    monkeypatch.setattr("bench.models.base.functional.mse_loss", watch, raising=False)
    for objective in ("noise2noise", "noise2void"):
        seen.clear()
        cell = cell_of({"unet": {"width": 4, "depth": 1, "objective": objective}})
        advance(cell, replace(data, validation=data.validation[:0]), State(), 1)
        assert len(seen) == 3
        targets = torch.cat([target for _, target in seen])
        nearest = torch.stack([(clean - target).square().mean((1, 2, 3)).min() for target in targets])
        assert (nearest > 0.5 * 0.1**2).all(), "a target is closer to a clean image than its noise allows"


def blinded(noisy: torch.Tensor, per_channel: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    return blind(noisy, Draw(tuple(noisy.shape), 0, ("blind",), torch.arange(len(noisy))), per_channel)


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (16, 24)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_noise2void_hides_one_value_in_each_square(per_channel: bool, size: tuple[int, int]) -> None:
    noisy = torch.rand(50, 3, *size, generator=torch.Generator().manual_seed(0))
    shown, hidden = blinded(noisy, per_channel)
    assert hidden.shape == (50, 3 if per_channel else 1, *size)
    down, across = size[0] // 8 * 8, size[1] // 8 * 8
    squares = hidden[:, :, :down, :across].reshape(50, -1, down // 8, 8, across // 8, 8).sum((3, 5))
    assert (squares == 1).all()
    assert torch.equal(shown != noisy, hidden.expand_as(noisy))
    share = hidden[..., :down, :across].float().mean((0, 1))  # each place as often as any other
    assert share.mean() == pytest.approx(1 / 64) and share.max() < 0.15
    if per_channel:
        both = (hidden[:, 0] & hidden[:, 1]).float().mean()
        assert both < 3 / 64**2, "the channels hide the same pixels"


@pytest.mark.parametrize("size", [(32, 32), (3, 9), (1, 2)])
def test_noise2void_shows_one_of_the_120_neighbours_and_never_the_value_itself(size: tuple[int, int]) -> None:
    """Every pixel has a value of its own, its place, so that a copy tells where it was taken."""
    height, width = size
    places = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width).expand(900, 3, -1, -1)
    shown, hidden = blinded(places)
    taken, there = shown[hidden].long(), places.expand_as(shown)[hidden].long()
    assert (taken != there).all(), "a hidden value shows itself"
    down, right = taken // width - there // width, taken % width - there % width
    assert down.abs().max() <= 5 and right.abs().max() <= 5
    inside = (there // width >= 5) & (there // width < height - 5) & (there % width >= 5) & (there % width < width - 5)
    if inside.any():
        counts = torch.bincount((down * 11 + right)[inside] + 60, minlength=121)
        assert (counts > 0).sum() == 120
        assert counts.max() < 2 * counts[counts > 0].float().mean()


@pytest.mark.parametrize(
    ("noise", "sites"),
    [
        ("gaussian", 3),
        ({"salt_and_pepper": {"per": "element"}}, 3),
        ({"salt_and_pepper": {"per": "pixel"}}, 1),
        ({"compose": {"of": ["gaussian", {"impulse": {"per": "pixel"}}]}}, 1),
    ],
)
def test_pixels_are_hidden_whole_where_their_channels_are_hit_together(
    noise: Node, sites: int, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = []

    def watch(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        masks.append(blind(*given)[1])
        return blind(*given)

    monkeypatch.setattr(objectives, "blind", watch)
    cell = cell_of({"unet": {"width": 4, "depth": 1, "objective": "noise2void"}}, noise)
    network = build(cell.model, 32, 0)  # type: ignore[arg-type] # unet is trainable
    loss(cell, network, data.train, np.arange(2), Phase("train", 0, 1))
    assert masks[0].shape == (2, sites, *data.train.shape[2:])


def test_noise2void_judges_hidden_values_alone(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each counts by the square of its own error, whatever happens elsewhere."""
    hidden = torch.zeros(2, 3, *data.train.shape[2:], dtype=torch.bool)
    hidden[0, 1, 4, 5] = hidden[1, 2, 7, 8] = True
    seen = {}

    def hide(noisy: torch.Tensor, draw: Draw, per_channel: bool) -> tuple[torch.Tensor, torch.Tensor]:
        seen["noisy"] = noisy
        return noisy, hidden

    monkeypatch.setattr(objectives, "blind", hide)
    cell = cell_of({"conv": {"width": 4, "objective": "noise2void"}})
    found = loss(cell, torch.nn.Identity(), data.train, np.arange(2), Phase("train", 0, 1))
    assert found.item() == 0
    found = loss(cell, Shifted(), data.train, np.arange(2), Phase("train", 0, 1))
    assert found.item() == pytest.approx(0.25, abs=1e-5)


class Shifted(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + 0.5


@pytest.mark.parametrize("objective", ["noise2noise", "noise2void"])
@pytest.mark.parametrize("noise", ["masking", "salt_and_pepper", "impulse", "blur", "jpeg", "block_masking", "compose"])
def test_learning_the_mean_of_noisy_images_is_refused_where_that_is_not_the_clean_one(
    objective: str, noise: str
) -> None:
    text = "{name: a, dataset: photos, models: [{unet: {objective: OBJECTIVE}}], noises: [NOISES]}"
    text = text.replace("OBJECTIVE", objective)
    spec.parse(text.replace("NOISES", "gaussian, poisson, speckle, uniform, {compose: {of: [gaussian, poisson]}}"))
    spec.parse(text.replace(objective, "denoise").replace("NOISES", noise))
    with pytest.raises(SpecError, match=rf"noises: unet with objective {objective} .* of {noise} is not .* denoise"):
        spec.parse(text.replace("NOISES", f"gaussian, {noise}"))


def test_noise2void_is_refused_where_a_family_has_its_own_loss() -> None:
    with pytest.raises(SpecError, match=r"vae.objective: vae has a loss of its own"):
        spec.parse("{name: a, dataset: photos, models: [{vae: {objective: noise2void}}], noises: [gaussian]}")


def test_autoencoding_shows_the_network_clean_images() -> None:
    clean = to_float(torch.from_numpy(smooth_pictures(4)))
    assert corrupt(None, clean, torch.arange(4), Phase("train", 0, 1)) is clean
    with_noise = advance(cell_of({"conv": {"width": 4}}, epochs=1), data_of(), State(), 1)
    without = advance(
        cell_of({"conv": {"width": 4, "objective": "autoencode"}}, objective="autoencode", epochs=1),
        data_of(),
        State(),
        1,
    )
    assert with_noise.history[0].train_loss != without.history[0].train_loss


def test_noise_is_drawn_anew_in_every_epoch_unless_it_is_not_fresh() -> None:
    clean = to_float(torch.from_numpy(smooth_pictures(4)))

    def drawn(fresh: bool, epoch: int) -> torch.Tensor:
        return corrupt(noises.parse({"gaussian": {"fresh": fresh}}), clean, torch.arange(4), Phase("train", 0, epoch))

    assert not torch.equal(drawn(True, 1), drawn(True, 2))
    assert torch.equal(drawn(False, 1), drawn(False, 2))


def test_a_step_that_hides_no_value_has_no_loss() -> None:
    """As happens with images smaller than the squares of which one value is hidden."""
    cell = cell_of({"dncnn": {"depth": 3, "width": 4, "objective": "noise2void"}}, batch_size=1)
    data = data_of(size=4)
    network = build(cell.model, 4, 0)  # type: ignore[arg-type] # dncnn is trainable
    losses = [loss(cell, network, data.train, np.array([image]), Phase("train", 0, 1)) for image in range(40)]
    draws = [Draw((1, 3, 4, 4), 0, ("loss", "train", 1, "blind"), torch.tensor([image])) for image in range(40)]
    nothing = [not blind(torch.zeros(1, 3, 4, 4), draw, True)[1].any() for draw in draws]
    assert any(nothing) and not all(nothing)
    assert [value.item() == 0 for value in losses] == nothing
    assert all(np.isfinite(epoch.train_loss) for epoch in advance(cell, data, State(), 2).history)


def test_flips_mirror_half_of_the_training_images_whatever_the_batch() -> None:
    images = smooth_pictures(64)
    network = torch.nn.Identity()
    cell = cell_of({"unet": {"objective": "autoencode"}}, objective="autoencode", flips=True)
    shown: list[torch.Tensor] = []
    network.register_forward_hook(lambda module, inputs, output: shown.append(inputs[0]))

    def seen(phase: Phase, *batches: list[int]) -> torch.Tensor:
        shown.clear()
        for batch in batches:
            loss(cell, network, images, np.array(batch), phase)
        return torch.cat(shown)

    clean, every = to_float(torch.from_numpy(images)), list(range(64))
    first = seen(Phase("train", 0, 1), every)
    mirrored = torch.tensor([torch.equal(image, other.flip(2)) for image, other in zip(first, clean, strict=True)])
    kept = torch.tensor([torch.equal(image, other) for image, other in zip(first, clean, strict=True)])
    assert (mirrored ^ kept).all() and 20 < mirrored.sum() < 44
    assert torch.equal(seen(Phase("train", 0, 1), every[:10], every[10:]), first)
    assert not torch.equal(seen(Phase("train", 0, 2), every), first)
    assert torch.equal(seen(objectives.VALIDATION, every), clean)
