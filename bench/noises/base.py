"""Corruptions of images, one small class each.

Every noise maps clean images, float32 (N, 3, H, W) in [0, 1], to corrupted ones of the same shape and type, vectorised
over the batch. Its randomness comes from a `Draw`, so the same image meets the same noise in every batch.
A field may hold one level for all images or a `Range`: then `corrupt` sees that field as a (N, 1, 1, 1) tensor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self, get_type_hints

from annotated_types import Ge, Le

from bench.core.errors import FieldError, shorten
from bench.core.images import to_float, to_uint8
from bench.core.lazy import torch
from bench.core.registry import Registered, Registry
from bench.core.rng import Draw
from bench.noises._levels import Range

Probability = Annotated[float, Ge(0), Le(1)]
NonNegative = Annotated[float, Ge(0)]
Sites = Literal["element", "pixel"]


@dataclass(frozen=True)
class Noise(Registered):
    """A corruption of images.

    clip: clip the corrupted image to [0, 1].
    quantize: then round it to 8 bits, as a stored picture would be.
    fresh: in training, draw the noise anew every epoch; if false, each image keeps one corruption for good.
    split: of a test noise: the images it is scored on. Beside `test`, `train` shows what a model has memorised.
    """

    level: ClassVar[str] = ""  # the key that says how strong the noise is
    severities: ClassVar[tuple[float, ...]] = ()  # values of that key for CIFAR-10-C's severities 1-5

    clip: bool = True
    quantize: bool = False
    fresh: bool = True
    split: Literal["test", "validation", "train"] = "test"

    def params(self) -> dict[str, Any]:
        """Every field as plain JSON values; `split` only where it says something, since training has no use for it."""
        return {key: value for key, value in super().params().items() if key != "split" or value != "test"}

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        """The corrupted batch, not yet clipped.

        images: (N, 3, H, W) float32 in [0, 1], not to be changed in place.
        draw: the batch's randomness.
        """
        raise TypeError(f"noise {self.name!r} must define corrupt(images, draw)")

    def apply(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        """The corrupted batch, float32 (N, 3, H, W); levels drawn, clipped and rounded as the fields say."""
        ranges = {key: value for key in self.field_names() if isinstance(value := getattr(self, key), Range)}
        hints = get_type_hints(type(self)) if ranges else {}
        levels: dict[str, Any] = {
            key: _levels(value, draw.fork(key), whole=hints[key] is int) for key, value in ranges.items()
        }
        noisy = (replace(self, **levels) if levels else self).corrupt(images, draw)
        if self.clip:
            noisy = noisy.clamp(0, 1)
        return to_float(to_uint8(noisy)) if self.quantize else noisy

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that YAML may give: the fields, and `severity` where CIFAR-10-C has this noise."""
        return [*cls.field_names(), "severity"] if cls.severities else cls.field_names()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys, with `severity: 1..5` and `{range: [low, high]}` understood."""
        params = cls._without_severity(params)
        ranges = {key: _range(value, key) for key, value in params.items() if isinstance(value, Mapping)}
        for key in ranges:
            if key in cls.accepted() and not cls._ranges(key):
                raise FieldError(f"{key} takes one value; a range is drawn for levels only", (key,))
        low = super().from_params({**params, **{key: found.low for key, found in ranges.items()}})
        if not ranges:
            return low
        high = super().from_params({**params, **{key: found.high for key, found in ranges.items()}})
        drawn: dict[str, Any] = {key: Range(getattr(low, key), getattr(high, key)) for key in ranges}
        return replace(low, **drawn)

    @classmethod
    def key_schemas(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Those of the fields, ranges allowed where they are drawn, and `severity`."""
        found = {key: _or_range(schema) if cls._ranges(key) else schema for key, schema in fields.items()}
        text = f"CIFAR-10-C's severity, in place of {cls.level}"
        severity = {"type": "integer", "minimum": 1, "maximum": len(cls.severities), "description": text}
        return {**found, "severity": severity} if cls.severities else found

    @classmethod
    def _ranges(cls, key: str) -> bool:
        return key == cls.level or get_type_hints(cls)[key] is float

    @classmethod
    def _without_severity(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        rest = dict(params)
        if "severity" not in rest or not cls.severities:
            return rest
        severity = rest.pop("severity")
        if type(severity) is not int or not 1 <= severity <= len(cls.severities):
            raise FieldError(
                f"must be a whole number from 1 to {len(cls.severities)}; got {shorten(severity)}", ("severity",)
            )
        if cls.level in rest:
            raise FieldError(f"give severity or {cls.level}, not both", ("severity",))
        return {**rest, cls.level: cls.severities[severity - 1]}


noises: Registry[Noise] = Registry("noise", Noise)


def _levels(span: Range, draw: Draw, whole: bool) -> "torch.Tensor":
    if whole:
        return (span.low + draw.uniform((1, 1, 1)) * (span.high - span.low + 1)).floor().clamp(max=span.high)
    return span.low + draw.uniform((1, 1, 1)) * (span.high - span.low)


def _range(value: Mapping[str, Any], key: str) -> Range:
    ends = value.get("range")
    if set(value) != {"range"} or not isinstance(ends, list | tuple) or len(ends) != 2:
        raise FieldError(f"expected a value or {{range: [low, high]}}; got {shorten(dict(value))}", (key,))
    low, high = ends
    if any(type(end) not in (int, float) for end in ends) or not low <= high:
        raise FieldError(f"a range needs two numbers, the lower first; got {shorten(ends)}", (key, "range"))
    return Range(low, high)


def _or_range(schema: dict[str, Any]) -> dict[str, Any]:
    ends = {"range": {"type": "array", "items": schema, "minItems": 2, "maxItems": 2}}
    drawn = {"type": "object", "properties": ends, "required": ["range"], "additionalProperties": False}
    return {"anyOf": [schema, drawn]}


def site_shape(images: "torch.Tensor", per: str) -> tuple[int, ...]:
    """The shape of one image's sites, which a noise hits or spares: (C, H, W) per element, (1, H, W) per pixel."""
    channels, height, width = images.shape[1:]
    return (1 if per == "pixel" else channels, height, width)
