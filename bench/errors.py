"""The errors that classes of your own may raise; the rest of the package takes them from `bench.core.errors`."""

from bench.core.errors import BenchError, DataError, FieldError, SpecError

__all__ = ["BenchError", "DataError", "FieldError", "SpecError"]
