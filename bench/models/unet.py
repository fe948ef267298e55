"""A small U-Net that predicts what to add to the corrupted image."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.lazy import nn
from bench.models.base import TrainableModel, Width, layers, models


@models.register("unet")
@dataclass(frozen=True)
class UNet(TrainableModel):
    """U-Net: features at several resolutions joined by skips; its output is added to its input.

    width: channels at full resolution; they double with each halving of the side.
    depth: how often the side is halved, 1 to 5.
    Source: Ronneberger et al. 2015, arXiv:1505.04597; the residual output is that of Zhang et al. 2017 (DnCNN).
    """

    width: Width = 16
    depth: Annotated[int, Ge(1), Le(5)] = 2

    def build(self, size: int) -> "nn.Module":
        body = nn.Sequential(
            nn.Conv2d(3, self.width, 3, padding=1),
            nn.ReLU(),
            _level(self.width, self.depth),
            nn.Conv2d(self.width, 3, 3, padding=1),
        )
        return layers.PadTo(layers.Residual(body), 2**self.depth)


def _level(width: int, depth: int) -> "nn.Module":
    """Features at one resolution and, beside them, those of the resolutions below."""
    if depth == 0:
        return nn.Sequential(_convolution(width, width), _convolution(width, width))
    below = nn.Sequential(
        nn.Conv2d(width, 2 * width, 2, stride=2),
        nn.ReLU(),
        _level(2 * width, depth - 1),
        nn.ConvTranspose2d(2 * width, width, 2, stride=2),
    )
    return nn.Sequential(_convolution(width, width), layers.Skip(below), _convolution(2 * width, width))


def _convolution(channels: int, to: int) -> "nn.Module":
    return nn.Sequential(nn.Conv2d(channels, to, 3, padding=1), nn.ReLU())
