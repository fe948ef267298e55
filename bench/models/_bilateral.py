"""The bilateral filter by its definition: scikit-image 0.26's places its spatial weights wrongly for odd windows."""

import math

import numpy as np


def bilateral(images: np.ndarray, color: float, spatial: float) -> np.ndarray:
    """Each pixel as the mean of those around it, weighted by distance in space and in colour.

    images: (N, C, H, W) float32. color, spatial: standard deviations of the Gaussian weights over the Euclidean
    distance of colours and over that in pixels. Weights beyond three of the latter are left out; at the borders only
    pixels of the image count.
    """
    total, weights = images.copy(), np.ones_like(images[:, :1])
    reach = math.ceil(3 * spatial)
    height, width = images.shape[-2:]
    for down in range(min(reach, height - 1) + 1):
        for right in range(-min(reach, width - 1), min(reach, width - 1) + 1):
            if (down, right) <= (0, 0):  # each pair of pixels is met once and serves both
                continue
            here = (..., slice(0, height - down), slice(max(0, -right), width - max(0, right)))
            there = (..., slice(down, height), slice(max(0, right), width + min(0, right)))
            distance = np.square(images[here] - images[there]).sum(1, keepdims=True)
            near = np.float32(-(down**2 + right**2) / (2 * spatial**2))
            weight = np.exp(near - distance / np.float32(2 * color**2))
            for mine, other in ((here, there), (there, here)):
                total[mine] += weight * images[other]
                weights[mine] += weight
    filtered: np.ndarray = total / weights
    return filtered
