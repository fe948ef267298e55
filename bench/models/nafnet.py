"""A small NAFNet: a U-Net of gated blocks without activation functions."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import nn
from bench.models.base import TrainableModel, Width, by_muon, layers, models


@models.register("nafnet")
@dataclass(frozen=True)
class NAFNet(TrainableModel):
    """NAFNet: gated blocks without activation functions at several resolutions; its output is added to its input.

    width: channels at full resolution; they double with each halving of the side. The paper has 32 and 64.
    depth: how often the side is halved, 1 to 5; the paper has 4.
    blocks: blocks at each resolution, on the way down and on the way up, 1 to 16; the paper's numbers differ between
        resolutions, which can't be written here.
    Source: Chen et al. 2022, Simple Baselines for Image Restoration, arXiv:2204.04676.
    """

    recipe = by_muon(0.015)
    width: Width = 16
    depth: Annotated[int, Ge(1), Le(5)] = 2
    blocks: Annotated[int, Ge(1), Le(16)] = 1

    def build(self, size: int) -> "nn.Module":
        body = nn.Sequential(
            nn.Conv2d(3, self.width, 3, padding=1),
            self._level(self.width, self.depth),
            nn.Conv2d(self.width, 3, 3, padding=1),
        )
        return layers.PadTo(layers.Residual(body), 2**self.depth)

    def _level(self, width: int, depth: int) -> "nn.Module":
        """Features at one resolution, with those of the resolutions below added."""
        if depth == 0:
            return self._blocks(width)
        below = nn.Sequential(
            nn.Conv2d(width, 2 * width, 2, stride=2),
            self._level(2 * width, depth - 1),
            nn.Conv2d(2 * width, 4 * width, 1, bias=False),
            nn.PixelShuffle(2),
        )
        return nn.Sequential(self._blocks(width), layers.Residual(below), self._blocks(width))

    def _blocks(self, width: int) -> "nn.Module":
        return nn.Sequential(*(layer for _ in range(self.blocks) for layer in (_spatial(width), _pointwise(width))))


def _spatial(width: int) -> "nn.Module":
    """The spatial half of a block: a depthwise convolution, a gate, attention over the channels."""
    inner = nn.Sequential(
        layers.ChannelNorm(width, eps=1e-6),
        nn.Conv2d(width, 2 * width, 1),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width),
        layers.Gate(),
        layers.ChannelAttention(width),
        nn.Conv2d(width, width, 1),
    )
    return layers.ScaledResidual(width, inner)


def _pointwise(width: int) -> "nn.Module":
    """The pointwise half of a block, which mixes the channels of each pixel."""
    inner = nn.Sequential(
        layers.ChannelNorm(width, eps=1e-6),
        nn.Conv2d(width, 2 * width, 1),
        layers.Gate(),
        nn.Conv2d(width, width, 1),
    )
    return layers.ScaledResidual(width, inner)
