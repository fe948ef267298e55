"""What a worker of a cluster is and does: it says what it is, takes what a run needs, and performs units.

Only the package has to be there: images and plug-ins come with the run, once, and are verified.
"""

import hashlib
import pickle
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bench.core import machine, sources
from bench.core.errors import BenchError, DataError
from bench.core.modules import Modules
from bench.core.plugins import load_plugins
from bench.core.sources import Module
from bench.datasets import Data, cache, datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises

REGISTRIES = (noises, models, datasets, metrics)
GPU = "GPU"  # what Dask's workers call theirs: `dask worker --resources GPU=1`
NAME = "noise-bench"


class NotShipped(Exception):
    """A worker was asked for a unit of a run that it knows nothing of: it has been started again since."""


class Refused(BenchError):
    """A worker that can't take part, and why."""


class Facts(NamedTuple):
    """What a worker is. versions: of what results depend on, in words. images: whether its cache holds those of a run.

    ready: whether it has what the run needs. gpus: how many it offers.
    """

    host: str
    versions: Mapping[str, str]
    images: bool
    ready: bool
    gpus: float


@dataclass(frozen=True)
class Shipment:
    """What a run needs beside the package.

    run: its id. plugins: names of modules to import. modules: these, and what belongs to them. installed: whether
    plug-ins of installed packages are used. parts: the code of each class in use, as `model conv`.
    identity, label: of the dataset. images: its arrays by part; None where the worker has them. made: how often what
    was done to pictures to make them.
    checksums: of modules and arrays, by name.
    """

    run: str
    plugins: tuple[str, ...]
    modules: tuple[Module, ...]
    installed: bool
    parts: Mapping[str, str]
    identity: Mapping[str, Any]
    label: str
    checksums: Mapping[str, str]
    made: Mapping[str, int]
    images: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class _Run:
    """What was taken for one run."""

    modules: Modules
    data: Data


RUNS: dict[str, _Run] = {}
BUSY = threading.RLock()  # torch's generator and its number of threads are those of the whole process


def versions() -> dict[str, str]:
    """What has to be the same on all machines of a run."""
    code = f"{machine.installed(NAME)}, code {sources.of_this_package()}"
    return {NAME: code, "torch": str(machine.installed("torch"))}


def greet(run: str, identity: Mapping[str, Any], dask_worker: Any = None) -> Facts:
    """What this worker is; Dask gives it itself."""
    resources = getattr(getattr(dask_worker, "state", None), "total_resources", None) or {}
    ready = run in RUNS
    has_images = ready or cache.opened(identity) is not None
    return Facts(platform.node(), versions(), has_images, ready, float(resources.get(GPU, 0)))


def take(shipment: Shipment) -> None:
    """Verify what a run needs and keep it. Raises Refused where this worker can't take part."""
    with BUSY:
        forget(shipment.run)
        content = {module.name: module.content for module in shipment.modules}
        content |= {part: array.tobytes() for part, array in (shipment.images or {}).items()}
        if damaged := [name for name, data in content.items() if checksum(data) != shipment.checksums[name]]:
            raise Refused(f"{', '.join(damaged)} came damaged")
        modules = Modules(shipment.modules, REGISTRIES)
        try:
            if shipment.installed:
                load_plugins(())
            modules.load(shipment.plugins)
            _check(shipment)
        except Exception as error:
            modules.forget()
            raise Refused(str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}") from None
        RUNS[shipment.run] = _Run(modules, _images(shipment))


def forget(run: str) -> None:
    """Drop what was taken for a run."""
    with BUSY:
        if found := RUNS.pop(run, None):
            found.modules.forget()


def data(run: str) -> Data:
    """The images of a run."""
    return RUNS[run].data


def perform(run: str, calls: bytes) -> list[tuple[bytes, float]]:
    """Perform units of a run, as `guarded_each` does. Raises NotShipped where nothing is known of it."""
    with BUSY:
        if run not in RUNS:
            raise NotShipped(run)
        RUNS[run].modules.place()
        return guarded_each(calls)


def guarded(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What a function returns; what it raises can be read in any process."""
    try:
        return function(*arguments)
    except Exception as error:
        failure = _portable(error)
    raise failure  # here, where it brings no other along


def guarded_each(calls: bytes) -> list[tuple[bytes, float]]:
    """What each of some pickled functions returns or raises, as a pickled pair, and the seconds it took.

    As bytes, since Dask takes objects with many arrays apart: for brief units that costs more than they do.
    """
    found = []
    for function, arguments in pickle.loads(calls):
        started = time.perf_counter()
        try:
            outcome = pickle.dumps((guarded(function, arguments), None), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # of the unit, or what it returns can't be pickled
            outcome = pickle.dumps((None, _portable(error)))
        found.append((outcome, time.perf_counter() - started))
    return found


def checksum(content: bytes) -> str:
    """Of something that is shipped."""
    return hashlib.sha256(content).hexdigest()


def _check(shipment: Shipment) -> None:
    """Raise Refused where a class has other code here than there; what was shipped has been verified already."""
    kinds = {registry.kind: registry for registry in REGISTRIES}
    shipped = {module.name for module in shipment.modules}
    other = []
    for part, code in shipment.parts.items():
        kind, _, name = part.partition(" ")
        registry, name = kinds[kind], name.partition("(")[0]
        if name not in registry:
            other.append(f"{part} is not registered there")
        elif registry[name].__module__ not in shipped and sources.code_of(registry[name]) != code:
            other.append(f"{part} is other code there")
    if other:
        raise Refused("; ".join(other))


def _images(shipment: Shipment) -> Data:
    """The images, from this worker's cache if it has them or can keep them."""
    entry = cache.opened(shipment.identity)
    if entry is None:
        images = shipment.images
        if images is None:
            raise Refused("its cache of images was damaged meanwhile")

        def fill(arrays: Mapping[str, np.ndarray]) -> Counter[str]:
            for part, array in arrays.items():
                array[:] = images[part]
            return Counter(shipment.made)

        try:
            shapes = {part: array.shape for part, array in images.items()}
            entry = cache.fetch(shipment.identity, shapes, fill)
        except DataError:  # nothing can be written here
            return Data(**images, label=shipment.label)
    return Data(**entry.arrays, label=shipment.label)


def _portable(error: Exception) -> Exception:
    """An error as it can travel: what can't be pickled, or not be read again, as its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # any class of error may pickle by code of its own
        return BenchError(f"{type(error).__name__}: {error}")
    return error
