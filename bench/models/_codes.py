"""What reviewers ask of a code: how much of it is in use, and how far it follows the image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from bench.core.lazy import nn, torch
from bench.core.rng import Draw
from bench.models.base import TrainableModel

TINY = 1e-6  # added to variances: units that hardly vary are not compared with nothing
STILL = 1e-6  # of the variance of the unit that varies most; a unit that varies less is dead


@dataclass(frozen=True)
class Coded(TrainableModel):
    """An autoencoder whose network has a code: the output of its `encoder`."""

    def diagnose(self, network: "nn.Module", images: "torch.Tensor", draw: Draw) -> dict[str, float]:
        encoder = cast("Any", network).encoder
        with torch.no_grad():
            code = encoder(images)
            zeros = float((code == 0).float().mean())
        return {**_in_use(code), "zeros": zeros, "sensitivity": change(encoder, images, draw)}


def change(encoder: "Callable[[torch.Tensor], torch.Tensor]", images: "torch.Tensor", draw: Draw) -> float:
    """The `sensitivity` of a code to images."""
    with torch.enable_grad():
        given = images.clone().requires_grad_()
        return sensitivity(given, encoder(given), draw).item()


def sensitivity(images: "torch.Tensor", code: "torch.Tensor", draw: Draw) -> "torch.Tensor":
    """An estimate of each unit's squared gradient norm by the image, over its variance; the mean over units, a scalar.

    images: (N, C, H, W), requiring gradients. code: (N, units) or (N, units, H, W), computed from them; its variance is
    that over the batch, and 1 where there is one value. draw: for the random directions.
    The norm is estimated, without bias, as ||J^T u||^2 with one random direction u ~ N(0, 1) of the code per image
    (Hutchinson 1990, doi:10.1080/03610919008812866), which costs one backward pass through the encoder.
    """
    units = by_unit(code)
    variance = units.var(1, correction=0) + TINY if units.shape[1] > 1 else torch.ones_like(units[:, 0])
    deviation = variance.sqrt().view(-1, *[1] * (code.ndim - 2))
    direction = (draw.normal(tuple(code.shape[1:])) / deviation).to(code.dtype)
    (gradient,) = torch.autograd.grad(code, images, direction.expand_as(code), create_graph=True)
    return gradient.float().square().sum() / code.numel()


def by_unit(code: "torch.Tensor") -> "torch.Tensor":
    """A code (N, units) or (N, units, H, W) as (units, places), float32."""
    return code.float().transpose(0, 1).flatten(1)


def effective_dimension(vectors: "torch.Tensor") -> float:
    """In how many directions vectors (M, D) vary: (sum v)^2 / sum v^2 over the variances v along their principal axes.

    D where all are equal, 1 where one is all there is, 0 without any. Source: the participation ratio, Gao et al. 2017,
    doi:10.1101/214262.
    """
    centred = vectors.double() - vectors.double().mean(0)
    covariance = centred.T @ centred
    squares = covariance.square().sum()  # the trace of its square
    return float(covariance.trace() ** 2 / squares) if squares > 0 else 0.0


def _in_use(code: "torch.Tensor") -> dict[str, float]:
    variance = by_unit(code).double().var(1, correction=0)
    return {"units": len(variance), "dead_units": int((variance <= STILL * variance.max()).sum())}
