"""Denoisers that need no training."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from bench.lazy import ndimage, nn
from bench.models.base import Model, layers, models


@models.register("identity")
@dataclass(frozen=True)
class Identity(Model):
    """Does nothing: the corrupted image itself, the row that every denoiser must beat."""

    def build(self, size: int) -> "nn.Module":
        return nn.Identity()


@models.register("median")
@dataclass(frozen=True)
class Median(Model):
    """Median filter of each channel, edges reflected.

    size: side of the square window in pixels, 1 to 15.
    Source: Tukey 1977, Exploratory Data Analysis; scipy.ndimage.median_filter.
    """

    size: Annotated[int, Ge(1), Le(15)] = 3

    def build(self, size: int) -> "nn.Module":
        window = (1, 1, self.size, self.size)

        def median(images: np.ndarray) -> np.ndarray:
            return ndimage.median_filter(images, size=window)

        return layers.Filter(median)
