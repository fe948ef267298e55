"""How strong a noise is: one value, a range that each image draws its own level from, or a published severity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import FieldError, shorten
from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.core.values import Written


@dataclass(frozen=True)
class Range(Written):
    """A level drawn anew for each image, uniformly from [low, high]."""

    low: float
    high: float

    def draw(self, draw: Draw, whole: bool = False) -> "torch.Tensor":
        """A level for each image, (N, 1, 1, 1) float32. whole: draw whole numbers, both ends included."""
        share = draw.uniform((1, 1, 1))
        if whole:
            return (self.low + share * (self.high - self.low + 1)).floor().clamp(max=self.high)
        return self.low + share * (self.high - self.low)

    def node(self) -> dict[str, Any]:
        """`{range: [low, high]}`."""
        return {"range": [self.low, self.high]}

    def label(self) -> str:
        """`low..high`."""
        return f"{self.low}..{self.high}"


def parse_range(value: Mapping[str, Any], key: str) -> Range:
    """The Range that a key's value `{range: [low, high]}` stands for. Raises FieldError."""
    ends = value.get("range")
    if set(value) != {"range"} or not isinstance(ends, list | tuple) or len(ends) != 2:
        raise FieldError(f"expected a value or {{range: [low, high]}}; got {shorten(dict(value))}", (key,))
    low, high = ends
    if any(type(end) not in (int, float) for end in ends) or not low <= high:
        raise FieldError(f"a range needs two numbers, the lower first; got {shorten(ends)}", (key, "range"))
    return Range(low, high)


def range_schema(level: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a level or a range of levels, from that of a level."""
    about = "lowest and highest level; one is drawn for each image"
    ends = {"range": {"type": "array", "items": level, "minItems": 2, "maxItems": 2, "description": about}}
    drawn = {"type": "object", "properties": ends, "required": ["range"], "additionalProperties": False}
    return {"anyOf": [level, drawn]}


def replace_severity(params: Mapping[str, Any], level: str, severities: Sequence[float]) -> Mapping[str, Any]:
    """The keys with `severity: 1`, 2, ... replaced by the level it stands for. Raises FieldError.

    level: the key that holds the level. severities: its values for the severities, empty where there are none.
    """
    if "severity" not in params or not severities:
        return params
    rest = dict(params)
    severity = rest.pop("severity")
    if type(severity) is not int or not 1 <= severity <= len(severities):
        raise FieldError(f"must be a whole number from 1 to {len(severities)}; got {shorten(severity)}", ("severity",))
    if level in rest:
        raise FieldError(f"give severity or {level}, not both", ("severity",))
    return {**rest, level: severities[severity - 1]}


def severity_schema(level: str, severities: Sequence[float]) -> dict[str, Any]:
    """JSON Schema of the key `severity`."""
    text = f"CIFAR-10-C's severity, in place of {level}"
    return {"type": "integer", "minimum": 1, "maximum": len(severities), "description": text}
