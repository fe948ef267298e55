"""How strong a noise is."""

from dataclasses import dataclass
from typing import Any

from bench.core.values import Written


@dataclass(frozen=True)
class Range(Written):
    """A level drawn anew for each image, uniformly from [low, high]."""

    low: float
    high: float

    def node(self) -> dict[str, Any]:
        return {"range": [self.low, self.high]}

    def label(self) -> str:
        return f"{self.low}..{self.high}"
