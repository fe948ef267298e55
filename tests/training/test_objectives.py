"""Objectives: what a network is shown, what it is compared with, and which pixels count."""

from dataclasses import replace

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
from tests.helpers.images import data_of, smooth_pictures
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


def test_noise2void_judges_hidden_pixels_alone(data: Data) -> None:
    noisy = torch.from_numpy(data.train).float() / 255
    draw = Draw(tuple(noisy.shape), 0, ("blind",), torch.arange(len(noisy)))
    shown, hidden = objectives.blind(noisy, draw)
    share = hidden.float().mean().item()
    assert share == pytest.approx(objectives.HIDDEN, abs=5 * (objectives.HIDDEN / hidden.numel()) ** 0.5)
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
    shown, hidden = objectives.blind(places, draw)
    taken = (shown - places)[:, :1][hidden]
    assert (taken != 0).all(), "a hidden pixel shows its own value"
    inside = hidden[:, 0, 2:-2, 2:-2]
    offsets = (shown - places)[:, 0, 2:-2, 2:-2][inside].long().unique().tolist()
    assert offsets == sorted(size * down + right for down in range(-2, 3) for right in range(-2, 3) if down or right)


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


def test_a_step_that_hides_no_pixel_has_no_loss() -> None:
    cell = cell_of({"conv": {"width": 4, "objective": "noise2void"}}, batch_size=1)
    data = data_of(size=8)
    network = build(cell.model, 8, 0)  # type: ignore[arg-type] # conv is trainable
    losses = [loss(cell, network, data.train, np.array([image]), Phase("train", 0, 1)) for image in range(40)]
    hidden = [blind(torch.zeros(1, 3, 8, 8), Draw((1, 3, 8, 8), 0, ("loss", "train", 1, "blind"), torch.tensor([i])))[1]
              for i in range(40)]  # fmt: skip
    nothing = [not mask.any() for mask in hidden]
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
