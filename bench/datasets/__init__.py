"""Images to train and test on. Every public module of this folder is imported, so a new dataset is one new file."""

import importlib
import pkgutil

from bench.datasets.base import Data, Dataset, Source, datasets, fallback

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Data", "Dataset", "Source", "datasets", "fallback"]
