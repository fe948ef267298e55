"""The contractive autoencoder: its code changes little when the image does."""

from dataclasses import dataclass
from typing import cast

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, layers, models


@models.register("contractive")
@dataclass(frozen=True)
class Contractive(Bottleneck):
    """Contractive autoencoder: the squared Frobenius norm of the encoder's Jacobian is added to the loss.

    penalty: weight of that norm, divided by the number of code units, relative to the mean squared error, >= 0.
    The norm is estimated, without bias, as ||J^T u||^2 with one random direction u ~ N(0, 1) of the code per image and
    step (Hutchinson 1990, doi:10.1080/03610919008812866), which costs one backward pass through the encoder.
    Source: Rifai et al. 2011, ICML.
    """

    penalty: NonNegative = 1e-3

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(*self.parts(size))

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Autoencoder", network)
        # The penalty is itself a gradient, which must be computed even where validation has disabled gradients.
        with torch.inference_mode(False), torch.enable_grad():
            images = inputs.clone().requires_grad_()
            code = parts.encoder(images)
            error = functional.mse_loss(parts.decoder(code).float(), targets)
            return error + self.penalty * jacobian_norm(images, code, draw)


def jacobian_norm(images: "torch.Tensor", code: "torch.Tensor", draw: Draw) -> "torch.Tensor":
    """An estimate of the batch's mean squared Frobenius norm of d code / d image, per code unit; a scalar.

    images: (N, ...), requiring gradients. code: (N, ...), computed from them. draw: for the random directions.
    """
    direction = draw.normal(tuple(code.shape[1:]))
    (gradient,) = torch.autograd.grad((code.float() * direction).sum(), images, create_graph=True)
    return gradient.square().sum() / code.numel()
