"""Affine maps from moments: what is wanted, predicted from what is seen. Imports torch.

What is seen are rows (N, D), what is wanted rows (N, E); a map is its matrix (E, D) and its offset (E,), in float64.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn
from torch.nn import functional

from bench.models.base import Pairs

Rows = tuple[torch.Tensor, torch.Tensor]  # seen, wanted

DRAWS = 8  # of the noise on each image
WINDOWS = 400_000  # that moments of windows are of, about, of each draw's part
HELD = 4  # batches of validation images that a ridge is chosen on, at most
RIDGES = [10 ** (power / 2) for power in range(-14, -1)]  # as shares of the mean variance of what is seen
UNHELD = 1e-3  # where there are no validation images
ROUNDING = 1e-9  # of sums by Fourier transform, relative to the largest
ROUNDED = 1 / (12 * 255**2)  # variance that storing in 8 bits adds
SEVERAL = 4  # images from which on inverting the covariance costs less than what it saves each of them
GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread evenly and meet no period


@dataclass(frozen=True)
class Moments:
    """Means (D,), (E,) of what is seen and wanted, and covariances of what is seen with itself and with the latter."""

    seen: torch.Tensor
    wanted: torch.Tensor
    variance: torch.Tensor
    cross: torch.Tensor

    @classmethod
    def of(cls, parts: Iterable[Rows]) -> "Moments":
        """Those of all rows of some parts."""
        count = 0
        seen, wanted, squares, products = (torch.zeros((), dtype=torch.float64) for _ in range(4))
        for given, target in parts:
            rows, targets = given.double(), target.double()
            count += len(rows)
            seen, wanted = seen + rows.sum(0), wanted + targets.sum(0)
            squares, products = squares + rows.mT @ rows, products + rows.mT @ targets
        seen, wanted = seen / count, wanted / count
        variance, cross = squares / count - torch.outer(seen, seen), products / count - torch.outer(seen, wanted)
        return cls(seen, wanted, variance, cross)


def of_images(pairs: Pairs, flips: bool) -> Rows:
    """The map of whole images.

    There are hardly more images than values, too few for the sample covariance of noise. So the moments of what the
    image determines are those of the mean over draws, and the rest is noise: channels at one place have the covariance
    of that place, and the correlation of two places depends on the offset between them alone.
    """
    noise = _Deviations()

    def means() -> Iterator[Rows]:
        for mirrored in (False, True) if flips else (False,):
            draws = (pairs.again(draw + DRAWS * mirrored, mirrored) for draw in range(DRAWS))
            for batches in zip(*draws, strict=True):
                noisy = [corrupted for _, corrupted in batches]
                noise.add((noisy[0] - noisy[1]).double() / 2**0.5)
                yield torch.stack(noisy).mean(0).flatten(1), batches[0][0].flatten(1)

    found = Moments.of(means())
    found.variance.add_(noise.covariance(), alpha=1 - 1 / DRAWS)
    return predictor(found, [(noisy.flatten(1), clean.flatten(1)) for clean, noisy in islice(pairs.held, HELD)])


def of_windows(pairs: Pairs, side: int, flips: bool) -> Rows:
    """The map from the window around a pixel to the pixel, at the image's border continued by reflection."""
    reads = [pairs.again(draw, mirrored=flips and draw % 2 == 1) for draw in range(DRAWS)]
    most = -(-WINDOWS // (DRAWS * len(pairs)))
    found = Moments.of(_windows(clean, noisy, side, most) for read in reads for clean, noisy in read)
    held = list(islice(pairs.held, HELD))
    return predictor(found, [_windows(clean, noisy, side, most) for clean, noisy in held])


def predictor(moments: Moments, held: Iterable[Rows] = ()) -> Rows:
    """The best map by these moments, with the ridge that is best for what is held back; UNHELD where nothing is."""
    variances, axes = torch.linalg.eigh(moments.variance)
    cross = axes.mT @ moments.cross
    steps = {ridge: 1 / (variances.clamp(min=0) + ridge * variances.mean()) for ridge in RIDGES}
    errors = dict.fromkeys(RIDGES, 0.0)
    for given, target in held:
        along, wanted = (given.double() - moments.seen) @ axes, target.double() - moments.wanted
        for ridge, step in steps.items():
            errors[ridge] += float((along * step @ cross - wanted).square().sum())
    ridge = min(errors, key=errors.__getitem__) if any(errors.values()) else UNHELD
    matrix = (axes * steps[ridge] @ cross).mT
    return matrix, moments.wanted - matrix @ moments.seen


class _Deviations:
    """The covariance of noise, from deviations (N, C, H, W) of which it is the mean square."""

    def __init__(self) -> None:
        self.count = 0
        self.together, self.products = (torch.zeros((), dtype=torch.float64) for _ in range(2))

    def add(self, deviations: torch.Tensor) -> None:
        """Some more images."""
        self.count += len(deviations)
        self.together = self.together + torch.einsum("nahw,nbhw->abhw", deviations, deviations)
        self.products = self.products + _by_offset(deviations)

    def covariance(self) -> torch.Tensor:
        """(C * H * W, C * H * W)."""
        together = self.together / self.count
        deviation = together.diagonal().movedim(-1, 0).sqrt()
        expected = _by_offset(deviation[None])
        known = expected > ROUNDING * expected.max()
        correlation = torch.where(known, self.products / self.count / expected, 0).clamp(-1, 1)
        channels, height, width = deviation.shape
        down, across = (torch.arange(side)[:, None] - torch.arange(side) for side in (height, width))
        between = correlation[:, :, down[:, :, None, None], across]  # (C, C, H, H, W, W)
        covariance = between.permute(0, 2, 4, 1, 3, 5) * deviation[..., None, None, None] * deviation
        found = covariance.reshape(channels, height * width, channels, height * width)
        place = torch.arange(height * width)
        found[:, place, :, place] = together.flatten(2).permute(2, 0, 1)
        return found.reshape(deviation.numel(), -1)


def _by_offset(images: torch.Tensor) -> torch.Tensor:
    """Sums over images and places of the products of two channels, (C, C, 2H, 2W) by the offset between their places.

    Entry [a, b, y, x]: channel a at a place plus (y, x), negative ones counted from the end, times b at the place.
    """
    size = [2 * side for side in images.shape[-2:]]
    spectra = torch.fft.rfft2(images, s=size)
    return torch.fft.irfft2(torch.einsum("nahw,nbhw->abhw", spectra, spectra.conj()), s=size)


def _windows(clean: torch.Tensor, noisy: torch.Tensor, side: int, most: int) -> Rows:
    """At most so many windows of corrupted images, (M, C * side * side), and the clean values in their middle."""
    padded = functional.pad(noisy, (side // 2,) * 4, mode="reflect")
    windows = padded.unfold(2, side, 1).unfold(3, side, 1)  # a view
    count, _, height, width = clean.shape
    places = count * height * width
    chosen = torch.arange(places)
    if most < places:
        chosen = (torch.arange(most, dtype=torch.float64) * GOLDEN % 1 * places).long()
    image, row, column = torch.unravel_index(chosen, (count, height, width))
    return windows[image, :, row, column].flatten(1), clean[image, :, row, column]


class Conditional(nn.Module):
    """The conditional mean, under a Gaussian, of the values of an image that equal `fill`, given the others.

    channels, side: of the images. The parameters are the Gaussian's mean (D,) and covariance (D, D).
    """

    def __init__(self, channels: int, side: int, fill: float) -> None:
        super().__init__()
        values = channels * side**2
        self.shape, self.fill = (channels, side, side), fill
        self.mean = nn.Parameter(torch.full((values,), 0.5), requires_grad=False)
        self.covariance = nn.Parameter(torch.eye(values), requires_grad=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[1:] != self.shape:
            raise RuntimeError(f"made for images of {self.shape}; got {tuple(images.shape[1:])}")
        flat, covariance = images.flatten(1), self.covariance.double()
        little = (flat == self.fill).sum(1) < flat.shape[1] / 2
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance)) if little.sum() >= SEVERAL else None
        return torch.stack(
            [self._one(image, covariance, inverse if few else None) for image, few in zip(flat, little, strict=True)]
        ).view_as(images)

    def _one(self, image: torch.Tensor, covariance: torch.Tensor, inverse: torch.Tensor | None) -> torch.Tensor:
        """An image, filled in. inverse: of the covariance, to solve for the masked values instead of the others."""
        masked = image == self.fill
        seen, lost = torch.nonzero(~masked)[:, 0], torch.nonzero(masked)[:, 0]
        if not len(lost):
            return image
        mean = self.mean.double()
        given = (image[seen].double() - mean[seen])[:, None]
        if inverse is None:
            filled = covariance[lost][:, seen] @ _solved(covariance[seen][:, seen], given)
        else:
            filled = -_solved(inverse[lost][:, lost], inverse[lost][:, seen] @ given)
        return image.index_copy(0, lost, (mean[lost] + filled[:, 0]).to(image))


def _solved(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def fit_gaussian(network: Conditional, pairs: Pairs, flips: bool) -> None:
    """Give a network the Gaussian of clean images, with the variance that storing in 8 bits adds."""
    reads = [pairs.again(0, mirrored) for mirrored in ((False, True) if flips else (False,))]
    rows = (clean.flatten(1) for read in reads for clean, _ in read)
    found = Moments.of((row, row[:, :1]) for row in rows)
    network.mean.copy_(found.seen)
    network.covariance.copy_(found.variance + ROUNDED * torch.eye(len(found.seen)))
