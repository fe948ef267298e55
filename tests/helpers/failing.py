"""A plug-in of models that fail, each in its own way, and one that doesn't."""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bench.models import TrainableModel, models
from bench.noises import Noise, noises


class Doing(nn.Module):
    """One convolution; what happens to a batch in between is up to the model."""

    def __init__(self, model: "Failing") -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.during(self.convolution(images), self.training)


@dataclass(frozen=True)
class Failing(TrainableModel):
    """A convolution."""

    def build(self, size: int) -> nn.Module:
        return Doing(self)

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        return images


@models.register("fine")
@dataclass(frozen=True)
class Fine(Failing):
    """Works."""


@models.register("raises")
@dataclass(frozen=True)
class Raises(Failing):
    """Raises an error of its own."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        raise Unheard("no such luck\nand more about it")


class Unheard(Exception):
    """Known to this plug-in only."""


@models.register("unbuilt")
@dataclass(frozen=True)
class Unbuilt(Failing):
    """Can't even be built."""

    def build(self, size: int) -> nn.Module:
        raise RuntimeError("no plan")


@models.register("greedy")
@dataclass(frozen=True)
class Greedy(Failing):
    """Runs out of memory."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        if training:
            before = resource.getrlimit(resource.RLIMIT_AS)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))
            try:
                return images + torch.ones(2**30).sum()
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        return images


@models.register("dying")
@dataclass(frozen=True)
class Dying(Failing):
    """Takes its process with it."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        if training:
            os._exit(9)
        return images


@models.register("infinite")
@dataclass(frozen=True)
class Infinite(Failing):
    """Trains, and makes no numbers when it is used."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        return images if training or len(images) < 100 else images / 0


@models.register("slow")
@dataclass(frozen=True)
class Slow(Failing):
    """Does not come back for a long time."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        if training:
            time.sleep(600)
        return images


@models.register("loud")
@dataclass(frozen=True)
class Loud(Failing):
    """Says much."""

    def during(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        print("all that nobody asked for " * 40_000)  # a megabyte
        return images


@noises.register("unusable")
@dataclass(frozen=True)
class Unusable(Noise):
    """Fails when it is applied."""

    def corrupt(self, images: torch.Tensor, draw: object) -> torch.Tensor:
        raise ValueError("not today")
