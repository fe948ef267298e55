"""Parameters, multiply-accumulates and layers against counts made by hand and by torch."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.models import models
from bench.training import complexity
from tests.helpers.models import NODES


@pytest.mark.parametrize("node", NODES, ids=str)
@pytest.mark.parametrize("size", [28, 32])
def test_counts_are_torchs(node: Any, size: int) -> None:
    network = models.parse(node).build(size).eval()
    counted = complexity.complexity(models.parse(node), size)
    assert counted.parameters == sum(parameter.numel() for parameter in network.parameters())
    if counted.macs is None:
        assert not counted.parameters
        return
    assert counted.parameters
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.rand(2, 3, size, size))
    # A mixture's means are multiplied by its matrices once per call, whatever the number of images.
    shared = 24 * 108 * 108 if node == "patch_gmm" else 0
    assert 2 * (2 * counted.macs - shared) == counter.get_total_flops()


@pytest.mark.parametrize("node", NODES, ids=str)
def test_layers_hold_all_parameters_and_end_at_the_image(node: Any) -> None:
    rows = complexity.layers(models.parse(node), 32)
    own = _outside_layers(models.parse(node).build(32))
    assert sum(row.parameters for row in rows) + own == complexity.complexity(models.parse(node), 32).parameters
    assert math.prod(rows[-1].shape) == 3 * 32 * 32
    assert len({row.name for row in rows}) == len(rows)


def test_macs_of_the_studys_network_by_hand() -> None:
    # Output pixels x kernel x channels in x out; a transposed convolution works on its input's pixels.
    encoder = 28**2 * 9 * 3 * 16 + 14**2 * 9 * 16 * 32 + 7**2 * 9 * 32 * 64 + 7**2 * 9 * 64 * 64
    decoder = 7**2 * 9 * 64 * 64 + 7**2 * 9 * 64 * 32 + 14**2 * 9 * 32 * 16 + 28**2 * 9 * 16 * 3
    assert complexity.complexity(models.parse("conv"), 28).macs == encoder + decoder


def test_counting_leaves_torchs_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    complexity.complexity(models.parse("unet"), 32)
    complexity.layers(models.parse("unet"), 32)
    assert torch.equal(torch.get_rng_state(), before)


def _outside_layers(network: nn.Module) -> int:
    """Parameters that belong to a block and to none of the layers in it."""
    return sum(
        parameter.numel()
        for module in network.modules()
        if list(module.children())
        for parameter in module.parameters(recurse=False)
    )
