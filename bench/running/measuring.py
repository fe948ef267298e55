"""What each contender of a results folder costs to use: latency and energy in turn, memory in a process of its own."""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from bench.core import meters
from bench.core.errors import BenchError
from bench.core.lazy import torch
from bench.core.plugins import load_plugins
from bench.models import as_fitted
from bench.results.costs import COSTS
from bench.results.files import as_json
from bench.results.records import PlannedCell, RunPlan
from bench.results.store import Store
from bench.spec.cells import Cell
from bench.spec.protocol import CHUNK
from bench.training import inference
from bench.training.ensemble import restore
from bench.training.inference import Inference, Subject
from bench.training.score import network_of


@dataclass(frozen=True)
class Contestant:
    """A contender that can be measured: what rebuilds its denoiser in any process."""

    name: str
    cell: Mapping[str, Any]
    weights: Mapping[str, np.ndarray] | None
    fitted: str
    size: int
    ensemble: int

    def subject(self) -> Subject:
        """Its denoiser."""
        cell = Cell.from_node(self.cell)
        cell = replace(cell, model=as_fitted(cell.model, self.fitted)) if self.fitted else cell
        device = cell.train.device if cell.train else "cpu"
        network = network_of(cell, self.size, self.weights).to(device).to(memory_format=torch.channels_last)
        return Subject(network, self.size, self.ensemble, device)


def contestants(store: Store, plan: RunPlan) -> list[Contestant]:
    """The contenders of a results folder that are finished, each model once, whatever its noise and seed."""
    found: dict[str, Contestant] = {}
    for cell in plan.cells:
        name = str(cell.contender.model)
        if name not in found and (one := _contestant(store, cell, name)) is not None:
            found[name] = one
    if not found:
        raise BenchError(f"{store.root} holds nothing to measure: no cell is finished")
    return list(found.values())


def measure(
    store: Store, given: list[Contestant], plugins: tuple[str, ...], told: Callable[[str], None]
) -> dict[str, Inference]:
    """Measure contenders, write what they cost into a results folder, and return it by name. told: what goes on."""
    told(f"peak memory of {len(given)} denoisers, each in a process of its own")
    memory = {one.name: _apart(one, plugins) for one in given}
    torch.set_num_threads(1)
    subjects = [one.subject() for one in given]
    found = inference.interleaved(
        subjects, inference.ROUNDS, lambda done: told(f"latency, round {done} of {inference.ROUNDS}")
    )
    costs = {one.name: cost for one, cost in zip(given, found, strict=True)}
    nodes = {name: {**asdict(cost), "peak_memory_mb": memory[name]} for name, cost in costs.items()}
    store.write_table(COSTS, as_json(nodes))
    return costs


def _contestant(store: Store, cell: PlannedCell, name: str) -> Contestant | None:
    folder = store.cell(cell.id)
    record, scores = folder.record(), [folder.score(test.stored_as(cell.ensemble)) for test in cell.tests]
    if record is None or not any(scores) or "outside" in record["cell"]["model"]:
        return None
    fitted = next((score.get("fitted") or "" for score in scores if score), "")
    return Contestant(name, record["cell"], folder.weights(), fitted, record["size"], cell.ensemble)


def _apart(one: Contestant, plugins: tuple[str, ...]) -> float | None:
    """The most memory of a process that restores a chunk of images, or on a GPU of the device, in MB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_of, one, plugins).result()


def peak_of(one: Contestant, plugins: tuple[str, ...]) -> float | None:
    """The same, in this process."""
    load_plugins(plugins)
    torch.set_num_threads(1)
    subject = one.subject()
    with torch.inference_mode():
        restore(subject.network, inference.chunk(subject, CHUNK), subject.ensemble)
    if subject.device == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 1e6
    return meters.peak_memory()
