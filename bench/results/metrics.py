"""Metrics as results keep them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.core.errors import BenchError, FieldError
from bench.metrics import Measure, metrics


@dataclass(frozen=True)
class StoredMetric(Measure):
    """A metric as results keep it: they can be shown without its code."""

    column: str
    title: str = ""
    unit: str = ""
    better: str = "higher"
    decimals: int | None = None
    ceiling: float | None = None
    pooled: bool = False

    @classmethod
    def of(cls, metric: Measure) -> "StoredMetric":
        """What is to be known of a metric."""
        return cls(**{field.name: getattr(metric, field.name) for field in fields(cls)})

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "StoredMetric":
        """What `node()` gave; older folders have the metric as a spec names it. Raises BenchError."""
        if "column" in node:
            known = metrics[node["column"]].ceiling if node["column"] in metrics else None
            return cls(**{"ceiling": known, **node})
        try:
            return cls.of(metrics.parse(node))
        except FieldError as error:
            raise BenchError(
                f"{error}. An older version wrote this folder without what its metrics are: name the file that "
                "registers it with --plugin, or run its spec again"
            ) from None

    def node(self) -> dict[str, Any]:
        """This as plain JSON values."""
        return {key: value for key, value in asdict(self).items() if key != "pooled" or value}
