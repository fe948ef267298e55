"""Block masking: missing patches."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Intensity, Noise, Probability, noises


@noises.register("block_masking")
@dataclass(frozen=True)
class BlockMasking(Noise):
    """Patches of a regular grid are set to `fill`, each with probability p.

    p: share of patches masked, in [0, 1].
    block: side of a patch in pixels; those at the right and bottom edge may be cut off.
    fill: the value they take, in [0, 1].
    Source: He et al. 2022, Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377 (patch masking).
    """

    level = "p"
    p: Probability = 0.25
    block: Annotated[int, Ge(1), Le(512)] = 8
    fill: Intensity = 0.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        height, width = images.shape[2:]
        cells = draw.uniform((1, -(-height // self.block), -(-width // self.block))) < self.p
        mask = cells.repeat_interleave(self.block, 2).repeat_interleave(self.block, 3)[:, :, :height, :width]
        return torch.where(mask, self.fill, images)
