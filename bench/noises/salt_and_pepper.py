"""Salt-and-pepper noise: pixels stuck at white or black."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Noise, Probability, Sites, noises, site_shape


@noises.register("salt_and_pepper")
@dataclass(frozen=True)
class SaltAndPepper(Noise):
    """Salt-and-pepper noise: each site becomes 1 or 0 with probability p.

    p: share of sites hit, in [0, 1].
    salt: share of the hit sites that become 1, in [0, 1].
    per: `element` hits channels independently, `pixel` all channels of a pixel together.
    Source: Vincent et al. 2010, JMLR 11:3371; CIFAR-10-C calls it impulse noise and hits elements.
    """

    level = "p"
    severities = (0.01, 0.02, 0.03, 0.05, 0.07)
    p: Probability = 0.1
    salt: Probability = 0.5
    per: Sites = "element"

    @property
    def per_channel(self) -> bool:
        return self.per == "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        site = site_shape(images, self.per)
        hit = draw.uniform(site) < self.p
        value = (draw.uniform(site) < self.salt).to(images.dtype)
        return torch.where(hit, value, images)
