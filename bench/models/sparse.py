"""Autoencoders with a sparse code: by a penalty, or by keeping only the largest activations."""

from dataclasses import dataclass
from typing import Annotated, cast

from annotated_types import Ge, Le

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._codes import by_unit
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, layers, models

FALLING = 8_000  # images of a training until no more than k units are kept
FLOOR = 1e-3  # units weaker than this count as inactive; those of trained networks are of order 1


@models.register("sparse")
@dataclass(frozen=True)
class Sparse(Bottleneck):
    """Sparse autoencoder: each unit of the code is active in few places, by a penalty that scaling cannot escape.

    penalty: weight of `activity`, which lies between 0 and 1, relative to the mean squared error, >= 0.
    The plain L1 penalty falls when the code shrinks and the decoder grows, without a zero more.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 14.2.1; the ratio of norms: Hoyer 2004, JMLR 5.
    """

    revision = 3
    penalty: NonNegative = 5e-3

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(*self.parts(size))

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Autoencoder", network)
        code = parts.encoder(inputs)
        error = functional.mse_loss(parts.decoder(code).float(), targets)
        return error + self.penalty * activity(code)


def activity(code: "torch.Tensor") -> "torch.Tensor":
    """The mean magnitude of each unit over the batch, divided by its root mean square; the mean over units, a scalar.

    code: (N, units) or (N, units, H, W). A unit that is active in a share a of all places, with equal values, has
    sqrt(a); one that never is has 1, so that no unit dies of it.
    """
    units = by_unit(code)
    return ((units.abs().mean(1) + FLOOR) / (units.square().mean(1) + FLOOR**2).sqrt()).mean()


@models.register("k_sparse")
@dataclass(frozen=True)
class KSparse(Bottleneck):
    """k-sparse autoencoder: only the k largest units of each code vector are kept, the others are set to 0.

    k: units kept, of the dense code or at each position of the convolutional one.
    In training all units are kept at first, ever fewer over the first 8,000 images seen: units that are never among the
    largest learn nothing, and 8 to 17 of 64 died.
    Source: Makhzani & Frey 2013, arXiv:1312.5663, who schedule k in such a way.
    """

    revision = 3
    k: Annotated[int, Ge(1), Le(16384)] = 16

    def build(self, size: int) -> "nn.Module":
        encoder, decoder = self.parts(size)
        return layers.Autoencoder(encoder.append(layers.KeepLargest(self.k, FALLING)), decoder)
