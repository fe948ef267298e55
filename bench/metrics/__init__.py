"""Measures of image quality, one family per file."""

from bench.core.registry import import_modules
from bench.metrics.base import Metric, compute, metrics
from bench.metrics.measure import Average, Measure, half_text

import_modules(__name__, __path__)

__all__ = ["Average", "Measure", "Metric", "compute", "half_text", "metrics"]
