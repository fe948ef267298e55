"""A worker that has nothing but the package: it verifies what it is sent, and tells the code of two runs apart."""

import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.core.errors import BenchError, DataError
from bench.core.rng import Draw
from bench.core.sources import Module
from bench.datasets import cache
from bench.noises import noises
from bench.training import shipped
from bench.training.shipped import NotShipped, Refused, Shipment
from tests.core.test_plugins import STRIPES

IMAGES = {part: np.full((2, 3, 8, 8), number, np.uint8) for number, part in enumerate(("train", "validation", "test"))}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(tmp_path / "cache"))
    yield
    for run in list(shipped.RUNS):
        shipped.forget(run)


def shipment(run: str, strength: float, parts: dict[str, str] | None = None) -> Shipment:
    """A plug-in in two modules, and images."""
    code = STRIPES.replace("stripes", "shipped").replace(
        "from bench.noises", "from shipped_helpers.values import STRENGTH\nfrom bench.noises"
    )
    modules = (
        Module("bench_plugin_shipped", code.replace("1 - self.strength", "1 - STRENGTH").encode(), False),
        Module("shipped_helpers.values", f"STRENGTH = {strength}\n".encode(), False),
    )
    checksums = {module.name: shipped.checksum(module.content) for module in modules}
    checksums |= {part: shipped.checksum(array.tobytes()) for part, array in IMAGES.items()}
    return Shipment(
        run, ("bench_plugin_shipped",), modules, False, parts or {}, {"of": run}, "made up", checksums, {}, IMAGES
    )


def brightness() -> float:
    """Of white images under the noise that is shipped."""
    white = torch.ones(1, 3, 4, 4)
    return noises.parse("shipped").corrupt(white, Draw((1, 3, 4, 4), 0, (), torch.arange(1))).mean().item()


def performed(run: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker that performs one unit of a run gives back."""
    ((outcome, seconds),) = shipped.perform(run, pickle.dumps([(function, arguments)]))
    result, error = pickle.loads(outcome)
    assert seconds >= 0
    if error:
        raise error
    return result


def test_each_run_has_its_own_code_and_leaves_nothing() -> None:
    before = set(noises), set(sys.modules)
    shipped.take(shipment("a", 0.5))
    shipped.take(shipment("b", 0.25))
    found = [performed(run, brightness) for run in ("a", "b", "a", "b")]
    assert found == [0.75, 0.875, 0.75, 0.875]
    for run in ("a", "b"):
        shipped.forget(run)
    assert (set(noises), set(sys.modules) - before[1]) == (before[0], set())
    with pytest.raises(NotShipped):
        performed("a", brightness)


def test_images_are_kept_in_the_cache_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    given = shipment("a", 0.5)
    assert not shipped.greet("a", given.identity).images
    shipped.take(given)
    again = shipped.greet("other", given.identity)
    assert again.images and not again.ready and shipped.greet("a", given.identity).ready
    shipped.take(replace(given, images=None))
    assert all((getattr(shipped.data("a"), part) == IMAGES[part]).all() for part in IMAGES)

    def full(*arguments: Any) -> Any:
        raise DataError("no room")

    monkeypatch.setattr(cache, "fetch", full)
    shipped.take(replace(given, identity={"of": "others"}))
    assert (shipped.data("a").test == 2).all()


@pytest.mark.parametrize("name", ["test", "shipped_helpers.values"])
def test_what_comes_damaged_is_refused(name: str) -> None:
    given = shipment("a", 0.5)
    with pytest.raises(Refused, match=f"^{name} came damaged$"):
        shipped.take(replace(given, checksums={**given.checksums, name: "0"}))
    assert "shipped" not in noises and not shipped.RUNS


def test_other_registered_classes_are_refused() -> None:
    parts = {"noise gaussian": "7", "model nothing": "1", "noise shipped": "any", "metric psnr": "1"}
    with pytest.raises(Refused, match=r"^noise gaussian is other code there; model nothing is not registered there$"):
        shipped.take(shipment("a", 0.5, parts))


def raising(kind: str) -> None:
    class Local(Exception):
        """One that no other process knows."""

    raise {"local": Local("too bad"), "known": ValueError("wrong")}[kind]


def test_an_error_that_can_not_travel_travels_as_text() -> None:
    shipped.take(shipment("a", 0.5))
    with pytest.raises(BenchError, match=r"^Local: too bad$"):
        performed("a", raising, "local")
    with pytest.raises(ValueError, match=r"^wrong$"):
        performed("a", raising, "known")
