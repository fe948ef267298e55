"""The best affine denoiser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Le

from bench.core.errors import FieldError
from bench.core.lazy import Lazy, nn
from bench.models.base import ClosedForm, Pairs, models

affine = Lazy("bench.models._affine")

LARGEST = 32  # pixels of a side: whole images of 3,072 values


@models.register("wiener")
@dataclass(frozen=True)
class Wiener(ClosedForm):
    """The affine map with the lowest mean squared error, from means and covariances of clean and corrupted images.

    They are those of the training images under several draws of the training noise, so that clipping counts; how much
    is added to the variances of corrupted values (a ridge) is what is best on validation images.
    patch: side in pixels, odd, of the window that each pixel is estimated from; null: the whole image, of at most
        32 x 32 pixels.
    flips: count each training image mirrored left to right as well.
    Source: Wiener 1949, Extrapolation of Stationary Time Series; Kay 1993, Estimation Theory, ch. 12.
    """

    for_noise: ClassVar[bool] = True
    patch: Annotated[int, Ge(1), Le(25)] | None = None
    flips: bool = True

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError, also for a window without a middle."""
        found = super().from_params(params)
        if found.patch is not None and found.patch % 2 == 0:
            raise FieldError(f"must be odd, for the window has its pixel in the middle; got {found.patch}", ("patch",))
        return found

    @property
    def any_size(self) -> bool:
        return self.patch is not None

    @property
    def smallest(self) -> int:
        return self.patch // 2 + 1 if self.patch else 1

    @property
    def largest(self) -> int | None:
        return None if self.patch else LARGEST

    def build(self, size: int) -> "nn.Module":
        if self.patch:
            return nn.Sequential(nn.Conv2d(3, 3, self.patch, padding=self.patch // 2, padding_mode="reflect"))
        values = 3 * size**2
        return nn.Sequential(nn.PixelUnshuffle(size), nn.Conv2d(values, values, 1), nn.PixelShuffle(size))

    def solve(self, pairs: Pairs, size: int) -> "nn.Module":
        found = affine.of_windows(pairs, self.patch, self.flips) if self.patch else affine.of_images(pairs, self.flips)
        network = self.build(size)
        for parameter, values in zip(network.parameters(), found, strict=True):
            parameter.copy_(values.reshape(parameter.shape))
        return network
