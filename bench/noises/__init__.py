"""Corruptions of images."""

from bench.noises.base import Noise, noises

__all__ = ["Noise", "noises"]
