"""What a noise is: a class that a spec names, which corrupts batches of images.

Every noise maps clean images, float32 (N, 3, H, W) in [0, 1], to corrupted ones of the same shape and type, vectorised
over the batch. Its randomness comes from a `Draw`, so an image gets the same noise in every batch.
A level is one value for all images or a `Range`; of a range, `corrupt` sees the levels drawn, a tensor (N, 1, 1, 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_type_hints

from annotated_types import Ge, Le

from bench.core.errors import FieldError
from bench.core.images import to_float, to_uint8
from bench.core.lazy import torch
from bench.core.registry import Registered, Registry
from bench.core.rng import Draw
from bench.core.validation import EIGHT_BITS, PERCENT
from bench.noises._levels import Range, parse_range, range_schema, replace_severity, severity_schema

Probability = Annotated[float, Ge(0), Le(1), PERCENT]
Intensity = Annotated[float, Ge(0), Le(1), EIGHT_BITS]
Spread = Annotated[float, Ge(0), Le(2), EIGHT_BITS]  # of noise; at 2 hardly anything of an image in [0, 1] is left
Sites = Literal["element", "pixel"]


@dataclass(frozen=True)
class Noise(Registered):
    """A corruption of images.

    clip: clip the corrupted image to [0, 1].
    quantize: then round it to 8 bits, as saving a picture does.
    fresh: draw new noise in every epoch of training; if false, each image keeps the same noise throughout.
    split: for test noises: the images to score on. `train`, compared with `test`, shows what a model has memorised.
    """

    level: ClassVar[str] = ""  # the key that sets how strong the noise is
    severities: ClassVar[tuple[float, ...]] = ()  # values of that key for CIFAR-10-C's severities 1-5

    clip: bool = True
    quantize: bool = False
    fresh: bool = True
    split: Literal["test", "validation", "train"] = "test"

    # What training without clean images rests on. Families override these two as properties; a plug-in may write the
    # constant, `unbiased = True`. A noise that doesn't say is taken for one of which it does not hold.

    @property
    def unbiased(self) -> bool:
        """Whether the mean of the corrupted image given the clean one, before clipping, is the clean one."""
        return False

    @property
    def per_channel(self) -> bool:
        """Whether the channels of a pixel are corrupted independently of one another, given the clean image."""
        return False

    def params(self) -> dict[str, Any]:
        """Every field as plain JSON values; `split` only where it isn't `test`, as training has no use for it."""
        return {key: value for key, value in super().params().items() if key != "split" or value != "test"}

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        """The corrupted batch, not yet clipped.

        images: (N, 3, H, W) float32 in [0, 1]; not to be modified in place.
        draw: the batch's randomness.
        """
        raise TypeError(f"noise {self.name!r} must define corrupt(images, draw)")

    def apply(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        """The corrupted batch, float32 (N, 3, H, W), clipped and rounded as the fields say."""
        noisy = self._drawn(draw).corrupt(images, draw)
        if self.clip:
            noisy = noisy.clamp(0, 1)
        return to_float(to_uint8(noisy)) if self.quantize else noisy

    def bias(self) -> float:
        """How far the mean of the corrupted image is from the clean one, clipping included; an estimate.

        The root mean square over flat images whose values are spread evenly over [0, 1]; of an unbiased noise this is
        what clipping does. Within 0.01 times the noise's own deviation.
        """
        values = torch.linspace(0, 1, 101)
        flat = values[:, None, None, None].expand(-1, 3, 64, 64)
        noisy = self.apply(flat, Draw(tuple(flat.shape), 0, ("bias",), torch.arange(len(values))))
        return float((noisy.mean((1, 2, 3)) - values).square().mean().sqrt())

    @property
    def level_value(self) -> float | None:
        """The value of the key `level`; None without such a key, or where it is drawn from a Range."""
        value = getattr(self, self.level) if self.level else None
        return float(value) if isinstance(value, int | float) else None

    def ends(self) -> tuple[Self, Self]:
        """This noise with each range replaced by its low end, and by its high one; twice itself without ranges."""
        spans = {key: span for key in self._levels() if isinstance(span := getattr(self, key), Range)}
        low: dict[str, Any] = {key: span.low for key, span in spans.items()}
        high: dict[str, Any] = {key: span.high for key, span in spans.items()}
        return replace(self, **low), replace(self, **high)

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that YAML may give: the fields, and `severity` where CIFAR-10-C has this noise."""
        return [*cls.field_names(), "severity"] if cls.severities else cls.field_names()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys; also takes `severity: 1..5`, and `{range: [low, high]}` for levels."""
        params = replace_severity(params, cls.level, cls.severities)
        ranges = {key: parse_range(value, key) for key, value in params.items() if isinstance(value, Mapping)}
        for key in ranges:
            if key in cls.field_names() and key not in cls._levels():
                raise FieldError(f"{key} takes one value; a range is drawn for levels only", (key,))
        low = super().from_params({**params, **{key: span.low for key, span in ranges.items()}})
        if low.quantize and not low.clip:
            raise FieldError(
                "8 bits hold nothing beyond [0, 1]: leave out `clip: false` or `quantize: true`", ("quantize",)
            )
        if not ranges:
            return low
        high = super().from_params({**params, **{key: span.high for key, span in ranges.items()}})
        return low._with({key: Range(getattr(low, key), getattr(high, key)) for key in ranges})

    @classmethod
    def key_schemas(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Those of the fields, with ranges for levels, and that of `severity`."""
        found = {key: range_schema(schema) if key in cls._levels() else schema for key, schema in fields.items()}
        return {**found, "severity": severity_schema(cls.level, cls.severities)} if cls.severities else found

    def _drawn(self, draw: Draw) -> Self:
        """This noise with a level for each image in place of each range."""
        levels = {
            key: span.draw(draw.fork(key), whole)
            for key, whole in self._levels().items()
            if isinstance(span := getattr(self, key), Range)
        }
        return self._with(levels) if levels else self

    @classmethod
    @cache  # asked for every batch
    def _levels(cls) -> dict[str, bool]:
        """The keys that a range can be given for, and whether only whole numbers are drawn from it."""
        hints = get_type_hints(cls)
        return {key: hints[key] is int for key in cls.field_names() if key == cls.level or hints[key] is float}

    def _with(self, levels: "Mapping[str, Range | torch.Tensor]") -> Self:
        """This noise with other levels. Their fields are typed as numbers; in arithmetic a tensor works as well."""
        changes: dict[str, Any] = dict(levels)
        return replace(self, **changes)


@dataclass(frozen=True)
class ZeroMean(Noise):
    """Noise around each value, drawn for each on its own, whose mean is the value."""

    @property
    def unbiased(self) -> bool:
        return True

    @property
    def per_channel(self) -> bool:
        return True


noises: Registry[Noise] = Registry("noise", Noise)


def site_shape(images: "torch.Tensor", per: str) -> tuple[int, ...]:
    """The shape of one image's sites, each of which is hit or not: (C, H, W) per element, (1, H, W) per pixel."""
    channels, height, width = images.shape[1:]
    return (1 if per == "pixel" else channels, height, width)
