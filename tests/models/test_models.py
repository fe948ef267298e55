"""What every registered model keeps to, and what each family promises."""

import copy
import importlib.util
import math
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
from bench.models._codes import sensitivity
from bench.models.base import layers
from bench.models.conv import conv_size, transposed_size
from bench.models.sparse import activity
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
    rate = 1e-4 if node == "dense" else 1e-3  # its start, which training gives it, is left out here
    network = trained(node, clean, 4, lr=rate, half=half).train()
    assert loss_of(node, network, clean).item() < before


@pytest.mark.parametrize("node", TRAINED, ids=str)
def test_gradients_reach_every_parameter(node: Node, clean: torch.Tensor) -> None:
    network = trained(node, clean, 2).train()  # a branch may start switched off
    network.zero_grad()
    loss_of(node, network, clean).backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert "conv_pca" in node, "only the components of conv_pca stay as they are"
            continue
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
    assert 0 < complexity.complexity(models.parse(name), 32).parameters < 1_500_000


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


def rescaled(encoder: nn.Module, factor: float) -> nn.Sequential:
    """An encoder whose code is larger by a factor."""
    return nn.Sequential(encoder, Scaled(factor))


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.factor * features


@pytest.mark.parametrize("share", [0.01, 0.25, 1.0])
def test_a_unit_that_is_active_in_a_share_of_places_has_its_square_root(share: float) -> None:
    code = torch.zeros(10, 3, 10, 10)
    places = code.permute(1, 0, 2, 3).reshape(3, -1)
    places[:, : round(share * 1000)] = 5.0
    found = activity(places.reshape(3, 10, 10, 10).permute(1, 0, 2, 3))
    assert found.item() == pytest.approx(share**0.5, rel=0.03)
    assert activity(torch.zeros(4, 6)).item() == 1


@pytest.mark.parametrize("name", ["sparse", "contractive"])
def test_penalties_do_not_change_when_code_and_decoder_are_scaled_against_each_other(
    name: str, clean: torch.Tensor
) -> None:
    first = trained(name, clean, 3).eval()
    network = layers.Autoencoder(rescaled(first.encoder, 100), nn.Sequential(Scaled(0.01), first.decoder))
    plain, weighted = (loss_of({name: {"penalty": penalty}}, network, clean) for penalty in (0.0, 1.0))
    larger = layers.Autoencoder(rescaled(network.encoder, 10), nn.Sequential(Scaled(0.1), network.decoder))
    torch.testing.assert_close(loss_of({name: {"penalty": 1.0}}, larger, clean), weighted, rtol=2e-2, atol=0)
    torch.testing.assert_close(loss_of({name: {"penalty": 0.0}}, larger, clean), plain, rtol=1e-4, atol=0)
    assert weighted > 1.001 * plain


def test_more_sparsity_penalty_gives_more_zeros(clean: torch.Tensor) -> None:
    networks = [trained({"sparse": {"penalty": p}}, clean, 60, lr=3e-3).eval() for p in (0.0, 0.3)]
    codes = [network.encoder(clean) for network in networks]
    weak, strong = ((code == 0).float().mean() for code in codes)
    assert strong > weak + 0.05


# Contractive


def test_sensitivity_is_the_exact_one_on_average() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Sigmoid())
    images = torch.rand(40, 3, 2, 2)
    code = encoder(images)
    exact = torch.stack([torch.autograd.functional.jacobian(encoder, image[None])[0, :, 0] for image in images])
    wanted = (exact.square().sum((2, 3, 4)) / code.var(0, correction=0)).mean().item()
    many = images.repeat(200, 1, 1, 1).requires_grad_()
    assert sensitivity(many, encoder(many), draw_for(many)).item() == pytest.approx(wanted, rel=0.05)


def test_contractive_codes_change_less_than_they_vary(clean: torch.Tensor) -> None:
    loose, tight = (trained({"contractive": {"penalty": p}}, clean, 30, lr=3e-3).eval() for p in (0.0, 1e-2))

    def change(network: Any) -> torch.Tensor:
        nearby = clean + 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        code = network.encoder(clean)
        moved = (network.encoder(nearby) - code).square().mean((0, 2, 3))
        return (moved / code.var((0, 2, 3)).clamp(min=1e-6)).mean()

    assert change(tight) < 0.5 * change(loose)


# Variational


def test_vae_decodes_the_mean_as_a_denoiser_and_a_drawn_code_in_its_loss(clean: torch.Tensor) -> None:
    """In validation too, so that the checkpoint is chosen by the bound that is trained."""
    model, network = trainable("vae"), built("vae").eval()
    mean, _ = network.posterior(clean)
    assert torch.equal(network(clean), network.decoder(mean))
    losses = [model.loss(network, clean, clean, draw_for(clean, seed)) for seed in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_vae_divergence_is_torchs(kind: str, clean: torch.Tensor) -> None:
    network = built({"vae": {"kind": kind}}).eval()
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    mean, log_variance = network.posterior(noisy)
    code = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    exact = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum() / clean.numel()

    def of(beta: float, deviation: float | None) -> torch.Tensor:
        return loss_of({"vae": {"kind": kind, "beta": beta, "deviation": deviation}}, network, clean)

    torch.testing.assert_close(of(3.0, None) - of(0.0, None), 3 * exact, rtol=1e-2, atol=0)
    torch.testing.assert_close(of(3.0, 0.1) - of(0.0, 0.1), 3 * 2 * 0.1**2 * exact, rtol=1e-2, atol=0)
    assert loss_of("beta_vae", network, clean) > loss_of("vae", network, clean)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_more_weight_on_the_divergence_gives_less_of_it(
    kind: str, clean: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.models.vae.RISING", 1)  # few images are seen here

    def divergence(beta: float) -> float:
        node = {"vae": {"kind": kind, "beta": beta}}
        network = trained(node, clean, 60, lr=2e-3).eval()
        return trainable(node).diagnose(network, clean, draw_for(clean))["divergence"]

    assert divergence(4.0) < 0.7 * divergence(0.1)


@pytest.mark.parametrize(("seen", "share"), [(6_000, 0.25), (24_000, 1.0), (90_000, 1.0)])
def test_the_divergence_gains_its_weight_over_the_first_images_of_a_training(
    seen: int, share: float, clean: torch.Tensor
) -> None:
    network = built("vae")

    def divergence() -> torch.Tensor:
        losses = []
        for beta in (1.0, 0.0):
            network.seen.fill_(seen - len(clean))
            losses.append(loss_of({"vae": {"beta": beta}}, network, clean))
        return losses[0] - losses[1]

    network.eval()
    whole = divergence()
    network.train()
    torch.testing.assert_close(divergence(), share * whole, rtol=1e-2, atol=1e-6)


def test_vae_with_the_best_deviation_has_the_highest_bound(clean: torch.Tensor) -> None:
    """Of a normal distribution: log(2 pi s^2) / 2 + error / (2 s^2) a value, which is least at s^2 = error."""
    network = built("vae").eval()
    error = loss_of({"vae": {"beta": 0.0, "deviation": 1.0}}, network, clean).item()
    best = loss_of({"vae": {"beta": 0.0}}, network, clean).item() + 0.5

    def bound(deviation: float) -> float:
        return math.log(deviation) + error / (2 * deviation**2)

    assert best == pytest.approx(bound(error**0.5), abs=1e-4)
    assert all(bound(error**0.5 * factor) > best for factor in (0.9, 1.1))


# Fully connected


def test_dense_starts_as_principal_component_analysis(photos: np.ndarray) -> None:
    clean = torch.from_numpy(photos[:200].copy()).float() / 255
    flat = clean.flatten(1).double()
    _, _, axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    axes = axes[:16]
    model, network = trainable({"dense": {"code": 16}}), built({"dense": {"code": 16}})
    model.start(network, clean, clean)
    wanted = (flat - flat.mean(0)) @ axes.T @ axes + flat.mean(0)
    assert (network(clean).flatten(1) - wanted).abs().mean() < 2e-3
    assert network.encoder(clean).var(0).tolist() == pytest.approx([1.0] * 16, abs=0.02)


@pytest.mark.parametrize("name", ["sparse", "k_sparse", "contractive"])
def test_rectified_dense_codes_start_as_a_projection_with_every_unit_alive(name: str, clean: torch.Tensor) -> None:
    network = built({name: {"kind": "dense"}})
    inner, outer = network.encoder, network.decoder
    code = inner[:3](clean)  # before it is rectified
    assert (code > 0).float().mean() > 0.8 and (code > 0).any(0).all()
    once = outer(code)
    torch.testing.assert_close(outer(inner[:3](once)), once, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["sparse", "contractive"])
def test_training_kills_no_unit_of_a_dense_code(name: str, clean: torch.Tensor) -> None:
    node = {name: {"kind": "dense"}}
    network = trained(node, clean, 60, lr=3e-4).eval()
    assert trainable(node).diagnose(network, clean, draw_for(clean))["dead_units"] <= 2


def test_dense_starts_by_shrinking_components_against_the_noise() -> None:
    """Directions of known variances: a component of variance v under noise of variance s is shrunk by v / (v + s)."""
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([0.4, 0.2, 0.1])
    axes, _ = torch.linalg.qr(torch.randn(192, 3, generator=generator))
    clean = (torch.randn(6000, 3, generator=generator) * deviations @ axes.T + 0.5).view(-1, 3, 8, 8)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=generator)
    model, network = trainable({"dense": {"code": 3}}), built({"dense": {"code": 3}}, 8)
    model.start(network, noisy, clean)
    moved = (network((0.5 + axes.T).view(3, 3, 8, 8)).flatten(1) - 0.5) @ axes
    gains = deviations**2 / (deviations**2 + 0.01)
    assert moved.diagonal().tolist() == pytest.approx(gains.tolist(), rel=0.05)


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


def still(network: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A network in training whose codebook and normalisation stay as they are."""
    for module in network.modules():
        module.training = module is network
    monkeypatch.setattr(network.quantizer, "learn", lambda code, keys: None)
    return network


@pytest.mark.parametrize("commitment", [0.25, 2.0])
def test_vq_vae_adds_the_distance_between_code_and_entry(
    commitment: float, clean: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained("vq_vae", clean, 2).eval()
    judged = loss_of({"vq_vae": {"commitment": commitment}}, network, clean)
    still(network, monkeypatch)
    noisy = corrupt({"gaussian": {"sigma": 0.1}}, clean)
    code = network.encoder(noisy)
    distance = functional.mse_loss(code, network.quantizer(code))
    assert distance > 1e-3
    plain, weighted = (loss_of({"vq_vae": {"commitment": weight}}, network, clean) for weight in (0.0, commitment))
    torch.testing.assert_close(weighted - plain, commitment * distance, rtol=1e-3, atol=0)
    assert torch.equal(plain, judged), "validation looks at the error alone"


def test_commitment_draws_the_code_to_its_entries(clean: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    network = still(trained("vq_vae", clean, 2), monkeypatch)
    plain, weighted = (loss_of({"vq_vae": {"commitment": weight}}, network, clean) for weight in (0.0, 1.0))
    code = network.encoder(corrupt({"gaussian": {"sigma": 0.1}}, clean))
    distance = functional.mse_loss(code, network.quantizer(code))
    parameters = list(network.encoder.parameters())
    found, expected = (
        torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (weighted - plain, distance)
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_a_vq_vaes_code_has_one_length_whatever_its_scale(clean: torch.Tensor) -> None:
    network = built("vq_vae").eval()
    code = network.encoder(clean)
    assert code.square().mean(1).allclose(torch.ones(()), atol=1e-4)
    with torch.no_grad():
        for parameter in network.encoder[-2].parameters():
            parameter *= 100
    torch.testing.assert_close(network.encoder(clean), code)


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
