"""Speckle: multiplicative noise."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Spread, ZeroMean, noises


@noises.register("speckle")
@dataclass(frozen=True)
class Speckle(ZeroMean):
    """Multiplicative Gaussian noise, y = x + sigma * x * n with n ~ N(0, 1) per element.

    sigma: standard deviation relative to the intensity, from 0 to 2.
    Source: skimage.util.random_noise(mode="speckle"); severities of CIFAR-10-C (Hendrycks & Dietterich 2019).
    """

    level = "sigma"
    severities = (0.06, 0.10, 0.12, 0.16, 0.20)
    sigma: Spread = 0.15

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.sigma * images * draw.normal()
