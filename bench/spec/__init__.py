"""From YAML text to cells: what an experiment is, and what it asks to be trained and scored."""

from bench.spec.experiment import Experiment
from bench.spec.parsing import load, parse
from bench.spec.schema import schema
from bench.spec.train_settings import Train

__all__ = ["Experiment", "Train", "load", "parse", "schema"]
