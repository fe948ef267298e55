"""The contractive autoencoder: its code changes little when the image does."""

from dataclasses import dataclass
from typing import cast

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._codes import sensitivity
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, layers, models


@models.register("contractive")
@dataclass(frozen=True)
class Contractive(Bottleneck):
    """Contractive autoencoder: its code changes little when the image does, compared with how it varies between images.

    penalty: weight of `sensitivity` relative to the mean squared error, >= 0.
    The squared Jacobian norm alone falls when the code shrinks and the decoder grows; here each unit is compared with
    its own variance. Source: Rifai et al. 2011, ICML, where tied weights keep the scale.
    """

    revision = 3
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
