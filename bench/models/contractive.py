"""The contractive autoencoder: its code changes little when the image does."""

from dataclasses import dataclass
from typing import cast

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, by_muon, layers, models

TINY = 1e-6  # added to variances: units that hardly vary are not compared with nothing


@models.register("contractive")
@dataclass(frozen=True)
class Contractive(Bottleneck):
    """Contractive autoencoder: its code changes little when the image does, compared with how it varies between images.

    penalty: weight of `sensitivity` relative to the mean squared error, >= 0.
    The squared Jacobian norm alone falls when the code shrinks and the decoder grows; here each unit is compared with
    its own variance. Source: Rifai et al. 2011, ICML, where tied weights keep the scale.
    """

    revision = 2
    recipe = by_muon(0.02)
    penalty: NonNegative = 1e-4

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(*self.parts(size))

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Autoencoder", network)
        # The penalty is itself a gradient, which must be computed even where validation has disabled gradients.
        with torch.inference_mode(False), torch.enable_grad():
            images = inputs.clone().requires_grad_()
            code = parts.encoder(images)
            error = functional.mse_loss(parts.decoder(code).float(), targets)
            return error + self.penalty * sensitivity(images, code, draw)


def sensitivity(images: "torch.Tensor", code: "torch.Tensor", draw: Draw) -> "torch.Tensor":
    """An estimate of each unit's squared gradient norm by the image, over its variance; the mean over units, a scalar.

    images: (N, 3, H, W), requiring gradients. code: (N, units) or (N, units, H, W), computed from them; its variance is
    that over the batch, and 1 where there is one value. draw: for the random directions.
    The norm is estimated, without bias, as ||J^T u||^2 with one random direction u ~ N(0, 1) of the code per image
    (Hutchinson 1990, doi:10.1080/03610919008812866), which costs one backward pass through the encoder.
    """
    units = code.float().transpose(0, 1).flatten(1)
    variance = units.var(1, correction=0) + TINY if units.shape[1] > 1 else torch.ones_like(units[:, 0])
    deviation = variance.sqrt().view(-1, *[1] * (code.ndim - 2))
    direction = (draw.normal(tuple(code.shape[1:])) / deviation).to(code.dtype)
    (gradient,) = torch.autograd.grad(code, images, direction.expand_as(code), create_graph=True)
    return gradient.float().square().sum() / code.numel()
