"""The report of a run: one HTML page that needs neither network nor script."""

from bench.report.page import page

__all__ = ["page"]
