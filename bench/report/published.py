"""Published figures to stand beside: what others report on CIFAR-10, under which protocol, and how far to trust it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from bench.core.lazy import pandas
from bench.core.settings import Settings
from bench.metrics import Measure
from bench.noises import noises
from bench.results.noise_tests import PROTOCOL, NoiseTest
from bench.results.records import RunPlan
from bench.results.summary import Summary
from bench.spec.yaml12 import read

FILE = "published.yaml"
CIFAR10, SIZE = "cifar10", 32  # the data that the figures are of, and its images' width
METRIC = "psnr"  # column of the metric that they are compared by
LINES = ("linear", "limit")  # kinds that figures draw as lines


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

    def corrupting(self, level: float) -> str:
        """The label of its noise at a level, all other keys at their defaults."""
        return noises.parse({self.noise: {noises[self.noise].level: level}}).label(without=PROTOCOL)

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        mean = {True: "pooled", False: "mean over images", None: "mean unknown"}[self.pooled]
        tested = f"{self.images:,} test images" if self.images else "not on test images"
        return f"noise {'clipped' if self.clipped else 'unclipped'}, {mean}, {tested}"


@dataclass(frozen=True)
class Beside:
    """A published figure beside a test noise of a run: of the same noise at the same level.

    psnr: in dB. differs: what of its protocol is not as in the run.
    """

    test: NoiseTest
    figure: Published
    psnr: float
    differs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The method, and that it is near the limit where it is."""
        return self.figure.method + (" (near the limit)" if self.figure.kind == "limit" else "")


@cache
def published() -> tuple[Published, ...]:
    """Every published figure that the package knows, in the order of its file."""
    return tuple(Published.from_params(entry) for entry in _file()["figures"])


@cache
def _file() -> dict[str, Any]:
    text = resources.files("bench.report").joinpath(FILE).read_text(encoding="utf-8")
    found: dict[str, Any] = read(text, FILE).value
    return found


def beside(plan: RunPlan) -> tuple[Beside, ...]:
    """The published figures of a run's test noises; none where its test images are not CIFAR-10's at their size."""
    named = plan.data.get("name") == CIFAR10 and not plan.stand_in_for
    if plan.data["size"] != SIZE or not (named or plan.digests.get("test") in _file()["images"]):
        return ()
    return tuple(
        Beside(test, figure, psnr, tuple(_differences(figure, test, plan.data["test"])))
        for test in plan.tests
        if test.on_test_images and test.level is not None
        for figure in published()
        if (psnr := figure.at(test.level)) is not None and test.match == figure.corrupting(test.level)
    )


def _differences(figure: Published, test: NoiseTest, images: int) -> Iterator[str]:
    if figure.clipped != test.protocol.get("clip", True):
        yield f"noise {'clipped' if figure.clipped else 'unclipped'}"
    if test.protocol.get("quantize"):
        yield "noise not rounded"
    if figure.pooled is not False:
        yield "pooled" if figure.pooled else "mean unknown"
    if figure.images != images:
        yield f"{figure.images:,} test images" if figure.images else "not on test images"


def lines(known: Sequence[Beside]) -> dict[str, dict[str, Beside]]:
    """What figures draw as lines, by name and test id: of each kind the figure whose protocol differs least."""
    found: dict[str, dict[str, Beside]] = {}
    for one in sorted(known, key=lambda one: (one.figure.kind, len(one.differs))):
        if one.figure.kind in LINES:
            found.setdefault(one.name, {}).setdefault(one.test.id, one)
    return found


def said(known: Sequence[Beside]) -> str:
    """What the lines are and how they were measured, in a sentence; empty without any."""
    parts = [
        f"{name} ({' or '.join(dict.fromkeys(one.figure.protocol for one in tests.values()))})"
        for name, tests in lines(known).items()
    ]
    return f"Published lines: {'; '.join(parts)}." if parts else ""


def table(known: Sequence[Beside], summaries: Sequence[Summary], metric: Measure) -> "pandas.DataFrame":
    """Published figures and those of the run, the best of each test noise first. metric: PSNR.

    The pooled PSNR is that of the mean squared error over all images, and seeds.
    """
    rows = []
    for test in dict.fromkeys(one.test for one in known):
        found = [_ours(one, metric) for one in summaries if one.test == test and one.scored]
        found += [_row(one) for one in known if one.test == test]
        rows += sorted(found, key=lambda row: -max((value for value in row[2:4] if not math.isnan(value)), default=0.0))
    columns = ["test_noise", "method", "psnr", "pooled_psnr", "differs", "source", "trust"]
    return pandas.DataFrame(rows, columns=columns)


def _ours(summary: Summary, metric: Measure) -> list[Any]:
    who, error = summary.contender, summary.error(metric)
    pooled = -10 * math.log10(error) if error else math.inf
    name = who.with_settings() if who.train_noise == summary.test.label else str(who)
    return [str(summary.test.label), name, summary.mean(metric), pooled, "", "this run", ""]


def _row(one: Beside) -> list[Any]:
    psnr = (math.nan, one.psnr) if one.figure.pooled else (one.psnr, math.nan)
    other = [difference for difference in one.differs if difference != "pooled"]
    return [str(one.test.label), one.name, *psnr, ", ".join(other), one.figure.source, one.figure.trust]
