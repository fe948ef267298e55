"""DnCNN: residual learning at full resolution."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import nn
from bench.models._families import Restorer
from bench.models.base import Width, by_muon, layers, models


@models.register("dncnn")
@dataclass(frozen=True)
class DnCNN(Restorer):
    """DnCNN: convolutions with batch normalisation at full resolution; the output is added to the input.

    width: channels of the hidden layers; the paper has 64.
    depth: number of convolutions, 3 to 32; the paper has 17.
    Source: Zhang et al. 2017, Beyond a Gaussian Denoiser, arXiv:1608.03981. Without bias there is no normalisation, as
    subtracting a mean is an additive constant; dividing by the deviation alone (Mohan et al. 2020) learns more slowly.
    """

    revision = 2
    recipe = by_muon(0.015)
    width: Width = 32
    depth: Annotated[int, Ge(3), Le(32)] = 8

    def build(self, size: int) -> "nn.Module":
        body = self.entry(self.width)
        for _ in range(self.depth - 2):
            # Batch normalisation has an additive constant of its own, so the convolution before it needs none.
            body.append(nn.Conv2d(self.width, self.width, 3, padding=1, bias=False))
            body.extend([nn.BatchNorm2d(self.width)] if self.bias else [])
            body.append(nn.ReLU())
        body.append(nn.Conv2d(self.width, 3, 3, padding=1, bias=self.bias))
        return layers.Residual(body)
