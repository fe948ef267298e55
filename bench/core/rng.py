"""Randomness without state: a draw depends on (seed, purpose, image index), never on batch, order or worker.

A counter-based generator: element j of call c for image i is a hash of (seed, purpose, c, i, j), computed for the
whole batch at once. The hash is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA) on a Weyl sequence,
which is that generator itself, started at an independent 64-bit point for each image and call.
"""

import hashlib
import math

import numpy as np

from bench.core.lazy import torch

# Odd 64-bit constants of SplitMix64, as signed integers, since torch has no unsigned arithmetic.
WEYL = -7046029254386353131
FIRST = -4658895280553007687
SECOND = -7723592293110705685


def derive(seed: int, *purpose: str | int) -> int:
    """A signed 64-bit key from a seed and a purpose; every bit of either changes it."""
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def permutation(count: int, seed: int, *purpose: str | int) -> np.ndarray:
    """A random order of range(count), int64."""
    key = derive(seed, *purpose) % 2**64
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


class Draw:
    """The randomness of one batch of images.

    shape: (N, 3, H, W) of the batch.
    indices: (N,) int64, which image of its split each one is.
    Calls are numbered: the n-th call gives the same values for an image in every batch that holds it.
    """

    def __init__(
        self, shape: tuple[int, ...], seed: int, purpose: tuple[str | int, ...], indices: "torch.Tensor"
    ) -> None:
        self.shape = tuple(shape)
        self.seed = seed
        self.purpose = purpose
        self.indices = indices
        self.calls = 0

    def uniform(self, shape: tuple[int, ...] | None = None) -> "torch.Tensor":
        """Uniform in [0, 1), float32.

        shape: of one image's values; (1, 1, 1) draws a value per image, (1, H, W) one per pixel. Default: per element.
        """
        shape = self.shape[1:] if shape is None else shape
        bits = self._bits(math.prod(shape))
        return bits.to(torch.float32).mul_(2.0**-24).view(-1, *shape)

    def normal(self, shape: tuple[int, ...] | None = None) -> "torch.Tensor":
        """Standard normal, float32, by Box & Muller (1958). Shape as for `uniform`."""
        shape = self.shape[1:] if shape is None else shape
        count = math.prod(shape)
        half = (count + 1) // 2
        out = self._bits(2 * half).to(torch.float32)
        radius, angle = out[:, :half], out[:, half:] * (2 * math.pi * 2.0**-24)
        radius.add_(0.5).mul_(2.0**-24).log_().mul_(-2).sqrt_()
        torch.mul(radius, angle.sin(), out=out[:, half:])
        radius.mul_(angle.cos_())
        return out[:, :count].reshape(-1, *shape)

    def fork(self, name: str | int) -> "Draw":
        """An independent stream for the same images: what one part draws never shifts another's values."""
        return Draw(self.shape, self.seed, (*self.purpose, name), self.indices)

    def _bits(self, count: int) -> "torch.Tensor":
        """(N, count) int32 holding 24 random bits each."""
        key = derive(self.seed, *self.purpose, self.calls)
        self.calls += 1
        start = _mix((self.indices + 1) * WEYL + key)
        steps = torch.arange((count + 1) // 2, dtype=torch.int64, device=self.indices.device) * WEYL
        words = _mix(start[:, None] + steps)
        return words.view(torch.int32)[:, :count].bitwise_right_shift_(8).bitwise_and_(0xFFFFFF)


def _mix(words: "torch.Tensor") -> "torch.Tensor":
    """The finaliser, in place."""
    _fold(words, 30)
    words *= FIRST
    _fold(words, 27)
    words *= SECOND
    _fold(words, 31)
    return words


def _fold(words: "torch.Tensor", shift: int) -> None:
    # torch shifts in copies of the sign bit; the mask makes the shift a logical one.
    words ^= (words >> shift).bitwise_and_(2 ** (64 - shift) - 1)
