"""Masking noise: missing pixels."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Intensity, Noise, Probability, Sites, noises, site_shape


@noises.register("masking")
@dataclass(frozen=True)
class Masking(Noise):
    """Masking noise: each site is set to `fill` with probability p.

    p: share of sites masked, in [0, 1].
    fill: the value they take, in [0, 1].
    per: `element` masks channels independently, `pixel` all channels of a pixel together.
    Source: Vincent et al. 2010, JMLR 11:3371 (elements, fill 0).
    """

    level = "p"
    p: Probability = 0.25
    fill: Intensity = 0.0
    per: Sites = "element"

    @property
    def per_channel(self) -> bool:
        return self.per == "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return torch.where(draw.uniform(site_shape(images, self.per)) < self.p, self.fill, images)
