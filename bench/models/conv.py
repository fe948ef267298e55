"""The convolutional autoencoder of the study that this tool grew from, and the sizes of its layers."""

from dataclasses import dataclass

from bench.core.lazy import nn
from bench.models._codes import Coded
from bench.models.base import Width, by_muon, layers, models

KERNEL = 3
PADDING = 1
MULTIPLE = 4  # what sides must be multiples of, to be halved twice and doubled back


@models.register("conv")
@dataclass(frozen=True)
class Conv(Coded):
    """Convolutional autoencoder without skips: four convolutions to a quarter of the side, four transposed ones back.

    width: channels of the first layer; the code has four times as many.
    Source: the study's layout (28 -> 7 -> 28); ReLU between layers, batch normalisation after the strided middle ones.
    """

    recipe = by_muon(0.02)
    width: Width = 16

    @property
    def multiple(self) -> int:
        return MULTIPLE

    def build(self, size: int) -> "nn.Module":
        return layers.Autoencoder(encoder(self.width), decoder(self.width, size))


def conv_size(size: int, stride: int = 1, kernel: int = KERNEL, padding: int = PADDING) -> int:
    """Output side of a convolution: floor((size + 2 padding - kernel) / stride) + 1, in pixels."""
    return (size + 2 * padding - kernel) // stride + 1


def transposed_size(
    size: int, stride: int = 1, kernel: int = KERNEL, padding: int = PADDING, output_padding: int = 0
) -> int:
    """Output side of a transposed convolution: (size - 1) stride - 2 padding + kernel + output_padding, in pixels."""
    return (size - 1) * stride - 2 * padding + kernel + output_padding


def encoder(width: int, smooth: bool = False) -> "nn.Sequential":
    """(N, 3, S, S) images to a (N, 4 width, S/4, S/4) code, non-negative unless it is smooth.

    smooth: GELU in place of ReLU, and no normalisation, whose statistics are noise where batches are small.
    """
    active, normalised = (nn.GELU, nn.Identity) if smooth else (nn.ReLU, nn.BatchNorm2d)
    return nn.Sequential(
        nn.Conv2d(3, width, KERNEL, padding=PADDING),
        active(),
        nn.Conv2d(width, 2 * width, KERNEL, stride=2, padding=PADDING),
        normalised(2 * width),
        active(),
        nn.Conv2d(2 * width, 4 * width, KERNEL, stride=2, padding=PADDING),
        active(),
        nn.Conv2d(4 * width, 4 * width, KERNEL, padding=PADDING),
        active(),
    )


def decoder(width: int, size: int, smooth: bool = False) -> "nn.Sequential":
    """A (N, 4 width, size/4, size/4) code back to (N, 3, size, size) images in [0, 1]. smooth: as for `encoder`."""
    active, normalised = (nn.GELU, nn.Identity) if smooth else (nn.ReLU, nn.BatchNorm2d)
    half = conv_size(size, stride=2)
    quarter = conv_size(half, stride=2)
    return nn.Sequential(
        layers.ConvTranspose2d(4 * width, 4 * width, KERNEL, padding=PADDING),
        active(),
        _upwards(4 * width, 2 * width, quarter, half),
        normalised(2 * width),
        active(),
        _upwards(2 * width, width, half, size),
        active(),
        layers.ConvTranspose2d(width, 3, KERNEL, padding=PADDING),
        nn.Sigmoid(),
    )


def _upwards(channels: int, to: int, size: int, wanted: int) -> "nn.Module":
    """A stride-2 transposed convolution from side `size` to side `wanted`, in pixels."""
    missing = wanted - transposed_size(size, stride=2)
    return layers.ConvTranspose2d(channels, to, KERNEL, stride=2, padding=PADDING, output_padding=missing)
