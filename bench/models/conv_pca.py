"""A code of principal components, with a convolutional network before and behind it."""

from dataclasses import dataclass
from typing import Any, cast

from bench.core.lazy import nn, torch
from bench.models import dense
from bench.models._codes import Coded
from bench.models.base import Width, by_muon, layers, models
from bench.models.unet import UNet


@models.register("conv_pca")
@dataclass(frozen=True)
class ConvPCA(Coded):
    """Principal components between two U-Nets: one learns what to project, the other what a projection leaves out.

    The linear maps, to the code and back, are those of the leading components of the training images, as `dense`
    starts with them, and stay so; the U-Nets start as the identity. They learn from few images what a decoder of dense
    layers would need many for, as they do the same at each place.
    width: channels of the U-Nets at full resolution.
    code: units of the code.
    Source: the parts are those of `pca` and `unet`.
    """

    recipe = by_muon(0.015)
    width: Width = 16
    code: Width = 64

    @property
    def any_size(self) -> bool:
        return False

    def build(self, size: int) -> "nn.Module":
        shape = (3, size, size)
        down, up = nn.Linear(3 * size**2, self.code), nn.Linear(self.code, 3 * size**2)
        for linear in (down, up):
            linear.requires_grad_(False)
        return layers.Autoencoder(
            nn.Sequential(self._unchanged(size), nn.Flatten(), down),
            nn.Sequential(up, nn.Unflatten(1, shape), self._unchanged(size)),
        )

    def start(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor") -> None:
        parts = cast("Any", network)
        dense.principal_components(parts.encoder[-1], parts.decoder[0], inputs, targets)

    def _unchanged(self, size: int) -> "nn.Module":
        """A U-Net that starts as the identity."""
        network = cast("Any", UNet(width=self.width).build(size))
        layers.zeroed(network.inner.inner[-1])
        return network
