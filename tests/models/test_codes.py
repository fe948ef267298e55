"""What is found out about a code, on codes whose answers are known."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.models import TrainableModel, models
from bench.models._codes import Coded, effective_dimension
from bench.models.base import DIAGNOSTICS, layers
from tests.helpers.images import Node, draw_for, images_of
from tests.helpers.models import NODES

TRAINED = [(node, model) for node in NODES if isinstance(model := models.parse(node), TrainableModel)]
CODED = [node for node, model in TRAINED if type(model).diagnose is not TrainableModel.diagnose]


class Told(nn.Module):
    """An encoder or a head that gives what it was told to, whatever it is shown."""

    def __init__(self, code: torch.Tensor) -> None:
        super().__init__()
        self.code = code

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.code + 0 * images.mean()


def found(node: Node, network: Any, images: torch.Tensor) -> dict[str, float]:
    model = models.parse(node)
    assert isinstance(model, TrainableModel)
    return model.diagnose(network, images, draw_for(images))


@pytest.mark.parametrize("node", CODED, ids=str)
def test_every_code_has_numbers_that_are_finite_and_explained(node: Node) -> None:
    torch.manual_seed(0)
    images = images_of(6, (32, 32))
    numbers = found(node, models.parse(node).build(32).eval(), images)
    assert numbers["units"] > 1
    assert set(numbers) < set(DIAGNOSTICS)
    assert all(math.isfinite(value) for value in numbers.values())


def test_the_documentation_has_every_diagnostic() -> None:
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    assert re.findall(
        r"^\| `(\w+)` \| (.*) \|$", text.partition("| diagnostic |")[2].partition("\n\n")[0], re.MULTILINE
    ) == [*DIAGNOSTICS.items()]


def test_networks_without_a_code_have_none_to_speak_of() -> None:
    assert found("unet", models.parse("unet").build(32), images_of(2, (32, 32))) == {}


def test_units_that_never_change_are_dead_and_zeros_are_counted() -> None:
    code = torch.zeros(10, 4, 2, 2)
    code[:, 1] = 3.0
    code[:5, 2] = 1.0
    code[:, 3] = torch.rand(10, 2, 2) + 1
    numbers = found("conv", layers.Autoencoder(Told(code), nn.Identity()), images_of(10, (8, 8)))
    assert [numbers["units"], numbers["dead_units"]] == [4, 2]
    assert numbers["zeros"] == pytest.approx(1.5 / 4)
    assert numbers["sensitivity"] == 0
    nothing = found("conv", layers.Autoencoder(Told(torch.zeros(10, 4)), nn.Identity()), images_of(10, (8, 8)))
    assert nothing["dead_units"] == 4


def test_units_of_a_variational_code_are_active_where_they_differ_from_the_prior() -> None:
    mean = torch.zeros(8, 3, 2, 2)
    mean[:, 1] = 2.0
    log_variance = torch.zeros(8, 3, 2, 2)
    log_variance[:, 2] = math.log(0.25)
    told = Told(torch.cat((mean, log_variance), 1))
    numbers = found("vae", layers.Variational(nn.Identity(), told, nn.Identity()), images_of(8, (8, 8)))
    nats = [0.0, 2.0, 0.5 * (0.25 - 1 - math.log(0.25))]
    assert numbers["active_units"] == 2
    assert numbers["divergence"] == pytest.approx(sum(nats) / 3, rel=1e-5)


@pytest.mark.parametrize(("used", "perplexity"), [(1, 1.0), (4, 4.0)])
def test_a_codebook_is_described_by_how_it_is_used(used: int, perplexity: float) -> None:
    quantizer = layers.VectorQuantizer(8, 2, 0.9)
    book = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1], *([9.0 + i, 9] for i in range(4))])
    quantizer.codebook.copy_(book)
    code = book[torch.arange(12) % used][:, :, None, None]
    numbers = found("vq_vae", layers.Quantized(Told(code), quantizer, nn.Identity()), images_of(12, (8, 8)))
    assert numbers["dead_entries"] == 8 - used
    assert numbers["perplexity"] == pytest.approx(perplexity)
    assert numbers["effective_dimension"] == pytest.approx(2.0 if used == 4 else 0.0)


@pytest.mark.parametrize(("deviations", "wanted"), [((1, 1, 1, 1), 4), ((1, 0, 0, 0), 1), ((2, 1, 0, 0), 25 / 17)])
def test_the_effective_dimension_counts_directions(deviations: tuple[float, ...], wanted: float) -> None:
    generator = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))
    vectors = torch.randn(40_000, 4, generator=generator) * torch.tensor(deviations) @ turned + 5
    assert effective_dimension(vectors) == pytest.approx(wanted, rel=0.02)
    assert effective_dimension(100 * vectors) == pytest.approx(wanted, rel=0.02)


def test_sensitivity_is_that_of_a_linear_code() -> None:
    """The squared norm of each row of a linear encoder over the variance of its unit, and the code's scale cancels."""
    torch.manual_seed(0)
    images = images_of(4000, (2, 2))
    linear = nn.Linear(12, 5)
    encoder = nn.Sequential(nn.Flatten(), linear)
    variance = encoder(images).var(0, correction=0)
    exact = (linear.weight.square().sum(1) / variance).mean().item()
    network = layers.Autoencoder(encoder, nn.Identity())
    assert found("conv", network, images)["sensitivity"] == pytest.approx(exact, rel=0.05)
    with torch.no_grad():
        linear.weight *= 10
    assert found("conv", network, images)["sensitivity"] == pytest.approx(exact, rel=0.05)


def test_families_with_a_code_say_so() -> None:
    names = {model.name for model in map(models.parse, CODED)}
    coded = {name for name in models if issubclass(models[name], Coded)}
    assert names == coded | {"vq_vae"}
