"""The fully connected autoencoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from bench.core.lazy import nn, torch
from bench.models import pca
from bench.models._codes import Coded
from bench.models.base import Width, layers, models

SPARE, ITERATIONS = 16, 4  # of the randomised decomposition: further components, and power iterations
RECIPE: Mapping[str, Any] = {
    "optimizer": "adam",
    "lr": 3e-4,
    "batch_size": 64,
    "schedule": "cosine",
    "flips": True,
}
LIFT = 0.5  # of a code, twice the usual deviation of grey values
TINY = 1e-6  # the least deviation of a component


@models.register("dense")
@dataclass(frozen=True)
class Dense(Coded):
    """Fully connected autoencoder: a linear map and one hidden layer beside it, to the code and back.

    It starts from principal component analysis: the linear maps are those of the leading components of the training
    images, each shrunk by how far the corrupted image tells it; the hidden layers start at 0.
    hidden: units of each hidden layer; nearly all parameters are 2 * 3 * size * size * (hidden + code).
    code: units of the code.
    Source: Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647; trained on corrupted input as Vincent et al. 2010.
    """

    revision = 3
    recipe = RECIPE
    hidden: Width = 128
    code: Width = 64

    @property
    def any_size(self) -> bool:
        return False

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(encoder(self.hidden, self.code, size), decoder(self.hidden, self.code, size))

    def start(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor") -> None:
        parts = cast("Any", network)
        principal_components(parts.encoder[1].straight, parts.decoder[0].straight, inputs, targets)


def encoder(hidden: int, code: int, size: int) -> "nn.Sequential":
    """(N, 3, size, size) images to a (N, code) code."""
    return nn.Sequential(nn.Flatten(), layers.Beside(3 * size * size, hidden, code))


def decoder(hidden: int, code: int, size: int) -> "nn.Sequential":
    """A (N, code) code to (N, 3, size, size) images."""
    return nn.Sequential(layers.Beside(code, hidden, 3 * size * size), nn.Unflatten(1, (3, size, size)))


def projection(hidden: int, code: int, size: int) -> tuple["nn.Sequential", "nn.Sequential"]:
    """Encoder and decoder that start as a projection of images, whose code starts so high that few values are below 0.

    From random weights most units of a rectified code die before images have anything to do with it.
    """
    inner, outer = encoder(hidden, code, size), decoder(hidden, code, size)
    down, up = cast("Any", inner[1]).straight, cast("Any", outer[0]).straight
    with torch.no_grad():
        nn.init.orthogonal_(down.weight)
        up.weight.copy_(down.weight.T)
        nn.init.constant_(down.bias, LIFT)
        up.bias.copy_(layers.Centred.GREY - LIFT * up.weight.sum(1))
    return nn.Sequential(layers.Centred(), *inner), outer


def principal_components(down: "nn.Linear", up: "nn.Linear", inputs: "torch.Tensor", targets: "torch.Tensor") -> None:
    """Make two linear maps, to a code and back, those of the principal components of images.

    inputs, targets: (N, C, H, W), corrupted and clean. Each component of the code is scaled to variance 1 over clean
    images, and shrunk as those of `pca` are; these are of the images given, found at random to within a rounding, as
    decomposing the covariance of images of any size would take too long. Components beyond the number of images keep
    their first weights.
    Source: Jolliffe 2002, Principal Component Analysis; Halko et al. 2011, doi:10.1137/090771806.
    """
    clean, noisy = targets.flatten(1), inputs.flatten(1)
    mean = clean.mean(0)
    wanted = min(down.out_features, *clean.shape)
    _, _, axes = torch.svd_lowrank(clean - mean, min(wanted + SPARE, *clean.shape), niter=ITERATIONS)
    axes = axes[:, :wanted]
    true = (clean - mean) @ axes
    deviation = true.square().mean(0).sqrt().clamp(min=TINY)
    slope, offset = pca.shrinkage((noisy @ axes).double(), true.double())
    with torch.no_grad():
        down.weight[:wanted] = (slope / deviation)[:, None] * axes.T
        down.bias[:wanted] = offset / deviation
        up.weight[:, :wanted] = axes * deviation
        up.bias.copy_(mean)
