"""Principal components: what a bottleneck reaches by linear maps alone."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from bench.core.lazy import functional, nn, torch
from bench.models.base import ClosedForm, Pairs, Width, layers, models

Patch = Annotated[int, Ge(1), Le(64)]


class Patchwise:
    """Images cut into patches, or taken whole where `patch` is null."""

    patch: int | None

    @property
    def any_size(self) -> bool:
        return self.patch is not None

    @property
    def multiple(self) -> int:
        return self.patch or 1


@models.register("pca")
@dataclass(frozen=True)
class PCA(Patchwise, ClosedForm):
    """Principal components of the clean training images, each shrunk against the training noise.

    The factor of a component is the slope that predicts its clean value from its corrupted one with the lowest mean
    squared error; noise that shifts the mean is met by an offset.
    code: components that are kept, of an image or of each patch; at most as many as it has values.
    patch: side in pixels of the patches, side by side; null: the whole image. Image sides are multiples of it.
    Source: Hotelling 1933, doi:10.1037/h0071325; the factors: Wiener 1949, Extrapolation of Stationary Time Series.
    """

    for_noise: ClassVar[bool] = True
    code: Width = 64
    patch: Patch | None = None

    def build(self, size: int) -> "nn.Module":
        return autoencoder(self.code, self.patch or size)

    def solve(self, pairs: Pairs, size: int) -> "nn.Module":
        mean, components = _principal(pairs, self.code, self.patch or size)
        slope, offset = _predictors(pairs, components, mean, self.patch or size)
        network = autoencoder(self.code, self.patch or size)
        solved = (slope[:, None] * components.mT, offset, components, mean)
        for parameter, values in zip(network.parameters(), solved, strict=True):
            parameter.copy_(values.reshape(parameter.shape))
        return network


def autoencoder(code: int, side: int) -> "layers.Autoencoder":
    """Each patch, side by side, to its code and back, by one linear map each way."""
    values = 3 * side**2
    code = min(code, values)
    encoder = nn.Sequential(nn.PixelUnshuffle(side), nn.Conv2d(values, code, 1))
    decoder = nn.Sequential(nn.Conv2d(code, values, 1), nn.PixelShuffle(side))
    return layers.Autoencoder(encoder, decoder)


def _patches(images: "torch.Tensor", side: int) -> "torch.Tensor":
    """(N, C, H, W) images as (M, C * side * side) float64 patches, in the order of the autoencoder's convolutions."""
    return functional.pixel_unshuffle(images.double(), side).movedim(1, -1).flatten(0, -2)


def _principal(pairs: Pairs, code: int, side: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """The mean (D,) of clean patches, and their first principal components (D, K)."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for clean, _ in pairs:
        patches = _patches(clean, side)
        count += len(patches)
        total = total + patches.sum(0)
        squares = squares + patches.T @ patches
    mean = total / count
    _, vectors = torch.linalg.eigh(squares / count - torch.outer(mean, mean))
    return mean, vectors[:, -code:].flip(1)


def _predictors(
    pairs: Pairs, components: "torch.Tensor", mean: "torch.Tensor", side: int
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Slope and offset (K,) that predict a component's clean value, from the mean, from its corrupted one."""
    seen, wanted = zip(
        *((_patches(noisy, side) @ components, (_patches(clean, side) - mean) @ components) for clean, noisy in pairs),
        strict=True,
    )
    return shrinkage(torch.cat(seen), torch.cat(wanted))


def shrinkage(corrupted: "torch.Tensor", clean: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """Slope and offset (K,) that predict clean values of mean 0 from corrupted ones, both (N, K), each on its own.

    That is the best linear estimate of principal components where the noise is independent of the image.
    """
    centre = corrupted.mean(0)
    variance = (corrupted - centre).square().sum(0)
    slope = ((corrupted - centre) * clean).sum(0) / variance.clamp(min=torch.finfo(variance.dtype).tiny)
    return slope, -slope * centre
