"""What every registered model keeps to, and what each family promises."""

import copy
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from bench.core.errors import BenchError
from bench.models import Model, TrainableModel, models
from bench.models.contractive import jacobian_norm
from bench.models.conv import conv_size, transposed_size
from bench.training import complexity
from tests.helpers.images import Node, corrupt, draw_for, images_of
from tests.helpers.models import NODES

HAVE_BM3D = importlib.util.find_spec("bm3d") is not None
TRAINED = [node for node in NODES if models.parse(node).trains]


def trainable(node: Node) -> TrainableModel:
    return cast(TrainableModel, models.parse(node))


def built(node: Node, size: int = 32, seed: int = 0) -> Any:  # a module whose parts are those of its family
    torch.manual_seed(seed)
    return models.parse(node).build(size)


def loss_of(node: Node, network: nn.Module, clean: torch.Tensor, step: int = 0) -> torch.Tensor:
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean, seed=step)
    return trainable(node).loss(network, noisy, clean, draw_for(clean, step))


def trained(node: Node, clean: torch.Tensor, steps: int, size: int = 32, lr: float = 1e-3, half: bool = False) -> Any:
    """The network after some steps on one batch."""
    network = built(node, size).train()
    optimizer = torch.optim.Adam(network.parameters(), lr)
    for step in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = loss_of(node, network, clean, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@pytest.fixture(scope="module")
def clean(photos: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(photos[::6].copy()).float() / 255


@pytest.mark.parametrize("node", NODES, ids=str)
@pytest.mark.parametrize("size", [28, 32])
def test_maps_images_to_finite_images_of_the_same_shape(node: Node, size: int) -> None:
    images = images_of(4, (size, size))
    with torch.inference_mode():
        output = built(node, size).eval()(images)
    assert output.shape == images.shape
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("node", NODES, ids=str)
def test_any_size_means_any_multiple(node: Node) -> None:
    model = models.parse(node)
    if not model.any_size:
        with pytest.raises(RuntimeError):
            built(node, 32).eval()(images_of(1, (40, 40)))
        return
    size = (5 * model.multiple + 16, 3 * model.multiple + 16)
    with torch.inference_mode():
        assert built(node, 32).eval()(images_of(1, size)).shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("node", "any_size", "multiple"),
    [
        ("conv", True, 4),
        ("vq_vae", True, 4),
        ("unet", True, 1),
        ("median", True, 1),
        ("dense", False, 1),
        ("vae", True, 4),
        ({"vae": {"kind": "dense"}}, False, 1),
    ],
)
def test_the_sizes_a_network_takes(node: Node, any_size: bool, multiple: int) -> None:
    model = models.parse(node)
    assert (model.any_size, model.multiple) == (any_size, multiple)


def test_a_plug_in_may_write_the_sizes_it_takes_as_constants() -> None:
    @dataclass(frozen=True)
    class Fixed(Model):
        any_size = False
        multiple = 8
        width: int = 4

    assert (Fixed().any_size, Fixed().multiple) == (False, 8)
    assert Fixed.field_names() == ["width"]
    assert Fixed.from_params({"width": 5}) == Fixed(width=5)


@pytest.mark.parametrize("node", NODES, ids=str)
def test_an_image_is_denoised_the_same_in_any_company(node: Node) -> None:
    network = built(node).eval()
    images = images_of(3, (32, 32))
    with torch.inference_mode():
        torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("node", TRAINED, ids=str)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_steps_lower_the_loss_on_a_fixed_batch(node: Node, half: bool, clean: torch.Tensor) -> None:
    network = built(node).train()
    before = loss_of(node, copy.deepcopy(network), clean).item()
    network = trained(node, clean, 4, half=half).train()
    assert loss_of(node, network, clean).item() < before


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_gradients_reach_every_parameter(node: Node, clean: torch.Tensor) -> None:
    network = trained(node, clean, 2).train()  # a branch may start switched off
    network.zero_grad()
    loss_of(node, network, clean).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_stored_weights_give_the_same_output_to_the_bit(node: Node, clean: torch.Tensor, tmp_path: Path) -> None:
    network = trained(node, clean, 2).eval()
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    other = built(node, seed=1).eval()
    other.load_state_dict(load_file(path))
    with torch.inference_mode():
        assert torch.equal(network(clean), other(clean))


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_training_from_stored_state_goes_on_as_if_never_stored(node: Node, clean: torch.Tensor) -> None:
    network = trained(node, clean, 2).train()
    again = built(node, seed=1).train()
    again.load_state_dict(network.state_dict())
    assert torch.equal(loss_of(node, network, clean, 2), loss_of(node, again, clean, 2))
    stored, other = network.state_dict(), again.state_dict()
    assert all(torch.equal(stored[name], other[name]) for name in stored)


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_validation_loss_needs_no_gradients_and_changes_nothing(node: Node, clean: torch.Tensor) -> None:
    network = trained(node, clean, 1).eval()
    before = copy.deepcopy(network.state_dict())
    with torch.inference_mode():
        loss = loss_of(node, network, clean)
    assert torch.isfinite(loss)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_build_depends_on_torchs_seed_alone(node: Node) -> None:
    one, same, other = built(node), built(node), built(node, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", [name for name in models if models[name].trains])
def test_defaults_stay_small(name: str) -> None:
    assert 0 < complexity.complexity(models.parse(name), 32).parameters < 1_000_000


# conv


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_sizes_are_those_of_torch(kernel: int, stride: int, padding: int) -> None:
    for size in (9, 28, 32):
        image = torch.zeros(1, 1, size, size)
        down = nn.Conv2d(1, 1, kernel, stride, padding)(image).shape[-1]
        assert conv_size(size, stride, kernel, padding) == down
        for extra in range(stride):
            up = nn.ConvTranspose2d(1, 1, kernel, stride, padding, output_padding=extra)(image).shape[-1]
            assert transposed_size(size, stride, kernel, padding, extra) == up


def test_the_studys_network() -> None:
    rows = [row for row in complexity.layers(models.parse("conv"), 28) if "Conv" in row.kind]
    assert [row.shape[1] for row in rows] == [28, 14, 7, 7, 7, 14, 28, 28]
    assert [row.shape[0] for row in rows] == [16, 32, 64, 64, 64, 32, 16, 3]
    assert complexity.complexity(models.parse("conv"), 28).parameters == 121_091


@pytest.mark.parametrize("size", [29, 30, 31])
def test_conv_built_for_an_odd_size_fits_it(size: int) -> None:
    assert built("conv", size)(images_of(2, (size, size))).shape == (2, 3, size, size)


# Networks at full resolution


@pytest.mark.parametrize("node", [{"unet": {"bias": False}}, {"dncnn": {"bias": False}}], ids=str)
@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_bias_free_twins_scale_with_their_input(node: dict[str, Any], factor: float, clean: torch.Tensor) -> None:
    network = trained(node, clean, 3).eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(factor * clean), factor * network(clean), rtol=1e-4, atol=1e-5)
    (name,) = node
    biased = trained(name, clean, 3).eval()
    with torch.inference_mode():
        assert (biased(factor * clean) - factor * biased(clean)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["unet", "res_unet"])
@pytest.mark.parametrize("size", [(31, 33), (5, 7), (1, 2)])
def test_unet_takes_every_size(name: str, size: tuple[int, int]) -> None:
    assert built(name)(images_of(1, size)).shape == (1, 3, *size)


def test_the_residual_unet_starts_as_doing_nothing_and_has_the_size_it_is_said_to_have() -> None:
    images = images_of(2, (32, 32))
    assert torch.equal(built("res_unet")(images), images)
    # Four convolutions of each width, two down, two up, the first from 9 channels and the last to 6.
    weights = 4 * 9 * (16**2 + 32**2 + 64**2) + 4 * (16 * 32 + 32 * 64) + 64 * 128 + 32 * 64 + 9 * 16 * (9 + 6)
    biases = 4 * (16 + 32 + 64) + 32 + 64 + 128 + 64 + 16 + 6
    assert complexity.complexity(models.parse("res_unet"), 32).parameters == weights + biases


# Sparse codes


@pytest.mark.parametrize("node", [{"k_sparse": {"k": 5}}, {"k_sparse": {"k": 5, "kind": "dense"}}], ids=str)
@pytest.mark.parametrize("half", [False, True])
def test_k_sparse_codes_have_at_most_k_active_units(node: Node, half: bool, clean: torch.Tensor) -> None:
    network = trained(node, clean, 3).eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        code = network.encoder(clean)
    active = (code != 0).sum(1)
    assert active.max() <= 5
    assert active.float().mean() > 2


def test_sparse_adds_the_mean_magnitude_of_the_code(clean: torch.Tensor) -> None:
    network = built("sparse").eval()
    plain, weighted = (loss_of({"sparse": {"penalty": penalty}}, network, clean) for penalty in (0.0, 0.5))
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    torch.testing.assert_close(weighted - plain, 0.5 * network.encoder(noisy).abs().mean())
    strong = trained({"sparse": {"penalty": 10.0}}, clean, 30, lr=3e-3)
    weak = trained({"sparse": {"penalty": 0.0}}, clean, 30, lr=3e-3)
    assert strong.encoder(clean).mean() < 0.5 * weak.encoder(clean).mean()


# Contractive


def test_jacobian_norm_is_the_exact_one_on_average() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Sigmoid())
    images = torch.rand(2000, 3, 2, 2)[:1].expand(2000, -1, -1, -1).clone().requires_grad_()
    estimate = jacobian_norm(images, encoder(images), draw_for(images)).item()
    exact = torch.autograd.functional.jacobian(encoder, images[:1]).square().sum().item() / 6
    assert estimate == pytest.approx(exact, rel=0.05)


def test_contractive_codes_change_less(clean: torch.Tensor) -> None:
    loose, tight = (trained({"contractive": {"penalty": p}}, clean, 30, lr=3e-3).eval() for p in (0.0, 1.0))

    def change(network: Any) -> torch.Tensor:
        nearby = clean + 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        return (network.encoder(nearby) - network.encoder(clean)).square().mean()

    assert change(tight) < 0.5 * change(loose)


# Variational


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_vae_without_beta_at_its_mean_is_the_plain_autoencoder(kind: str, clean: torch.Tensor) -> None:
    node = {"vae": {"beta": 0.0, "kind": kind}}
    network = built(node).eval()
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    code = network.head(network.encoder(noisy)).chunk(2, 1)[0]
    plain = functional.mse_loss(network.decoder(code), clean)
    torch.testing.assert_close(loss_of(node, network, clean), plain, rtol=0, atol=1e-7)


def test_vae_draws_its_code_in_training_only(clean: torch.Tensor) -> None:
    model = trainable("vae")
    network = built("vae").train()
    losses = [model.loss(network, clean, clean, draw_for(clean, seed)) for seed in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])
    network.eval()
    losses = [model.loss(network, clean, clean, draw_for(clean, seed)) for seed in (0, 1)]
    assert torch.equal(losses[0], losses[1])


def test_vae_divergence_is_torchs(clean: torch.Tensor) -> None:
    network = built("vae").eval()
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    mean, log_variance = network.posterior(noisy)
    code = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    exact = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum() / len(clean)
    difference = loss_of({"vae": {"beta": 3.0}}, network, clean) - loss_of({"vae": {"beta": 0.0}}, network, clean)
    torch.testing.assert_close(difference, 3 * 2 * 0.1**2 / (3 * 32 * 32) * exact, rtol=1e-4, atol=0)
    assert loss_of("beta_vae", network, clean) > loss_of("vae", network, clean)


# Vector-quantised


def test_vq_vae_uses_more_than_half_of_its_codebook(photos: np.ndarray) -> None:
    images = torch.from_numpy(photos[::3].copy()).float() / 255
    network = trained("vq_vae", images, 40).eval()
    code = network.encoder(images)
    used = network.quantizer.nearest(code.movedim(1, -1).flatten(0, -2)).unique()
    assert len(used) > len(network.quantizer.codebook) / 2


def test_gradients_pass_the_quantisation_unchanged(clean: torch.Tensor) -> None:
    node = {"vq_vae": {"commitment": 0.0}}
    network = trained(node, clean, 2).eval()
    seen = []
    network.encoder.register_forward_hook(lambda module, inputs, code: seen.append(code))
    network.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    loss = loss_of(node, network, clean)
    code, passed = torch.autograd.grad(loss, seen)
    assert code.abs().max() > 0
    assert torch.equal(code, passed)


@pytest.mark.parametrize("commitment", [0.25, 2.0])
def test_vq_vae_adds_the_distance_between_code_and_entry(commitment: float, clean: torch.Tensor) -> None:
    network = trained("vq_vae", clean, 2).eval()
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    code = network.encoder(noisy)
    distance = functional.mse_loss(code, network.quantizer(code))
    assert distance > 1e-3
    plain, weighted = (loss_of({"vq_vae": {"commitment": weight}}, network, clean) for weight in (0.0, commitment))
    torch.testing.assert_close(weighted - plain, commitment * distance, rtol=1e-3, atol=0)


def test_commitment_draws_the_code_to_its_entries(clean: torch.Tensor) -> None:
    network = trained("vq_vae", clean, 2).eval()
    plain, weighted = (loss_of({"vq_vae": {"commitment": weight}}, network, clean) for weight in (0.0, 1.0))
    code = network.encoder(corrupt({"gaussian": {"sigma": 0.1}}, clean))
    distance = functional.mse_loss(code, network.quantizer(code))
    parameters = list(network.encoder.parameters())
    found, expected = (
        torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (weighted - plain, distance)
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


# Models from elsewhere


def test_weights_made_elsewhere_join_as_a_model_that_needs_no_training(tmp_path: Path, clean: torch.Tensor) -> None:
    @dataclass(frozen=True)
    class Elsewhere(Model):
        path: str = ""

        def build(self, size: int) -> nn.Module:
            network = nn.Conv2d(3, 3, 3, padding=1)
            network.load_state_dict(load_file(self.path))
            return network

    made = nn.Conv2d(3, 3, 3, padding=1)
    save_file(made.state_dict(), tmp_path / "weights.safetensors")
    model = Elsewhere(path=str(tmp_path / "weights.safetensors"))
    assert not model.trains
    assert torch.equal(model.build(32)(clean), made(clean))
    assert complexity.complexity(model, 32) == complexity.Complexity(84, 81 * 32 * 32)


@pytest.mark.skipif(HAVE_BM3D, reason="the package bm3d is installed")
def test_bm3d_says_what_to_install_and_its_licence() -> None:
    with pytest.raises(BenchError, match=r"non-commercial.*pip install"):
        models.parse("bm3d").build(32)
