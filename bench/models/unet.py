"""A small U-Net that predicts what to add to the corrupted image."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import nn
from bench.models._families import Restorer
from bench.models.base import Width, by_muon, layers, models


@models.register("unet")
@dataclass(frozen=True)
class UNet(Restorer):
    """U-Net: features at several resolutions joined by skips; its output is added to its input.

    width: channels at full resolution; they double with each halving of the side.
    depth: how often the side is halved, 1 to 5.
    blocks: residual blocks of two convolutions at each resolution, on the way down and again on the way up, 0 to 16, as
        DRUNet has them, 4 there; with 0 it is one plain convolution each way.
    Source: Ronneberger et al. 2015, arXiv:1505.04597; skips are added, not concatenated, as in DRUNet (Zhang et al.
    2021, arXiv:2008.13751), of which it otherwise has the residual blocks alone.
    """

    recipe = by_muon(0.015)
    width: Width = 16
    depth: Annotated[int, Ge(1), Le(5)] = 2
    blocks: Annotated[int, Ge(0), Le(16)] = 0

    def build(self, size: int) -> "nn.Module":
        last = nn.Conv2d(self.width, 3, 3, padding=1, bias=self.bias)
        body = nn.Sequential(*self.entry(self.width), self._level(self.width, self.depth), last)
        return layers.PadTo(layers.Residual(body), 2**self.depth)

    def _level(self, width: int, depth: int) -> "nn.Module":
        """Features at one resolution, with those of the resolutions below added."""
        if depth == 0:
            return nn.Sequential(*self._way(width), *self._way(width))
        below = nn.Sequential(
            nn.Conv2d(width, 2 * width, 2, stride=2, bias=self.bias),
            nn.ReLU(),
            self._level(2 * width, depth - 1),
            layers.ConvTranspose2d(2 * width, width, 2, stride=2, bias=self.bias),
        )
        return nn.Sequential(*self._way(width), layers.Residual(below), *self._way(width))

    def _way(self, width: int) -> list["nn.Module"]:
        """The layers at one resolution, once on the way down and once on the way up."""
        if not self.blocks:
            return [self._convolution(width), nn.ReLU()]
        return [
            layers.Residual(nn.Sequential(self._convolution(width), nn.ReLU(), self._convolution(width)))
            for _ in range(self.blocks)
        ]

    def _convolution(self, width: int) -> "nn.Module":
        return nn.Conv2d(width, width, 3, padding=1, bias=self.bias)
