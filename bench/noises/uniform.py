"""Additive uniform noise."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Spread, ZeroMean, noises


@noises.register("uniform")
@dataclass(frozen=True)
class Uniform(ZeroMean):
    """Additive uniform noise, y = x + u with u uniform in [-amplitude, amplitude) per element.

    amplitude: half the width of the interval on the [0, 1] scale, from 0 to 2; the standard deviation is
        amplitude / sqrt(3).
    Source: Gonzalez & Woods 2018, Digital Image Processing, 4th ed., section 5.2.
    """

    level = "amplitude"
    amplitude: Spread = 0.2

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.amplitude * (2 * draw.uniform() - 1)
