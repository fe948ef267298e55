"""Random-valued impulse noise."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Noise, Probability, Sites, noises, site_shape


@noises.register("impulse")
@dataclass(frozen=True)
class Impulse(Noise):
    """Random-valued impulse noise: each site takes a value uniform in [0, 1) with probability p.

    p: share of sites hit, in [0, 1].
    per: `element` hits channels independently, `pixel` all channels of a pixel together (each with its own value).
    Source: Bovik 2005, Handbook of Image and Video Processing, ch. 4.5.
    """

    level = "p"
    p: Probability = 0.1
    per: Sites = "element"

    @property
    def per_channel(self) -> bool:
        return self.per == "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return torch.where(draw.uniform(site_shape(images, self.per)) < self.p, draw.uniform(), images)
