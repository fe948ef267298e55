"""Denoisers without training: the identity, filters, and the classics of image processing.

One key of most of them may be null. It is then fitted: it takes the value with the lowest mean squared error on
validation images that are corrupted like the test images, or without such images the value that its docstring names.
"""

import dataclasses
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Gt, Le

from bench.core.errors import BenchError
from bench.core.lazy import bm3d, ndimage, nn, restoration, torch
from bench.core.validation import EIGHT_BITS
from bench.models._bilateral import bilateral
from bench.models.base import Model, layers, models

Positive = Annotated[float, Gt(0), Le(100)]
Scale = Annotated[float, Gt(0), Le(2), EIGHT_BITS]
Window = Annotated[int, Ge(1), Le(15)]


@models.register("identity")
@dataclass(frozen=True)
class Identity(Model):
    """Returns its input unchanged: the baseline that every denoiser must beat."""

    def build(self, size: int) -> "nn.Module":
        return nn.Identity()


@dataclass(frozen=True)
class Fitted(Model):
    """A denoiser with one key that is fitted to validation images where it is null."""

    key: ClassVar[str]
    unfitted: ClassVar[Any] = 0.1  # used for null where there are no images to fit to
    # Candidates: multiples of the noise's root mean square, a range that holds the best value for every method below.
    factors: ClassVar[tuple[float, ...]] = (0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8, 2.4, 3.2)
    pairs: ClassVar[int] = 64  # of images it is fitted to, at most

    @property
    def fits(self) -> bool:
        return getattr(self, self.key) is None

    @property
    def value(self) -> Any:
        """The key's value, or what is used for null."""
        return self.unfitted if self.fits else getattr(self, self.key)

    def candidates(self, noise: float) -> tuple[Any, ...]:
        """The values to try. noise: root mean square of noisy minus clean."""
        return tuple(float(f"{factor * noise:.4g}") for factor in self.factors)

    def fitting(self, images: int) -> int:
        return len(self.candidates(0.1)) * min(images, self.pairs) if self.fits else 0

    def fit(self, noisy: "torch.Tensor", clean: "torch.Tensor") -> Self:
        if not self.fits:
            return self
        noisy, clean = noisy[: self.pairs], clean[: self.pairs]
        noise = max(1e-3, float((noisy - clean).square().mean().sqrt()))
        tried = [dataclasses.replace(self, **{self.key: value}) for value in self.candidates(noise)]

        def error(denoiser: Self) -> float:
            output = denoiser.build(clean.shape[-1])(noisy).clamp(0, 1)
            return float((output - clean).square().mean())

        return min(tried, key=error)


@models.register("median")
@dataclass(frozen=True)
class Median(Fitted):
    """Median filter of each channel, edges reflected.

    size: side of the square window in pixels, 1 to 15; null: fitted, from 1, 3, 5 and 7.
    Source: Tukey 1977, Exploratory Data Analysis; scipy.ndimage.median_filter.
    """

    key = "size"
    unfitted = 3
    size: Window | None = 3

    def candidates(self, noise: float) -> tuple[int, ...]:
        return (1, 3, 5, 7)

    def build(self, size: int) -> "nn.Module":
        window = (1, 1, self.value, self.value)
        return layers.Filter(lambda images: ndimage.median_filter(images, size=window))


@models.register("gaussian_filter")
@dataclass(frozen=True)
class GaussianFilter(Fitted):
    """Gaussian filter of each channel, edges reflected.

    sigma: standard deviation in pixels, > 0; null: fitted, from 0.3 to 2.5, or 0.7 without images to fit to.
    Source: scipy.ndimage.gaussian_filter.
    """

    key = "sigma"
    unfitted = 0.7
    sigma: Positive | None = None

    def candidates(self, noise: float) -> tuple[float, ...]:
        return (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5)

    def build(self, size: int) -> "nn.Module":
        deviations = (0, 0, self.value, self.value)
        return layers.Filter(lambda images: ndimage.gaussian_filter(images, deviations))


@models.register("tv")
@dataclass(frozen=True)
class TotalVariation(Fitted):
    """Total variation denoising of all channels together.

    weight: strength on the [0, 1] scale, > 0; null: fitted, or 0.1 without images to fit to.
    Source: Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e; skimage.restoration.denoise_tv_chambolle.
    """

    key = "weight"
    weight: Positive | None = None

    def build(self, size: int) -> "nn.Module":
        weight = self.value
        return _each(lambda image: restoration.denoise_tv_chambolle(image, weight=weight, channel_axis=-1))


@models.register("nlm")
@dataclass(frozen=True)
class NonLocalMeans(Fitted):
    """Non-local means: each pixel becomes the weighted mean of pixels with similar surroundings.

    h: how far similar surroundings may differ, up to 2 on the [0, 1] scale; null: fitted, or 0.1 without images to
        fit to.
    patch: side of the surroundings in pixels, 1 to 15.
    distance: how far away to search for them, 1 to 15 pixels.
    Source: Buades et al. 2005, doi:10.1109/CVPR.2005.38; skimage.restoration.denoise_nl_means, not its fast mode, which
    weights the surroundings evenly and is up to 1 dB worse on small images.
    """

    key = "h"
    h: Scale | None = None
    patch: Window = 5
    distance: Window = 6

    def build(self, size: int) -> "nn.Module":
        settings: dict[str, Any] = {"h": self.value, "patch_size": self.patch, "patch_distance": self.distance}
        return _each(lambda image: restoration.denoise_nl_means(image, fast_mode=False, channel_axis=-1, **settings))


@models.register("wavelet")
@dataclass(frozen=True)
class Wavelet(Fitted):
    """Soft thresholding of wavelet coefficients in YCbCr, thresholds by BayesShrink, wavelet sym4.

    sigma: standard deviation of the noise on the [0, 1] scale, up to 2; null: fitted, or 0.1 without images to fit to.
    Source: Chang et al. 2000, doi:10.1109/83.862633; skimage.restoration.denoise_wavelet.
    """

    key = "sigma"
    sigma: Scale | None = None

    def build(self, size: int) -> "nn.Module":
        settings: dict[str, Any] = {"sigma": self.value, "wavelet": "sym4", "rescale_sigma": True}
        return _each(lambda image: restoration.denoise_wavelet(image, convert2ycbcr=True, channel_axis=-1, **settings))


@models.register("bilateral")
@dataclass(frozen=True)
class Bilateral(Fitted):
    """Bilateral filter: each pixel becomes the weighted mean of nearby pixels of a similar colour.

    color: standard deviation of the weights over colour differences, on the [0, 1] scale, up to 2; null: fitted, or 0.1
        without images to fit to.
    spatial: standard deviation of the weights over distances, in pixels, > 0.
    Source: Tomasi & Manduchi 1998, doi:10.1109/ICCV.1998.710815.
    """

    revision = 2
    key = "color"
    color: Scale | None = None
    spatial: Positive = 2.0

    def build(self, size: int) -> "nn.Module":
        return layers.Filter(lambda images: bilateral(images, self.value, self.spatial))


@models.register("bm3d")
@dataclass(frozen=True)
class BM3D(Fitted):
    """BM3D: collaborative filtering of groups of similar patches; over a second an image, so at most 200 are tested.

    sigma: standard deviation of the noise on the [0, 1] scale, up to 2; null: fitted, from 0.75, 1 and 1.25 times the
        noise's root mean square on 8 images, or 0.1 without images to fit to.
    The package bm3d is not installed with noise-bench, since its licence allows non-commercial use only.
    Source: Dabov et al. 2007, doi:10.1109/TIP.2007.901238; Makinen et al. 2020, doi:10.1109/TIP.2020.3014721.
    """

    most_images = 200
    key = "sigma"
    factors = (0.75, 1.0, 1.25)
    pairs = 8
    sigma: Scale | None = None

    def build(self, size: int) -> "nn.Module":
        try:
            denoise = bm3d.bm3d_rgb
        except ImportError:
            raise BenchError(
                "model bm3d needs the package bm3d, whose licence allows non-commercial use only; "
                f"if yours is: {shlex.quote(sys.executable)} -m pip install bm3d"
            ) from None
        sigma = self.value

        def denoised(image: np.ndarray) -> np.ndarray:
            # The library divides by the range of each opponent colour, which is 0 in a grey picture.
            with np.errstate(divide="ignore", invalid="ignore"):
                output = denoise(image, sigma)
            return np.where(np.isfinite(output), output, image)

        return _each(denoised)


def _each(denoise: Callable[[np.ndarray], np.ndarray]) -> "nn.Module":
    """A function of one (H, W, 3) image as a module that takes batches."""

    def batch(images: np.ndarray) -> np.ndarray:
        pictures = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        return np.stack([denoise(picture) for picture in pictures]).transpose(0, 3, 1, 2)

    return layers.Filter(batch)
