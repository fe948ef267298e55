"""From YAML text to cells: what an experiment is, and what it asks to be trained and scored."""

from bench.spec.experiment import Experiment, Train, load, parse, schema

__all__ = ["Experiment", "Train", "load", "parse", "schema"]
