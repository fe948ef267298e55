"""Measures of image quality, one family per file."""

from bench.core.registry import import_modules
from bench.metrics.base import Measure, Metric, compute, mean, metrics

import_modules(__name__, __path__)

__all__ = ["Measure", "Metric", "compute", "mean", "metrics"]
