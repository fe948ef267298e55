"""Published figures to stand beside: what others report on CIFAR-10, under which protocol, and how far to trust it."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from annotated_types import MinLen

from bench.core.settings import Settings
from bench.spec.yaml12 import read

FILE = "published.yaml"


@dataclass(frozen=True)
class Published(Settings):
    """One method's figures under one noise, on CIFAR-10's test images of 32x32 pixels.

    kind: a trained network, the best linear denoiser, or a reference near the limit of what is possible.
    levels: of the noise. psnr, ssim: at each of them, in dB; without ssim where it is not given.
    clipped: whether the corrupted images were clipped to [0, 1].
    pooled: whether it is the PSNR of the mean error over all images, not the mean over images; None where unknown.
    images: how many were tested on; None where they were not test images.
    source: who found it, and where. trust: how far it can be relied on.
    """

    method: str
    kind: Literal["network", "linear", "limit"]
    noise: str
    levels: Annotated[tuple[float, ...], MinLen(1)]
    psnr: tuple[float, ...]
    clipped: bool
    pooled: bool | None
    images: int | None
    source: str
    trust: str
    ssim: tuple[float, ...] = ()

    def at(self, level: float) -> float | None:
        """The PSNR at a level; None where there is none."""
        return dict(zip(self.levels, self.psnr, strict=True)).get(level)

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        mean = {True: "pooled", False: "mean over images", None: "mean unknown"}[self.pooled]
        tested = f"{self.images:,} test images" if self.images else "not on test images"
        return f"noise {'clipped' if self.clipped else 'unclipped'}, {mean}, {tested}"


@cache
def published() -> tuple[Published, ...]:
    """Every published figure that the package knows, in the order of its file."""
    text = resources.files("bench.report").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(Published.from_params(entry) for entry in read(text, FILE).value["figures"])
