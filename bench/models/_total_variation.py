"""Total variation with one norm over the gradients of all channels: scikit-image's filters channels one by one."""

import numpy as np

STEP = 0.25  # of the ascent: the largest that Chambolle found to converge
STEPS = 100  # after which the objective is 0.1 % above its least value at noise of 0.1, and PSNR as after 1,000


def total_variation(images: np.ndarray, weight: float, steps: int = STEPS) -> np.ndarray:
    """The images that minimise half their squared distance to those given plus weight times their total variation.

    The variation is the sum over pixels of the gradient's length, over both directions and all channels together. It is
    found by a semi-implicit ascent of the dual.
    images: (N, C, H, W) float32. weight: on the scale of the images, > 0.
    Source: Bresson & Chan 2008, doi:10.3934/ipi.2008.2.455; Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e.
    """
    dual = np.zeros((2, *images.shape), images.dtype)
    filtered = images
    for _ in range(steps):
        slopes = _slopes(filtered)
        dual -= np.float32(STEP) * slopes
        dual /= 1 + np.float32(STEP / weight) * _lengths(slopes)
        filtered = images - dual.sum(0)
        filtered[..., 1:, :] += dual[0, ..., :-1, :]
        filtered[..., 1:] += dual[1, ..., :-1]
    return filtered


def _slopes(images: np.ndarray) -> np.ndarray:
    """Differences to the next pixel below and to the right, (2, N, C, H, W); 0 at the last row and column."""
    slopes = np.zeros((2, *images.shape), images.dtype)
    np.subtract(images[..., 1:, :], images[..., :-1, :], out=slopes[0, ..., :-1, :])
    np.subtract(images[..., 1:], images[..., :-1], out=slopes[1, ..., :-1])
    return slopes


def _lengths(slopes: np.ndarray) -> np.ndarray:
    """The length of each pixel's gradient, (N, 1, H, W)."""
    lengths: np.ndarray = np.sqrt(np.square(slopes).sum((0, 2)))[:, None]
    return lengths
