"""Corruptions of images, one family per file."""

from bench.core.registry import import_modules
from bench.noises._levels import Range
from bench.noises.base import Noise, noises

import_modules(__name__, __path__)

__all__ = ["Noise", "Range", "noises"]
