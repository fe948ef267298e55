"""Denoisers, one family per file."""

from bench.core.registry import import_modules
from bench.models.base import ClosedForm, Model, TrainableModel, as_fitted, models

import_modules(__name__, __path__)

__all__ = ["ClosedForm", "Model", "TrainableModel", "as_fitted", "models"]
