"""Measures of image quality."""

from bench.metrics.base import Metric, compute, mean, metrics

__all__ = ["Metric", "compute", "mean", "metrics"]
