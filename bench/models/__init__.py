"""Denoisers, one family per file. Every public module of this folder is imported, so a new family is one new file."""

import importlib
import pkgutil

from bench.models.base import Model, TrainableModel, models

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Model", "TrainableModel", "models"]
