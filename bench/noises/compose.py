"""Several noises, one after the other."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MinLen

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

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        for position, noise in enumerate(self.of):
            images = noise.apply(images, draw.fork(position))
        return images
