"""Exact worlds: images drawn from distributions whose best denoiser of Gaussian noise is known."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from bench.core.rng import derive
from bench.datasets.base import SEED, Dataset, Pixels, Source, datasets

POOLS = {"train": 50_000, "test": 10_000}
CHANNELS = 3
MEAN = 0.5
# Brightness and two opponent colours, as columns. Written out, since two have the same variance and all signs are
# free: what a library finds depends on the processor, and other images would be drawn on another machine.
COLOURS = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]).T / np.sqrt([3, 2, 6])
VERSION = 2  # of what is drawn
BATCH = 1000  # images drawn at a time
STRETCH = 4.0  # how much faster a component's spectrum falls across its direction than along it


@dataclass(frozen=True)
class World(Dataset):
    """Mixtures of stationary Gaussian fields around middle grey, periodic at the borders, rounded to 8 bits.

    slope: the power spectrum falls as the frequency to minus this; about 2 in photographs.
    deviation: standard deviation of a value on the [0, 1] scale; at 0.1 hardly any is clipped.
    colour: correlation of two channels at one place.
    """

    revision = 2
    slope: Annotated[float, Ge(0), Le(6)] = 2.0
    deviation: Annotated[float, Gt(0), Le(0.2)] = 0.1
    colour: Annotated[float, Ge(0), Lt(1)] = 0.8

    @property
    def count(self) -> int:
        """How many Gaussians are mixed, in equal shares."""
        return 1

    def spectra(self) -> np.ndarray:
        """(K, size, size): the power of each component at each frequency, in numpy's order, with mean 1."""
        frequencies = np.fft.fftfreq(self.size, 1 / self.size)
        down, across = np.meshgrid(frequencies, frequencies, indexing="ij")
        angles = np.pi * np.arange(self.count)[:, None, None] / self.count
        along, beside = down * np.sin(angles) + across * np.cos(angles), down * np.cos(angles) - across * np.sin(angles)
        stretch = STRETCH if self.count > 1 else 1.0
        power = np.maximum(1, along**2 + (stretch * beside) ** 2) ** (-self.slope / 2)
        power += np.roll(power[:, ::-1, ::-1], 1, (1, 2))  # real images: a frequency has the power of its negative
        found: np.ndarray = power / power.mean((1, 2), keepdims=True)
        return found

    def variances(self) -> np.ndarray:
        """(K, C, size, size): of each component along each principal colour and at each frequency.

        Principal colours are the columns of `colours`. The best denoiser of independent Gaussian noise knows these.
        """
        values, _ = self._colours()
        return self.deviation**2 * values[:, None, None] * self.spectra()[:, None]

    def posterior_mean(self, noisy: np.ndarray, sigma: float) -> np.ndarray:
        """The best estimate of images under Gaussian noise that was not clipped, (N, C, size, size); none is better.

        sigma: standard deviation of the noise.
        """
        _, colours = self._colours()
        variances = self.variances()[:, None]  # (K, 1, C, size, size)
        along = np.fft.fft2(np.einsum("ba,nbhw->nahw", colours, noisy - MEAN), norm="ortho")
        total = variances + sigma**2
        likelihood = -0.5 * (np.log(total) + np.abs(along) ** 2 / total).sum((2, 3, 4))  # (K, N)
        shares = np.exp(likelihood - likelihood.max(0))
        kept = np.einsum("kn,knahw->nahw", shares / shares.sum(0), variances / total * along)
        found: np.ndarray = MEAN + np.einsum("ba,nahw->nbhw", colours, np.fft.ifft2(kept, norm="ortho").real)
        return found

    def source(self) -> Source:
        world = {"version": VERSION, "slope": self.slope, "deviation": self.deviation, "colour": self.colour}
        identity = {"world": {**world, "components": self.count}}
        return Source(identity, POOLS["train"], None, POOLS["test"], self._fill)

    def _colours(self) -> tuple[np.ndarray, np.ndarray]:
        """Variances of principal colours, and these as columns."""
        return np.array([1 + 2 * self.colour, 1 - self.colour, 1 - self.colour]), COLOURS

    def _fill(self, chosen: Pixels, out: Pixels) -> Counter[str]:
        for part, positions in chosen.items():
            pool = "test" if part == "test" else "train"
            for first in range(0, len(positions), BATCH):
                rows = positions[first : first + BATCH]
                out[part][first : first + BATCH] = self._drawn(rows, pool)
        return Counter()

    def _drawn(self, positions: np.ndarray, pool: str) -> np.ndarray:
        """The images at some positions of a pool, uint8 (N, C, size, size)."""
        white = np.empty((len(positions), CHANNELS, self.size, self.size))
        kinds = np.empty(len(positions), np.int64)
        for row, position in enumerate(positions):
            draw = np.random.Generator(np.random.Philox(key=derive(SEED, "world", pool, int(position)) % 2**64))
            kinds[row] = draw.integers(self.count)
            white[row] = draw.standard_normal(white.shape[1:])
        amplitudes = np.sqrt(self.variances())[kinds]
        fields = np.fft.ifft2(amplitudes * np.fft.fft2(white)).real
        _, colours = self._colours()
        values = MEAN + np.einsum("ba,nahw->nbhw", colours, fields)
        return np.rint(255 * values).clip(0, 255).astype(np.uint8)


@datasets.register("gaussian_field")
@dataclass(frozen=True)
class GaussianField(World):
    """Stationary Gaussian fields: the best denoiser of Gaussian noise is affine, `wiener` by the true moments.

    Source: Wiener 1949, Extrapolation, Interpolation and Smoothing of Stationary Time Series.
    """


@datasets.register("mixture")
@dataclass(frozen=True)
class Mixture(World):
    """Stationary Gaussian fields of several directions, one for each image: no affine denoiser is the best.

    components: directions, evenly spread.
    Source: the posterior mean under a mixture: Teodoro et al. 2015, doi:10.1109/ICIP.2015.7351355.
    """

    components: Annotated[int, Ge(2), Le(64)] = 8

    @property
    def count(self) -> int:
        return self.components
