"""Derived from stored results, rebuilt at any time: figures, the HTML page, model cards."""
