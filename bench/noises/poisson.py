"""Shot noise."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.core.validation import Meant
from bench.noises._quantiles import poisson_quantile
from bench.noises.base import ZeroMean, noises

PHOTONS = Meant(lambda value: "It counts photons: fewer of them, more noise")


@noises.register("poisson")
@dataclass(frozen=True)
class Poisson(ZeroMean):
    """Shot noise: y = Poisson(peak * x) / peak per element.

    peak: expected count of photons at intensity 1, from 1 to 100,000; fewer photons, more noise.
    Source: the photon-counting model; severities of CIFAR-10-C's shot noise (Hendrycks & Dietterich 2019).
    """

    level = "peak"
    severities = (500.0, 250.0, 100.0, 75.0, 50.0)
    peak: Annotated[float, Ge(1), Le(100_000), PHOTONS] = 100.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return poisson_quantile(images * self.peak, draw.normal()) / self.peak
