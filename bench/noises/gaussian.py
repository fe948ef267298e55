"""Additive white Gaussian noise."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Spread, ZeroMean, noises


@noises.register("gaussian")
@dataclass(frozen=True)
class Gaussian(ZeroMean):
    """Additive white Gaussian noise, y = x + sigma * n with n ~ N(0, 1) per element.

    sigma: standard deviation on the [0, 1] scale, from 0 to 2; 25 of 255 is 0.098.
    Source: the usual AWGN model; severities of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv:1903.12261).
    """

    level = "sigma"
    severities = (0.04, 0.06, 0.08, 0.09, 0.10)
    sigma: Spread = 0.1

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.sigma * draw.normal()
