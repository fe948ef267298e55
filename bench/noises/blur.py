"""Gaussian blur."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.core.validation import PIXELS
from bench.noises.base import Noise, noises

WIDEST_BLUR = 10.0


@noises.register("blur")
@dataclass(frozen=True)
class Blur(Noise):
    """Gaussian blur; beyond the edge, the nearest pixel is repeated.

    sigma: standard deviation of the kernel in pixels, from 0 to 10; the kernel is cut at 4 sigma.
    Source: skimage.filters.gaussian(mode="nearest", truncate=4); severities of CIFAR-10-C's gaussian_blur.
    """

    level = "sigma"
    severities = (0.4, 0.6, 0.7, 0.8, 1.0)
    sigma: Annotated[float, Ge(0), Le(WIDEST_BLUR), PIXELS] = 1.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        sigma = torch.as_tensor(self.sigma, dtype=torch.float64, device=images.device).reshape(-1, 1)
        down, across = (_blur_matrix(side, sigma).float().unsqueeze(1) for side in images.shape[2:])
        return down @ images @ across.transpose(-1, -2)


def _blur_matrix(side: int, sigma: "torch.Tensor") -> "torch.Tensor":
    """(K, side, side) matrices that blur one row or column; sigma: (K, 1) float64."""
    # The reach is fixed: if it followed the batch's widest kernel, the rounding of all others would depend on it.
    reach = int(4 * WIDEST_BLUR + 0.5)
    offsets = torch.arange(-reach, reach + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-6)) ** 2)
    weights = weights * (offsets.abs() <= (4 * sigma + 0.5).floor())
    weights = weights / weights.sum(1, keepdim=True)
    lines = torch.arange(side, device=sigma.device)
    sources = (lines[:, None] + offsets).clamp(0, side - 1).expand(len(sigma), -1, -1)
    matrix = weights.new_zeros(len(sigma), side, side)
    return matrix.scatter_add_(2, sources, weights[:, None, :].expand(-1, side, -1))
