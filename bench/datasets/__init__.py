"""Images to train and test on, one source per file."""

from bench.core.registry import import_modules
from bench.datasets.base import Data, Dataset, Notes, Source, datasets, fallback

import_modules(__name__, __path__)

__all__ = ["Data", "Dataset", "Notes", "Source", "datasets", "fallback"]
