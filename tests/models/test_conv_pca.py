"""`conv_pca` starts as principal component analysis, and its code stays that of the components."""

from typing import Any, cast

import pytest
import torch

from bench.models import models
from bench.spec import Train
from bench.spec.cells import Cell
from bench.training.state import State
from bench.training.train import advance
from tests.helpers.images import waves_of

NODE = {"conv_pca": {"code": 6, "width": 4, "objective": "autoencode"}}


def test_it_starts_as_principal_component_analysis() -> None:
    """Of all linear maps through a code of 6 it errs least: by what all later singular values hold."""
    torch.manual_seed(0)
    images = torch.from_numpy(waves_of(300, 16).train).float() / 255
    model = cast("Any", models.parse(NODE))
    network = model.build(16)
    model.start(network, images, images)
    flat = images.flatten(1).double()
    left_out = torch.linalg.svdvals(flat - flat.mean(0))[6:].square().sum().item()
    with torch.no_grad():
        error = (network(images).double() - images).square().sum().item()
    assert error == pytest.approx(left_out, rel=2e-3)


def test_training_moves_the_networks_and_leaves_the_components() -> None:
    data = waves_of(264, 16)
    model = cast("Any", models.parse(NODE))
    train = Train(**{**model.recipe, "images": 64, "precision": "float32", "device": "cpu", "keep": "last"})
    cell = Cell(model, None, 0, train, {"train": len(data.train)})
    first = advance(cell, data, State(), 1)
    later = advance(Cell(model, None, 0, Train(**{**vars(train), "images": 128}), cell.data), data, first, 1)
    moved = {name for name in first.weights if (first.weights[name] != later.weights[name]).any()}
    still = {"encoder.2.weight", "encoder.2.bias", "decoder.0.weight", "decoder.0.bias"}
    assert moved == first.weights.keys() - still
