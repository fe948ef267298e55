"""Intervals of means and of differences, families of comparisons, and how many seeds would settle one."""

from bench.results.statistics.means import CONFIDENCE, Interval, Over, interval, mean_of, student

__all__ = ["CONFIDENCE", "Interval", "Over", "interval", "mean_of", "student"]
