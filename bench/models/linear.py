"""Principal components learnt by gradient: what linear maps reach, as an ordinary training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from bench.core.lazy import nn, torch
from bench.models import pca
from bench.models._codes import Coded
from bench.models.base import Width, layers, models


@models.register("linear")
@dataclass(frozen=True)
class Linear(pca.Patchwise, Coded):
    """Linear autoencoder: the map of `pca`, trained by gradient.

    Its code is any basis of the space that principal component analysis finds, not the components themselves.
    code: values kept, of an image or of each patch; at most as many as it has.
    patch: side in pixels of the patches, side by side; null: the whole image. Image sides are multiples of it.
    Source: Baldi & Hornik 1989, doi:10.1016/0893-6080(89)90014-2.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "lr": 3e-3,
        "batch_size": 128,
        "schedule": "cosine",
        "warmup": 0.03,
        "flips": True,
    }
    code: Width = 64
    patch: pca.Patch | None = None

    def build(self, size: int) -> "nn.Module":
        network = cast("Any", pca.autoencoder(self.code, self.patch or size))
        down, up = network.encoder[1], network.decoder[0]
        # Weights of random size, and values around 0.5, would leave all but the largest components to the last epochs.
        with torch.no_grad():
            nn.init.orthogonal_(down.weight)
            up.weight.copy_(down.weight.transpose(0, 1))
            nn.init.zeros_(down.bias)
            nn.init.constant_(up.bias, layers.Centred.GREY)
        return layers.Autoencoder(nn.Sequential(layers.Centred(), *network.encoder), network.decoder)
