"""Batches of images: uint8 in storage, float32 in [0, 1] in computations; contact sheets to look at."""

import hashlib

import numpy as np

from bench.core.lazy import torch


def to_float(images: "torch.Tensor") -> "torch.Tensor":
    """uint8 (N, 3, H, W) to float32 in [0, 1]."""
    return images.to(torch.float32).div_(255)


def to_uint8(images: "torch.Tensor") -> "torch.Tensor":
    """float32 in [0, 1], clipped and rounded to uint8."""
    return images.clamp(0, 1).mul(255).round_().to(torch.uint8)


def digest(pixels: np.ndarray) -> str:
    """A checksum of an image, uint8 (height, width, channels), whatever file it came from: 32 hexadecimal digits."""
    return hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()


def contact_sheet(rows: list[np.ndarray], gap: int = 2) -> np.ndarray:
    """Rows of images side by side on white.

    rows: each uint8 (K, 3, H, W), with the same H and W.
    gap: between images, in pixels.
    Returns uint8 (height, width, 3).
    """
    _, _, height, width = rows[0].shape
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet
