"""Denoisers, one family per file. Every public module of this folder is imported."""

from bench.core.registry import import_modules
from bench.models.base import Model, TrainableModel, models

import_modules(__name__, __path__)

__all__ = ["Model", "TrainableModel", "models"]
