"""Masked values by those that are left, under one Gaussian."""

from dataclasses import dataclass
from typing import ClassVar

from bench.core.lazy import Lazy, nn
from bench.models.base import ClosedForm, Pairs, models
from bench.models.wiener import LARGEST
from bench.noises.base import Intensity

affine = Lazy("bench.models._affine")


@models.register("inpaint")
@dataclass(frozen=True)
class Inpaint(ClosedForm):
    """The conditional mean of masked values given the others, under the Gaussian of the clean training images.

    Values that equal `fill` are taken as masked, all others as they are; it is made for masking alone. An image of
    32 x 32 pixels, the largest, takes it a tenth of a second where half of it is masked.
    fill: the value of masked ones, in [0, 1].
    flips: count each training image mirrored left to right as well.
    Source: the Gaussian conditional mean, as in Kay 1993, Estimation Theory, theorem 10.2.
    """

    assumes: ClassVar[str] = "masking"
    fill: Intensity = 0.0
    flips: bool = True

    @property
    def any_size(self) -> bool:
        return False

    @property
    def largest(self) -> int | None:
        return LARGEST

    def build(self, size: int) -> "nn.Module":
        return affine.Conditional(3, size, self.fill)

    def solve(self, pairs: Pairs, size: int) -> "nn.Module":
        network = self.build(size)
        affine.fit_gaussian(network, pairs, self.flips)
        return network
