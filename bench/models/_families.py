"""Bases that several families share: their common keys, and the parts of autoencoders with a bottleneck."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.core.lazy import nn
from bench.models import conv, dense
from bench.models._codes import Coded
from bench.models.base import TrainableModel, Width, by_muon, layers

CONV, DENSE = by_muon(0.02), {**dense.RECIPE, "lr": 3e-3}


@dataclass(frozen=True)
class Restorer(TrainableModel):
    """A network at full resolution whose output is added to its input.

    bias: false removes every additive constant, so that the output scales with the input (Mohan et al. 2020,
        arXiv:1906.05478).
    noise_map: give the network the noise level, estimated from the image itself, as a fourth channel, as in FFDNet
        (Zhang et al. 2018, arXiv:1710.04026).
    """

    bias: bool = True
    noise_map: bool = False

    def entry(self, width: int) -> "nn.Sequential":
        """The first convolution, from images to `width` channels, preceded by the noise map if there is one."""
        if not self.noise_map:
            return nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=self.bias), nn.ReLU())
        return nn.Sequential(layers.NoiseMap(), nn.Conv2d(4, width, 3, padding=1, bias=self.bias), nn.ReLU())


@dataclass(frozen=True)
class Bottleneck(Coded):
    """An autoencoder without skips: everything it puts out passes through its code.

    kind: `conv`, the layers of the model `conv`, or `dense`, those of `dense`.
    width: conv: channels of the first layer, a quarter of the code's; dense: an eighth of the hidden units, a quarter
        of the code's.
    """

    kind: Literal["conv", "dense"] = "conv"
    width: Width = 16

    @property
    def recipe(self) -> Mapping[str, Any]:  # type: ignore[override]
        return CONV if self.kind == "conv" else DENSE

    @property
    def any_size(self) -> bool:
        return self.kind == "conv"

    @property
    def multiple(self) -> int:
        return conv.MULTIPLE if self.kind == "conv" else 1

    def parts(self, size: int, smooth: bool = False) -> tuple["nn.Sequential", "nn.Sequential"]:
        """Encoder and decoder of a (N, 4 width, size/4, size/4) or, dense, (N, 4 width) code.

        smooth: GELU and no normalisation; otherwise the code is non-negative.
        """
        if self.kind == "conv":
            return conv.encoder(self.width, smooth), conv.decoder(self.width, size, smooth)
        encoder, decoder = dense.projection(8 * self.width, 4 * self.width, size)
        return encoder.append(nn.GELU() if smooth else nn.ReLU()), decoder
