"""What contenders cost to use, as `bench measure` has measured it."""

from collections.abc import Mapping
from typing import Any

from bench.results.files import read_json
from bench.results.store import Store

COSTS = "costs.json"  # among the tables
NOISY = 0.1  # of a latency, between quartiles of its rounds, from which on the machine was too busy
COLUMNS = {"latency_ms": "latency_ms", "latency_spread": "spread", "peak_memory_mb": "peak_memory_mb",
           "energy_wh": "energy_wh"}  # fmt: skip


def costs_of(store: Store) -> Mapping[str, Mapping[str, Any]]:
    """The columns of results.csv that were measured, by the label of the model; nothing where none was."""
    found = read_json(store.root / "tables" / COSTS) or {}
    return {name: {column: cost.get(key) for column, key in COLUMNS.items()} for name, cost in found.items()}
