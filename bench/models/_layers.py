"""Building blocks of networks. Imports torch, so families reach it through `bench.models.base.layers`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Autoencoder(nn.Module):
    """Images to a code and back: decoder(encoder(images)).

    Losses that look at the code call the two parts themselves.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(images))


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.inner(features)


class Skip(nn.Module):
    """x beside inner(x): the two concatenated over channels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat((features, self.inner(features)), 1)


class PadTo(nn.Module):
    """inner on images of any size: the right and lower border are repeated up to a multiple, then cut off again.

    multiple: what inner's height and width must be multiples of.
    """

    def __init__(self, inner: nn.Module, multiple: int) -> None:
        super().__init__()
        self.inner = inner
        self.multiple = multiple

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        down, right = -height % self.multiple, -width % self.multiple
        if not (down or right):
            return self.inner(images)
        padded = functional.pad(images, (0, right, 0, down), mode="replicate")
        return self.inner(padded)[..., :height, :width]


class Filter(nn.Module):
    """A function of arrays as a module without weights.

    function: (N, 3, H, W) float32 array to one of the same shape.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        filtered = self.function(images.detach().cpu().contiguous().numpy())
        return torch.from_numpy(np.ascontiguousarray(filtered, np.float32)).to(images.device)
