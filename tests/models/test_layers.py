"""The building blocks of networks."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.models._layers import ConvTranspose2d, Extremes, KeepLargest, NoiseMap, PadTo, VectorQuantizer
from tests.helpers.images import corrupt, images_of


@pytest.mark.parametrize("shape", [(4, 6, 3, 1, 1, 0), (4, 6, 3, 2, 1, 1), (4, 6, 2, 2, 0, 0), (4, 6, 3, 1, 1, 0, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolutions_are_torchs(shape: tuple[int, ...], bias: bool) -> None:
    kinds: tuple[Callable[..., nn.Module], ...] = (ConvTranspose2d, nn.ConvTranspose2d)
    ours, theirs = (kind(*shape, bias=bias).double() for kind in kinds)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(features), theirs(features))
    found, expected = (
        torch.autograd.grad(each(features).sin().sum(), [features, *each.parameters()]) for each in (ours, theirs)
    )
    torch.testing.assert_close(found, expected)
    if bias:  # some losses take gradients of gradients

        def with_bias(values: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(ours, {"bias": values}, features)

        assert torch.autograd.gradgradcheck(lambda values: with_bias(values).sin(), ours.get_parameter("bias"))


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_noise_map_holds_the_noise_level(sigma: float) -> None:
    images = torch.linspace(0.3, 0.7, 64).expand(8, 3, 64, 64)
    noisy = corrupt({"gaussian": {"sigma": sigma, "clip": False}}, images)
    mapped = NoiseMap()(noisy)
    assert torch.equal(mapped[:, :3], noisy)
    assert (mapped[:, 3] - sigma).abs().max() < 0.1 * sigma
    odd = NoiseMap()(noisy[..., :63, :61])
    assert odd.shape == (8, 4, 63, 61)
    assert (odd[:, 3] - sigma).abs().max() < 0.1 * sigma


@pytest.mark.parametrize("size", [(5, 7), (8, 6), (8, 8)])
def test_padding_is_seen_by_the_network_and_cut_off_again(size: tuple[int, int]) -> None:
    seen = []
    network = PadTo(nn.Identity(), 4)
    network.inner.register_forward_hook(lambda module, inputs, output: seen.append(output))
    images = images_of(1, size)
    assert torch.equal(network(images), images)
    assert seen[0].shape == (1, 3, 8, 8)
    assert torch.equal(seen[0][..., -1, -1], images[..., -1, -1])


def test_flags_tell_the_ends_of_the_range_in_every_channel() -> None:
    images = torch.tensor([[0.0, 1e-6, 0.5], [1.0, -0.1, 1.1]]).view(1, 2, 1, 3)
    flagged = Extremes()(images).view(6, 3)
    assert torch.equal(flagged[:2], images.view(2, 3))
    assert flagged[2:4].tolist() == [[1, 0, 0], [0, 1, 0]] and flagged[4:].tolist() == [[0, 0, 0], [1, 0, 1]]


def test_keep_largest_keeps_k_of_equals() -> None:
    assert (KeepLargest(3)(torch.ones(2, 8, 4, 4)) != 0).sum(1).unique().tolist() == [3]
    assert torch.equal(KeepLargest(9)(torch.ones(2, 8)), torch.ones(2, 8))


def test_in_training_the_channels_that_are_kept_fall_to_k_with_the_images_seen() -> None:
    layer, features = KeepLargest(2, falling=8), torch.arange(1.0, 11).repeat(4, 1)
    kept = [int((layer(features) != 0).sum(1).unique()) for _ in range(3)]
    assert kept == [6, 2, 2] and int(layer.seen) == 12
    again = KeepLargest(2, falling=8)
    again.load_state_dict(layer.state_dict())
    assert int((again(features) != 0).sum(1).unique()) == 2, "a training that is resumed would keep all again"
    fresh = KeepLargest(2, falling=8).eval()
    assert int((fresh(features) != 0).sum(1).unique()) == 2 and not fresh.seen


def test_quantised_codes_are_the_nearest_entries() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(7, 4, 0.9)
    quantizer.codebook.normal_()
    code = torch.randn(2, 4, 3, 5)
    quantized = quantizer(code)
    distances = torch.cdist(code.movedim(1, -1).reshape(-1, 4), quantizer.codebook)
    assert torch.equal(quantized.movedim(1, -1).reshape(-1, 4), quantizer.codebook[distances.argmin(1)])


def test_codebook_finds_the_centres_of_clusters() -> None:
    torch.manual_seed(0)
    centres = torch.randn(4, 8) * 5
    quantizer = VectorQuantizer(4, 8, 0.8)
    for _ in range(60):
        vectors = centres[torch.randint(4, (64,))] + 0.01 * torch.randn(64, 8)
        quantizer.learn(vectors.view(4, 16, 1, 8).movedim(-1, 1), torch.rand(4, 1, 16, 1))
    distance = torch.cdist(centres, quantizer.codebook)
    assert distance.min(1).values.max() < 0.05
    assert sorted(distance.argmin(1).tolist()) == [0, 1, 2, 3]
