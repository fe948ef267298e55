"""Autoencoders with a sparse code: by a penalty, or by keeping only the largest activations."""

from dataclasses import dataclass
from typing import Annotated, cast

from annotated_types import Ge, Le

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, layers, models


@models.register("sparse")
@dataclass(frozen=True)
class Sparse(Bottleneck):
    """Sparse autoencoder: the mean magnitude of the code (L1) is added to the loss.

    penalty: weight of that mean relative to the mean squared error, >= 0.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 14.2.1.
    """

    penalty: NonNegative = 1e-3

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(*self.parts(size))

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Autoencoder", network)
        code = parts.encoder(inputs)
        error = functional.mse_loss(parts.decoder(code).float(), targets)
        return error + self.penalty * code.float().abs().mean()


@models.register("k_sparse")
@dataclass(frozen=True)
class KSparse(Bottleneck):
    """k-sparse autoencoder: only the k largest units of each code vector are kept, the others are set to 0.

    k: units kept, of the dense code or at each position of the convolutional one.
    Source: Makhzani & Frey 2013, arXiv:1312.5663.
    """

    k: Annotated[int, Ge(1), Le(16384)] = 16

    def build(self, size: int) -> "nn.Module":
        encoder, decoder = self.parts(size)
        return layers.Autoencoder(encoder.append(layers.KeepLargest(self.k)), decoder)
