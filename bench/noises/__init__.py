"""Noises, one per file. Every public module of this folder is imported."""

from bench.core.registry import import_modules
from bench.noises._levels import Range
from bench.noises.base import Noise, noises

import_modules(__name__, __path__)

__all__ = ["Noise", "Range", "noises"]
