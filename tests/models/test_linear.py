"""`linear` is the map of `pca`, and its training finds it."""

from typing import Any, cast

import pytest
import torch

from bench.datasets import Data
from bench.models import ClosedForm, models
from bench.noises import noises
from bench.spec import Train
from bench.spec.cells import Cell
from bench.training.closed_form import Batches
from bench.training.objectives import VALIDATION, corrupt
from bench.training.state import State
from bench.training.train import advance, load_weights
from tests.helpers.images import images_of, waves_of

GAUSSIAN = noises.parse({"gaussian": {"sigma": 0.1}})


@pytest.mark.parametrize("patch", [None, 4])
def test_it_is_an_affine_map_that_pca_can_be(patch: int | None) -> None:
    """With the weights of `pca`, its offset moved by the grey that is subtracted, it does the same."""
    node = {"code": 8, "patch": patch}
    generator = torch.Generator().manual_seed(0)
    principal = cast("Any", models.parse({"pca": node}).build(16))
    with torch.no_grad():
        for parameter in principal.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 10)
    network = cast("Any", models.parse({"linear": node}).build(16))
    weights = list(principal.state_dict().values())
    weights[1] = weights[1] + 0.5 * weights[0].flatten(1).sum(1)
    network.load_state_dict(dict(zip(network.state_dict(), weights, strict=True)))
    images = images_of(3, (16, 16))
    torch.testing.assert_close(network(images), principal(images), rtol=1e-4, atol=1e-5)


def test_it_starts_as_a_projection() -> None:
    torch.manual_seed(0)
    network = models.parse({"linear": {"code": 12}}).build(8)
    images = images_of(4, (8, 8))
    with torch.no_grad():
        once = network(images)
    torch.testing.assert_close(network(once), once, rtol=0, atol=1e-5)
    assert 0 < float((once - 0.5).square().sum()) < float((images - 0.5).square().sum())


def psnr(network: torch.nn.Module, data: Data) -> float:
    clean = torch.from_numpy(data.validation.copy()).float() / 255
    noisy = corrupt(GAUSSIAN, clean, torch.arange(len(clean)), VALIDATION)
    with torch.no_grad():
        error = (network(noisy).clamp(0, 1) - clean).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


@pytest.mark.long
@pytest.mark.parametrize(("patch", "code"), [(None, 16), (4, 9), (4, 48)])
def test_its_training_ends_where_pca_is(patch: int | None, code: int) -> None:
    """Where the next component is clearly weaker; 12 of these patches ended 0.12 dB below."""
    data = waves_of(1700, 16)
    node = {"code": code, "patch": patch}
    model = models.parse({"linear": node})
    train = Train(**{**model.recipe, "images": 120_000, "precision": "float32", "device": "cpu"})
    state = advance(Cell(model, GAUSSIAN, 0, train, {"train": len(data.train)}), data, State(), 100)
    network = model.build(16)
    load_weights(network, state.kept)
    principal = models.parse({"pca": node})
    assert isinstance(principal, ClosedForm)
    with torch.no_grad():
        solved = principal.solve(Batches(data.train, GAUSSIAN), 16)
    assert psnr(network, data) > psnr(solved, data) - 0.1
