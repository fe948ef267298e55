"""Building blocks of networks. Imports torch, so families reach it through `bench.models.base.layers`."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Layer = TypeVar("Layer", bound=nn.Module)


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


class Beside(nn.Module):
    """A linear map and one hidden layer of GELU beside it, which starts at 0: straight(x) + second(gelu(first(x)))."""

    def __init__(self, features: int, hidden: int, to: int) -> None:
        super().__init__()
        self.straight = nn.Linear(features, to)
        self.first = nn.Linear(features, hidden)
        self.second = zeroed(nn.Linear(hidden, to))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.straight(features) + self.second(functional.gelu(self.first(features)))


class ConvTranspose2d(nn.ConvTranspose2d):
    """Torch's transposed convolution with the same values and gradients, made twice as fast to train in bfloat16.

    oneDNN, which computes it on processors, spends most of its backward pass on the gradient of the bias; here that
    gradient is a sum beside it.
    """

    def forward(self, features: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        if self.bias is None or output_size is not None:
            return super().forward(features, output_size)
        assert not isinstance(self.padding, str)  # only other convolutions name their padding
        return _BiasGradient.apply(
            functional.conv_transpose2d(
                features,
                self.weight,
                self.bias.detach(),
                self.stride,
                self.padding,
                self.output_padding,
                self.groups,
                self.dilation,
            ),
            self.bias,
        )


class _BiasGradient(torch.autograd.Function):
    """Features as they are; their gradient, summed per channel, is also that of the bias already in them."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, gradient.sum((0, 2, 3))


class KeepLargest(nn.Module):
    """Sets all but the k largest channels to 0, at each position on its own.

    k: how many channels stay, of features (N, C) or (N, C, H, W). falling: in training all of them stay at first, ever
    fewer until so many images were seen. seen: those images.
    """

    seen: torch.Tensor

    def __init__(self, k: int, falling: int = 0) -> None:
        super().__init__()
        self.k = k
        self.falling = falling
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        values, places = features.topk(self._kept(*features.shape[:2]), dim=1)
        return torch.zeros_like(features).scatter(1, places, values)

    def _kept(self, images: int, channels: int) -> int:
        k = min(self.k, channels)
        if not self.training or not self.falling:
            return k
        self.seen += images
        return k + round((channels - k) * max(0.0, 1 - self.seen.item() / self.falling))


class Variational(nn.Module):
    """An autoencoder whose code is a normal distribution; as a map of images it decodes the mean.

    encoder: images to features. head: features to twice the code's channels, means before log variances.
    decoder: a code to images. seen: images that it was trained on, counted each time, for losses that change with them.
    """

    seen: torch.Tensor

    def __init__(self, encoder: nn.Module, head: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.decoder = decoder
        self.register_buffer("seen", torch.zeros(()))

    def posterior(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of each image's code, float32."""
        mean, log_variance = self.head(self.encoder(images)).float().chunk(2, 1)
        return mean, log_variance

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.posterior(images)[0])


class Sphere(nn.Module):
    """The channels (N, C, ...) at each position, scaled to a mean square of 1, in float32."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.normalize(features.float(), dim=1) * features.shape[1] ** 0.5


class Quantized(nn.Module):
    """An autoencoder whose code consists of entries of a codebook."""

    def __init__(self, encoder: nn.Module, quantizer: "VectorQuantizer", decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.quantizer(self.encoder(images)))


class VectorQuantizer(nn.Module):
    """Replaces the vector of channels at each position by the nearest entry of a codebook.

    Each entry is an exponential moving average of the vectors it replaces, so the codebook has no gradient and is saved
    as a buffer. Entries that are hardly used are moved onto vectors of the current batch; at the start all are.

    entries, channels: size of the codebook. decay: of the averages, per batch.
    Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1; restarts: Dhariwal et al. 2020, arXiv:2005.00341.
    """

    RARE = 0.1  # of the mean use; below it an entry is moved

    codebook: torch.Tensor
    usage: torch.Tensor
    totals: torch.Tensor

    def __init__(self, entries: int, channels: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codebook", torch.zeros(entries, channels))
        self.register_buffer("usage", torch.zeros(entries))
        self.register_buffer("totals", torch.zeros(entries, channels))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """code: (N, channels, H, W). Returns the nearest entries, same shape, float32."""
        vectors = _vectors(code)
        return _like(self.codebook[self.nearest(vectors)], code)

    def nearest(self, vectors: torch.Tensor) -> torch.Tensor:
        """The index of the entry nearest to each vector; (M, channels) to (M,)."""
        # In half precision nearby entries would be confused.
        with torch.autocast(vectors.device.type, enabled=False):
            return (self.codebook.square().sum(1) - 2 * vectors @ self.codebook.T).argmin(1)

    @torch.no_grad()
    def learn(self, code: torch.Tensor, keys: torch.Tensor) -> None:
        """Move the codebook towards a batch of codes, (N, channels, H, W).

        keys: (N, 1, H, W) random numbers that choose where rare entries are moved to.
        """
        vectors = _vectors(code)
        entries = len(self.codebook)
        mean_use = len(vectors) / entries
        rare = self.usage < self.RARE * mean_use
        candidates = vectors[keys.flatten().argsort(stable=True)]
        moved = candidates[torch.arange(entries, device=code.device) % len(candidates)]
        self.codebook.copy_(torch.where(rare[:, None], moved, self.codebook))
        self.totals.copy_(torch.where(rare[:, None], moved * mean_use, self.totals))
        self.usage.masked_fill_(rare, mean_use)
        with torch.autocast(code.device.type, enabled=False):
            chosen = functional.one_hot(self.nearest(vectors), entries).to(vectors.dtype)
            self.usage.lerp_(chosen.sum(0), 1 - self.decay)
            self.totals.lerp_(chosen.T @ vectors, 1 - self.decay)
        # Without memory (decay 0) an entry that no vector chose has no mean; it stays and is moved at the next batch.
        means = self.totals / self.usage[:, None]
        self.codebook.copy_(torch.where(self.usage[:, None] > 0, means, self.codebook))


def _vectors(code: torch.Tensor) -> torch.Tensor:
    return code.detach().float().movedim(1, -1).flatten(0, -2)


def _like(vectors: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    count, channels, height, width = code.shape
    return vectors.view(count, height, width, channels).movedim(-1, 1)


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.inner(features)


class Centred(nn.Module):
    """Images minus middle grey."""

    GREY = 0.5

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images - self.GREY


class Extremes(nn.Module):
    """Images with two flags beside each value: 1 where it is at or below black, 0, and where at or above white, 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat((images, (images <= 0).to(images.dtype), (images >= 1).to(images.dtype)), 1)


def zeroed(layer: Layer) -> Layer:
    """A layer whose weights start at 0, so that its branch starts switched off."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ScaledResidual(nn.Module):
    """x + scale * inner(x), with a scale per channel that starts at 0."""

    def __init__(self, channels: int, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.scale * self.inner(features)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel of (N, C, H, W)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


class Gate(nn.Module):
    """The first half of the channels times the second half."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        first, second = features.chunk(2, 1)
        return first * second


def over_all(layer: nn.Module) -> str:
    """What a layer is called if it averages over all of its image, so that its output depends on the image's extent."""
    if isinstance(layer, ChannelAttention):
        return "the channel attention"
    if isinstance(layer, NoiseMap):
        return "the noise map"
    return "the global pooling" if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) else ""


class ChannelAttention(nn.Module):
    """Each channel times a linear function of the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.mix(features.mean((2, 3), keepdim=True))


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


class NoiseMap(nn.Module):
    """Images with a fourth channel: the deviation of their noise, one value per image, estimated from the image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat((images, deviation(images)[:, None, None, None].expand(-1, 1, *images.shape[2:])), 1)


def deviation(images: torch.Tensor) -> torch.Tensor:
    """The standard deviation of the noise in each of (N, C, H, W) images, (N,): an estimate.

    The median magnitude of the diagonal Haar wavelet coefficients over 0.6745, exact for Gaussian noise on a flat
    image; it scales with the image. Source: Donoho & Johnstone 1994, doi:10.1093/biomet/81.3.425.
    """
    height, width = (side - side % 2 for side in images.shape[2:])
    even = images[..., :height, :width]
    diagonal = even[..., ::2, ::2] - even[..., ::2, 1::2] - even[..., 1::2, ::2] + even[..., 1::2, 1::2]
    return diagonal.flatten(1).abs().median(1).values / (2 * 0.6745)


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
