"""Several noises, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from annotated_types import MinLen

from bench.core.errors import FieldError
from bench.core.lazy import torch
from bench.core.rng import Draw
from bench.noises.base import Noise, noises
from bench.noises.gaussian import Gaussian
from bench.noises.masking import Masking


@noises.register("compose")
@dataclass(frozen=True)
class Compose(Noise):
    """Several noises, one after the other; each clips and rounds by its own keys.

    of: the noises, in the order they are applied.
    Source: torchvision.transforms.Compose, for the name.
    """

    of: Annotated[tuple[Noise, ...], MinLen(1)] = (Gaussian(), Masking())

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError for keys of a part that only the whole can have."""
        found = super().from_params(params)
        for position, noise in enumerate(found.of):
            for key, default in (("fresh", True), ("split", "test")):
                if getattr(noise, key) != default:
                    raise FieldError(
                        f"{key} has no effect inside compose: write it beside `of`, for the noises together",
                        ("of", position, noise.name, key),
                    )
        return found

    @property
    def smallest(self) -> int:
        return max(noise.smallest for noise in self.of)

    @property
    def unbiased(self) -> bool:
        return all(noise.unbiased for noise in self.of)

    @property
    def per_channel(self) -> bool:
        return all(noise.per_channel for noise in self.of)

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        for position, noise in enumerate(self.of):
            images = noise.apply(images, draw.fork(position))
        return images
