"""Networks that claim a published architecture, against that architecture written out from its paper."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.models import TrainableModel, models
from tests.helpers.images import Node, corrupt, draw_for, images_of
from tests.helpers.models import NODES

Weights = Iterator[torch.Tensor]  # in the order in which they are used
EPS = 1e-6  # of NAFNet's layer normalisation


def made_up(node: Node) -> nn.Module:
    """A network for evaluation whose every weight and statistic matters."""
    network = models.parse(node).build(32).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "num_batches" in name:
                continue
            drawn = torch.randn(value.shape, generator=generator)
            value.copy_(drawn.abs() + 0.5 if "running_var" in name else 0.3 * drawn)
    return network


def convolved(features: torch.Tensor, weights: Weights, bias: bool = True, **options: Any) -> torch.Tensor:
    weight = next(weights)
    return functional.conv2d(features, weight, next(weights) if bias else None, **options)


def dncnn(images: torch.Tensor, weights: Weights, depth: int) -> torch.Tensor:
    """Zhang et al. 2017, section III: Conv+ReLU, depth - 2 times Conv+BN+ReLU, Conv; it estimates the noise."""
    features = convolved(images, weights, padding=1).relu()
    for _ in range(depth - 2):
        features = convolved(features, weights, bias=False, padding=1)
        scale, shift, mean, variance, _ = (next(weights) for _ in range(5))
        features = functional.batch_norm(features, mean, variance, scale, shift).relu()
    return images - convolved(features, weights, padding=1)


@pytest.mark.parametrize("depth", [3, 6])
def test_dncnn_is_that_of_its_paper(depth: int) -> None:
    network = made_up({"dncnn": {"width": 6, "depth": depth}})
    *before, weight, bias = network.state_dict().values()
    images = images_of(2, (13, 17))
    with torch.no_grad():  # ours adds what it predicts
        expected = dncnn(images, iter([*before, -weight, -bias]), depth)
        torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)


def normalised(features: torch.Tensor, weights: Weights) -> torch.Tensor:
    scale, shift = next(weights), next(weights)
    mean = features.mean(1, keepdim=True)
    variance = (features - mean).square().mean(1, keepdim=True)
    return (features - mean) / (variance + EPS).sqrt() * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)


def gated(features: torch.Tensor) -> torch.Tensor:
    first, second = features.split(features.shape[1] // 2, 1)
    return first * second


def nafnet_block(features: torch.Tensor, weights: Weights) -> torch.Tensor:
    """Chen et al. 2022, figure 3(c): SimpleGate and simplified channel attention, each half scaled and added."""
    beta = next(weights)
    inner = convolved(normalised(features, weights), weights)
    inner = gated(convolved(inner, weights, padding=1, groups=inner.shape[1]))
    inner = inner * convolved(functional.adaptive_avg_pool2d(inner, 1), weights)
    features = features + beta * convolved(inner, weights)
    gamma = next(weights)
    inner = gated(convolved(normalised(features, weights), weights))
    return features + gamma * convolved(inner, weights)


def nafnet_level(features: torch.Tensor, weights: Weights, depth: int, blocks: int) -> torch.Tensor:
    """The blocks at one resolution, and between them all that lies below, whose output is added."""
    for _ in range(blocks):
        features = nafnet_block(features, weights)
    if not depth:
        return features
    below = nafnet_level(convolved(features, weights, stride=2), weights, depth - 1, blocks)
    features = features + functional.pixel_shuffle(convolved(below, weights, bias=False), 2)
    for _ in range(blocks):
        features = nafnet_block(features, weights)
    return features


@pytest.mark.parametrize(("depth", "blocks"), [(1, 1), (2, 2)])
def test_nafnet_is_that_of_its_paper(depth: int, blocks: int) -> None:
    network = made_up({"nafnet": {"width": 4, "depth": depth, "blocks": blocks}})
    weights = iter(network.state_dict().values())
    images = images_of(2, (16, 20))
    with torch.no_grad():
        inner = nafnet_level(convolved(images, weights, padding=1), weights, depth, blocks)
        expected = images + convolved(inner, weights, padding=1)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
    assert next(weights, None) is None


def residual_blocks(features: torch.Tensor, weights: Weights) -> torch.Tensor:
    """van den Oord et al. 2017, section 4.1: ReLU, 3x3, ReLU, 1x1, twice, each added; here GELU for ReLU."""
    for _ in range(2):
        inner = convolved(functional.gelu(features), weights, padding=1)
        features = features + convolved(functional.gelu(inner), weights)
    return functional.gelu(features)


def raised(features: torch.Tensor, weights: Weights) -> torch.Tensor:
    return functional.conv_transpose2d(features, next(weights), next(weights), stride=2, padding=1)


def test_vq_vae_has_the_layers_of_its_paper() -> None:
    """Two strided 4x4 convolutions and two residual blocks, the nearest entries, and the same backwards."""
    network = made_up({"vq_vae": {"width": 2, "entries": 16}})
    weights = iter(network.state_dict().values())
    images = images_of(2, (12, 20))
    with torch.no_grad():
        features = functional.gelu(convolved(images, weights, stride=2, padding=1))
        features = residual_blocks(convolved(features, weights, stride=2, padding=1), weights)
        code = functional.normalize(convolved(features, weights), dim=1) * 8**0.5
        book = next(weights)
        for _ in range(2):  # what the codebook's averages are made of
            next(weights)
        nearest = (code.unsqueeze(1) - book[..., None, None]).square().sum(2).argmin(1)
        features = residual_blocks(convolved(book[nearest].movedim(-1, 1), weights, padding=1), weights)
        expected = raised(functional.gelu(raised(features, weights)), weights).sigmoid()
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
    assert nearest.unique().numel() > 4
    assert next(weights, None) is None


@pytest.mark.parametrize("node", [node for node in NODES if models.parse(node).trains], ids=str)
def test_a_batch_of_one_image_trains(node: Node) -> None:
    model = models.parse(node)
    assert isinstance(model, TrainableModel)
    network = model.build(32).train()
    clean = images_of(1, (32, 32))
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    loss = model.loss(network, noisy, clean, draw_for(clean))
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is None or bool(weight.grad.isfinite().all()) for weight in network.parameters())
