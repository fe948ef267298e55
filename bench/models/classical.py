"""Denoisers without training: the identity, filters, and the classics of image processing.

Some keys may be null. They are then fitted: they take the values with the lowest mean squared error on validation
images that are corrupted like the test images, or without such images the values that the docstrings name.
"""

import dataclasses
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Gt, Le

from bench.core.errors import BenchError
from bench.core.lazy import bm3d, ndimage, nn, restoration, torch
from bench.core.validation import EIGHT_BITS
from bench.models._bilateral import bilateral
from bench.models._total_variation import total_variation
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
    """A denoiser whose null keys are fitted to validation images.

    One key after the other takes its best value, until no value of any key is better.
    """

    unfitted: ClassVar[Mapping[str, Any]]  # the keys that may be null, and what is used where there are no images
    # Candidates: multiples of the noise's root mean square, a range that holds the best value for every method below.
    factors: ClassVar[tuple[float, ...]] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.8, 2.2, 2.8, 3.5, 5)
    pairs: ClassVar[int] = 64  # of images it is fitted to, at most

    @property
    def null(self) -> tuple[str, ...]:
        """The keys that are null."""
        return tuple(key for key in self.unfitted if getattr(self, key) is None)

    @property
    def fits(self) -> bool:
        return bool(self.null)

    def value(self, key: str) -> Any:
        """A key's value, or what is used for null."""
        return self.unfitted[key] if key in self.null else getattr(self, key)

    def candidates(self, key: str, noise: float) -> tuple[Any, ...]:
        """The values to try for a key; the search begins with those in the middle.

        noise: root mean square of noisy minus clean.
        """
        return multiples(noise, self.factors)

    def fitting(self, images: int) -> int:
        tried = sum(len(self.candidates(key, 0.1)) for key in self.null)
        rounds = min(2, len(self.null))  # the usual number; what was tried before is not tried again
        return rounds * tried * min(images, self.pairs)

    def fit(self, noisy: "torch.Tensor", clean: "torch.Tensor") -> Self:
        if not self.fits:
            return self
        noisy, clean = noisy[: self.pairs], clean[: self.pairs]
        noise = max(1e-3, float((noisy - clean).square().mean().sqrt()))
        values = {key: self.candidates(key, noise) for key in self.null}

        @cache
        def error(denoiser: Self) -> float:
            output = denoiser.build(clean.shape[-1])(noisy).clamp(0, 1)
            return float((output - clean).square().mean())

        best, before = dataclasses.replace(self, **{key: tried[len(tried) // 2] for key, tried in values.items()}), self
        while best != before:
            before = best
            for key, tried in values.items():
                best = min((dataclasses.replace(best, **{key: value}) for value in tried), key=error)
        return best


def multiples(noise: float, factors: tuple[float, ...]) -> tuple[float, ...]:
    """Multiples of the noise, to four digits."""
    return tuple(float(f"{factor * noise:.4g}") for factor in factors)


@models.register("median")
@dataclass(frozen=True)
class Median(Fitted):
    """Median filter of each channel, edges reflected.

    size: side of the square window in pixels, 1 to 15; null: fitted, from 1, 3, 5 and 7.
    Source: Tukey 1977, Exploratory Data Analysis; scipy.ndimage.median_filter.
    """

    unfitted: ClassVar[Mapping[str, Any]] = {"size": 3}
    size: Window | None = 3

    def candidates(self, key: str, noise: float) -> tuple[int, ...]:
        return (1, 3, 5, 7)

    def build(self, size: int) -> "nn.Module":
        side = self.value("size")
        window = (1, 1, side, side)
        return layers.Filter(lambda images: ndimage.median_filter(images, size=window))


@models.register("gaussian_filter")
@dataclass(frozen=True)
class GaussianFilter(Fitted):
    """Gaussian filter of each channel, edges reflected.

    sigma: standard deviation in pixels, > 0; null: fitted, from 0.3 to 2.5, or 0.7 without images to fit to.
    Source: scipy.ndimage.gaussian_filter.
    """

    unfitted: ClassVar[Mapping[str, Any]] = {"sigma": 0.7}
    sigma: Positive | None = None

    def candidates(self, key: str, noise: float) -> tuple[float, ...]:
        return (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5)

    def build(self, size: int) -> "nn.Module":
        sigma = self.value("sigma")
        deviations = (0, 0, sigma, sigma)
        return layers.Filter(lambda images: ndimage.gaussian_filter(images, deviations))


@models.register("tv")
@dataclass(frozen=True)
class TotalVariation(Fitted):
    """Total variation denoising of all channels together: edges that they share cost less than edges of their own.

    weight: strength on the [0, 1] scale, > 0; null: fitted, or 0.1 without images to fit to.
    Source: Bresson & Chan 2008, doi:10.3934/ipi.2008.2.455; Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e.
    """

    revision = 2
    unfitted: ClassVar[Mapping[str, Any]] = {"weight": 0.1}
    weight: Positive | None = None

    def build(self, size: int) -> "nn.Module":
        return layers.Filter(lambda images: total_variation(images, self.value("weight")))


@models.register("nlm")
@dataclass(frozen=True)
class NonLocalMeans(Fitted):
    """Non-local means: each pixel becomes the weighted mean of pixels with similar surroundings.

    h: how far similar surroundings may differ, up to 2 on the [0, 1] scale; null: fitted, or 0.08 without images to
        fit to.
    patch: side of the surroundings in pixels, 1 to 15.
    distance: how far away to search for them, 1 to 15 pixels.
    sigma: standard deviation of the noise on the [0, 1] scale, up to 2: surroundings that differ by as much as that
        count as the same; null: fitted, or 0.1 without images to fit to.
    Source: Buades et al. 2005, doi:10.1109/CVPR.2005.38; sigma: Buades et al. 2011, doi:10.5201/ipol.2011.bcm_nlm;
    skimage.restoration.denoise_nl_means, not its fast mode, which weights the surroundings evenly and is up to 1 dB
    worse on small images.
    """

    revision = 2
    unfitted: ClassVar[Mapping[str, Any]] = {"h": 0.08, "sigma": 0.1}
    factors = (0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8, 2.4, 3.2)
    h: Scale | None = None
    patch: Window = 5
    distance: Window = 6
    sigma: Annotated[float, Ge(0), Le(2), EIGHT_BITS] | None = None

    def candidates(self, key: str, noise: float) -> tuple[float, ...]:
        return multiples(noise, (0, 0.75, 0.9, 1, 1.15) if key == "sigma" else self.factors)

    def build(self, size: int) -> "nn.Module":
        settings = {"h": self.value("h"), "sigma": self.value("sigma")}
        settings |= {"patch_size": self.patch, "patch_distance": self.distance, "fast_mode": False}
        denoise = partial(restoration.denoise_nl_means, **settings)
        return _each(partial(denoise, channel_axis=-1), denoise)


@models.register("wavelet")
@dataclass(frozen=True)
class Wavelet(Fitted):
    """Soft thresholding of wavelet coefficients in YCbCr, thresholds by BayesShrink, wavelet sym4.

    Pictures in shades of grey are filtered as one channel.
    sigma: standard deviation of the noise on the [0, 1] scale, up to 2; null: fitted, or 0.1 without images to fit to.
    levels: of the transform, each of half the resolution of the one before, the same for images of every size.
    Source: Chang et al. 2000, doi:10.1109/83.862633; skimage.restoration.denoise_wavelet.
    """

    revision = 2
    unfitted: ClassVar[Mapping[str, Any]] = {"sigma": 0.1}
    sigma: Scale | None = None
    levels: Annotated[int, Ge(1), Le(8)] = 3

    def build(self, size: int) -> "nn.Module":
        settings = {"sigma": self.value("sigma"), "wavelet": "sym4", "wavelet_levels": self.levels}

        def denoise(image: np.ndarray, **colours: Any) -> np.ndarray:
            with warnings.catch_warnings(action="ignore"):  # of levels that border effects reach all of
                denoised: np.ndarray = restoration.denoise_wavelet(image, **settings, **colours)
            return denoised

        return _each(partial(denoise, convert2ycbcr=True, channel_axis=-1), denoise)


@models.register("bilateral")
@dataclass(frozen=True)
class Bilateral(Fitted):
    """Bilateral filter: each pixel becomes the weighted mean of nearby pixels of a similar colour.

    color: standard deviation of the weights over colour differences, on the [0, 1] scale, up to 2; null: fitted, or
        0.25 without images to fit to.
    spatial: standard deviation of the weights over distances, in pixels, > 0; null: fitted, from 0.5 to 4, or 1.4
        without images to fit to.
    Source: Tomasi & Manduchi 1998, doi:10.1109/ICCV.1998.710815.
    """

    revision = 3
    unfitted: ClassVar[Mapping[str, Any]] = {"color": 0.25, "spatial": 1.4}
    color: Scale | None = None
    spatial: Positive | None = None

    def candidates(self, key: str, noise: float) -> tuple[float, ...]:
        widths = (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0)
        return widths if key == "spatial" else super().candidates(key, noise)

    def build(self, size: int) -> "nn.Module":
        return layers.Filter(lambda images: bilateral(images, self.value("color"), self.value("spatial")))


@models.register("bm3d")
@dataclass(frozen=True)
class BM3D(Fitted):
    """BM3D: collaborative filtering of groups of similar patches; over a second an image, so at most 200 are tested.

    Pictures in shades of grey are filtered as one channel.
    sigma: standard deviation of the noise on the [0, 1] scale, up to 2; null: fitted, from 0.75, 1 and 1.25 times the
        noise's root mean square on 8 images, or 0.1 without images to fit to.
    The package bm3d is not installed with noise-bench, since its licence allows non-commercial use only.
    Source: Dabov et al. 2007, doi:10.1109/TIP.2007.901238; Makinen et al. 2020, doi:10.1109/TIP.2020.3014721.
    """

    most_images = 200
    revision = 2
    unfitted: ClassVar[Mapping[str, Any]] = {"sigma": 0.1}
    factors = (0.75, 1.0, 1.25)
    pairs = 8
    sigma: Scale | None = None

    def build(self, size: int) -> "nn.Module":
        try:
            in_colour, alone = bm3d.bm3d_rgb, bm3d.bm3d
        except ImportError:
            raise BenchError(
                "model bm3d needs the package bm3d, whose licence allows non-commercial use only; "
                f"if yours is: {shlex.quote(sys.executable)} -m pip install bm3d"
            ) from None
        sigma = self.value("sigma")

        def denoised(image: np.ndarray) -> np.ndarray:
            # The library divides by the range of each opponent colour, which is 0 where that colour is even.
            with np.errstate(divide="ignore", invalid="ignore"):
                output: np.ndarray = in_colour(image, sigma)
            if np.isfinite(output).all():
                return output
            return np.stack([alone(channel, sigma) for channel in np.moveaxis(image, -1, 0)], -1)

        return _each(denoised, lambda image: alone(image, sigma))


def _each(colour: Callable[[np.ndarray], np.ndarray], grey: Callable[[np.ndarray], np.ndarray]) -> "nn.Module":
    """A filter of single images as a module that takes batches.

    colour: takes (H, W, C). grey: takes (H, W), for images of one channel or of equal channels.
    """

    def one(picture: np.ndarray) -> np.ndarray:
        if (picture != picture[..., :1]).any():
            return colour(picture)
        shades = grey(np.ascontiguousarray(picture[..., 0]))
        return np.repeat(shades[..., None], picture.shape[-1], -1)

    def batch(images: np.ndarray) -> np.ndarray:
        pictures = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        return np.stack([one(picture) for picture in pictures]).transpose(0, 3, 1, 2)

    return layers.Filter(batch)
