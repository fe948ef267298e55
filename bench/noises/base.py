"""Corruptions of images, one small class each.

Every noise maps clean images, float32 (N, 3, H, W) in [0, 1], to corrupted ones of the same shape and type, vectorised
over the batch. Its randomness comes from a `Draw`, so the same image meets the same noise in every batch.
A field may hold one level for all images or a `Range`: then `corrupt` sees that field as a (N, 1, 1, 1) tensor.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self, get_type_hints

import numpy as np
from annotated_types import Ge, Le, MinLen
from PIL import Image

from bench.core.errors import FieldError, shorten
from bench.core.images import to_float, to_uint8
from bench.core.lazy import torch
from bench.core.registry import Range, Registered, Registry
from bench.core.rng import Draw
from bench.noises._quantiles import poisson_quantile

Probability = Annotated[float, Ge(0), Le(1)]
NonNegative = Annotated[float, Ge(0)]
Sites = Literal["element", "pixel"]
WIDEST_BLUR = 10.0


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


@noises.register("gaussian")
@dataclass(frozen=True)
class Gaussian(Noise):
    """Additive white Gaussian noise, y = x + sigma * n with n ~ N(0, 1) per element.

    sigma: standard deviation on the [0, 1] scale, >= 0.
    Source: the usual AWGN model; severities of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv:1903.12261).
    """

    level = "sigma"
    severities = (0.04, 0.06, 0.08, 0.09, 0.10)
    sigma: NonNegative = 0.1

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.sigma * draw.normal()


@noises.register("masking")
@dataclass(frozen=True)
class Masking(Noise):
    """Masking noise: each site is set to `fill` with probability p.

    p: share of sites masked, in [0, 1].
    fill: the value they take, in [0, 1].
    per: `element` masks channels independently, `pixel` all channels of a pixel together.
    Source: Vincent et al. 2010, JMLR 11:3371 (elements, fill 0).
    """

    level = "p"
    p: Probability = 0.25
    fill: Probability = 0.0
    per: Sites = "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return torch.where(draw.uniform(_site(images, self.per)) < self.p, self.fill, images)


@noises.register("salt_and_pepper")
@dataclass(frozen=True)
class SaltAndPepper(Noise):
    """Salt-and-pepper noise: each site becomes 1 or 0 with probability p.

    p: share of sites hit, in [0, 1].
    salt: share of the hit sites that become 1, in [0, 1].
    per: `element` hits channels independently, `pixel` all channels of a pixel together.
    Source: Vincent et al. 2010, JMLR 11:3371; CIFAR-10-C calls it impulse noise and hits elements.
    """

    level = "p"
    severities = (0.01, 0.02, 0.03, 0.05, 0.07)
    p: Probability = 0.1
    salt: Probability = 0.5
    per: Sites = "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        site = _site(images, self.per)
        hit = draw.uniform(site) < self.p
        value = (draw.uniform(site) < self.salt).to(images.dtype)
        return torch.where(hit, value, images)


@noises.register("impulse")
@dataclass(frozen=True)
class Impulse(Noise):
    """Random-valued impulse noise: each site takes a value uniform in [0, 1) with probability p.

    p: share of sites hit, in [0, 1].
    per: `element` hits channels independently, `pixel` all channels of a pixel together (each with its own value).
    Source: Bovik 2005, Handbook of Image and Video Processing, ch. 4.5.
    """

    level = "p"
    p: Probability = 0.1
    per: Sites = "element"

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return torch.where(draw.uniform(_site(images, self.per)) < self.p, draw.uniform(), images)


@noises.register("poisson")
@dataclass(frozen=True)
class Poisson(Noise):
    """Shot noise: y = Poisson(peak * x) / peak per element.

    peak: expected count of photons at intensity 1, from 1 to 100,000; fewer photons, more noise.
    Source: the photon-counting model; severities of CIFAR-10-C's shot noise (Hendrycks & Dietterich 2019).
    """

    level = "peak"
    severities = (500.0, 250.0, 100.0, 75.0, 50.0)
    peak: Annotated[float, Ge(1), Le(100_000)] = 100.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return poisson_quantile(images * self.peak, draw.normal()) / self.peak


@noises.register("speckle")
@dataclass(frozen=True)
class Speckle(Noise):
    """Multiplicative Gaussian noise, y = x + sigma * x * n with n ~ N(0, 1) per element.

    sigma: standard deviation relative to the intensity, >= 0.
    Source: skimage.util.random_noise(mode="speckle"); severities of CIFAR-10-C (Hendrycks & Dietterich 2019).
    """

    level = "sigma"
    severities = (0.06, 0.10, 0.12, 0.16, 0.20)
    sigma: NonNegative = 0.15

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.sigma * images * draw.normal()


@noises.register("uniform")
@dataclass(frozen=True)
class Uniform(Noise):
    """Additive uniform noise, y = x + u with u uniform in [-amplitude, amplitude) per element.

    amplitude: half the width of the interval on the [0, 1] scale, >= 0; the standard deviation is amplitude / sqrt(3).
    Source: Gonzalez & Woods 2018, Digital Image Processing, 4th ed., section 5.2.
    """

    level = "amplitude"
    amplitude: NonNegative = 0.2

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        return images + self.amplitude * (2 * draw.uniform() - 1)


@noises.register("blur")
@dataclass(frozen=True)
class Blur(Noise):
    """Gaussian blur, edges extended by their nearest pixel.

    sigma: standard deviation of the kernel in pixels, from 0 to 10; the kernel is cut at 4 sigma.
    Source: skimage.filters.gaussian(mode="nearest", truncate=4); severities of CIFAR-10-C's gaussian_blur.
    """

    level = "sigma"
    severities = (0.4, 0.6, 0.7, 0.8, 1.0)
    sigma: Annotated[float, Ge(0), Le(WIDEST_BLUR)] = 1.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        sigma = torch.as_tensor(self.sigma, dtype=torch.float64, device=images.device).reshape(-1, 1)
        down, across = (_blur_matrix(side, sigma).float().unsqueeze(1) for side in images.shape[2:])
        return down @ images @ across.transpose(-1, -2)


@noises.register("jpeg")
@dataclass(frozen=True)
class Jpeg(Noise):
    """JPEG compression and decompression, chroma subsampled 4:2:0, as Pillow does it.

    quality: from 1 (worst) to 100.
    Source: ITU-T T.81; severities of CIFAR-10-C's jpeg_compression (Hendrycks & Dietterich 2019).
    """

    level = "quality"
    severities = (80, 65, 58, 50, 40)
    quality: Annotated[int, Ge(1), Le(100)] = 50

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        pictures = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
        quality = np.broadcast_to(np.asarray(torch.as_tensor(self.quality).cpu()).reshape(-1), len(pictures))
        coded = [_through_jpeg(picture, int(level)) for picture, level in zip(pictures, quality, strict=True)]
        return to_float(torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).contiguous().to(images.device))


@noises.register("block_masking")
@dataclass(frozen=True)
class BlockMasking(Noise):
    """Patches of a regular grid are set to `fill`, each with probability p.

    p: share of patches masked, in [0, 1].
    block: side of a patch in pixels; patches at the right and lower border may be cut.
    fill: the value they take, in [0, 1].
    Source: He et al. 2022, Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377 (patch masking).
    """

    level = "p"
    p: Probability = 0.25
    block: Annotated[int, Ge(1), Le(512)] = 8
    fill: Probability = 0.0

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        height, width = images.shape[2:]
        cells = draw.uniform((1, -(-height // self.block), -(-width // self.block))) < self.p
        mask = cells.repeat_interleave(self.block, 2).repeat_interleave(self.block, 3)[:, :, :height, :width]
        return torch.where(mask, self.fill, images)


@noises.register("compose")
@dataclass(frozen=True)
class Compose(Noise):
    """Several noises, one after the other; each clips and rounds by its own keys.

    of: the noises, first applied first.
    Source: torchvision.transforms.Compose, for the name.
    """

    of: Annotated[tuple[Noise, ...], MinLen(1)] = (Gaussian(), Masking())

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        for position, noise in enumerate(self.of):
            images = noise.apply(images, draw.fork(position))
        return images


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


def _site(images: "torch.Tensor", per: str) -> tuple[int, ...]:
    channels, height, width = images.shape[1:]
    return (1 if per == "pixel" else channels, height, width)


def _blur_matrix(side: int, sigma: "torch.Tensor") -> "torch.Tensor":
    """(K, side, side) matrices that blur a line; sigma: (K, 1) float64."""
    # One reach for every sigma: a batch's widest kernel would change the rounding of the others.
    reach = int(4 * WIDEST_BLUR + 0.5)
    offsets = torch.arange(-reach, reach + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-6)) ** 2)
    weights = weights * (offsets.abs() <= (4 * sigma + 0.5).floor())
    weights = weights / weights.sum(1, keepdim=True)
    lines = torch.arange(side, device=sigma.device)
    sources = (lines[:, None] + offsets).clamp(0, side - 1).expand(len(sigma), -1, -1)
    matrix = weights.new_zeros(len(sigma), side, side)
    return matrix.scatter_add_(2, sources, weights[:, None, :].expand(-1, side, -1))


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    coded = io.BytesIO()
    Image.fromarray(picture).save(coded, "JPEG", quality=quality)
    return np.asarray(Image.open(coded))
