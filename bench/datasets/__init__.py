"""Images to train and test on, one dataset per file. Every public module of this folder is imported."""

from bench.core.registry import import_modules
from bench.datasets.base import Data, Dataset, Source, datasets, fallback

import_modules(__name__, __path__)

__all__ = ["Data", "Dataset", "Source", "datasets", "fallback"]
