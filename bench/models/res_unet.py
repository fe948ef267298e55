"""A residual U-Net whose output is its input with a gated change."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import nn
from bench.models.base import TrainableModel, Width, by_muon, layers, models

CHANNELS = 3  # of the images that networks are built for


@models.register("res_unet")
@dataclass(frozen=True)
class ResUNet(TrainableModel):
    """Residual U-Net: residual blocks at several resolutions; a gate decides how much of each value to change.

    Beside each value it sees two flags, at or below 0 and at or above 1: values look so that masking, salt-and-pepper
    or clipping has spoiled. The gate blends the value with an estimate, x + s (e - x); untouched values can pass.
    width: channels at full resolution; they double with each halving of the side.
    depth: how often the side is halved, 1 to 5.
    blocks: residual blocks of two convolutions at each resolution, on the way down and again on the way up, 1 to 16.
    Source: residual blocks as in DRUNet (Zhang et al. 2021, arXiv:2008.13751), gated linear units (Dauphin et al. 2017,
    arXiv:1612.08083), branches that start at zero as in Fixup (Zhang et al. 2019, arXiv:1901.09321).
    """

    recipe = by_muon(0.015)
    width: Width = 16
    depth: Annotated[int, Ge(1), Le(5)] = 2
    blocks: Annotated[int, Ge(1), Le(16)] = 1

    def build(self, size: int) -> "nn.Module":
        body = nn.Sequential(
            layers.Extremes(),
            nn.Conv2d(3 * CHANNELS, self.width, 3, padding=1),
            self._level(self.width, self.depth),
            layers.zeroed(nn.Conv2d(self.width, 2 * CHANNELS, 3, padding=1)),
            nn.GLU(1),
        )
        return layers.PadTo(layers.Residual(body), 2**self.depth)

    def _level(self, width: int, depth: int) -> "nn.Module":
        """Features at one resolution, with those of the resolutions below added."""
        if depth == 0:
            return nn.Sequential(*self._blocks(width), *self._blocks(width))
        below = nn.Sequential(
            nn.Conv2d(width, 2 * width, 2, stride=2),
            self._level(2 * width, depth - 1),
            nn.Conv2d(2 * width, 4 * width, 1),
            nn.PixelShuffle(2),
        )
        return nn.Sequential(*self._blocks(width), layers.Residual(below), *self._blocks(width))

    def _blocks(self, width: int) -> list["nn.Module"]:
        """The blocks at one resolution, once on the way down and once on the way up."""
        return [
            layers.Residual(
                nn.Sequential(
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.GELU(),
                    layers.zeroed(nn.Conv2d(width, width, 3, padding=1)),
                )
            )
            for _ in range(self.blocks)
        ]
