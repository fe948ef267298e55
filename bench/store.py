"""The results folder, and the only module that writes results: every file whole, a unit's marker last.

experiment.yaml, environment.json, plan.json
cells/ID/cell.json (marker), weights.safetensors, history.csv, card.md
cells/ID/scores/TEST.json (marker), TEST.parquet, TEST.samples.safetensors
tables/, figures/, report.html: derived, rebuilt at any time
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from bench.errors import BenchError
from bench.evaluate import Score
from bench.lazy import pandas
from bench.metrics import mean
from bench.noises import Noise
from bench.plan import Cell, fingerprint, test_id
from bench.train import State

WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
STATE = "state.safetensors"


class DamagedResult(BenchError):
    """A stored file that is not what its marker says."""


class Store:
    """One results folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def cell(self, cell_id: str) -> "CellStore":
        return CellStore(self.root / "cells" / cell_id)

    def begin(self, experiment: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
        """Write what is about to be run."""
        write(self.root / "experiment.yaml", yaml.safe_dump(dict(experiment), sort_keys=False, allow_unicode=True))
        write(self.root / "plan.json", as_json(plan))

    def describe_environment(self, environment: Mapping[str, Any]) -> None:
        write(self.root / "environment.json", as_json(environment))

    def plan(self) -> dict[str, Any]:
        """What this folder was run for. Raises BenchError where nothing was run."""
        found = read_json(self.root / "plan.json")
        if found is None:
            raise BenchError(
                f"{self.root} holds no results: plan.json is missing. Give a folder that `bench run` has written"
            )
        return found

    def environment(self) -> dict[str, Any]:
        return read_json(self.root / "environment.json") or {}

    def write_table(self, name: str, text: str) -> Path:
        return write(self.root / "tables" / name, text)

    def write_figure(self, name: str, content: bytes) -> Path:
        return write(self.root / "figures" / name, content)

    def write_report(self, page: str) -> Path:
        return write(self.root / "report.html", page)


class CellStore:
    """One cell's folder. `finished` is decided by the marker that `finish` writes last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(self) -> dict[str, Any] | None:
        """What is known of the finished cell, or None."""
        found = read_json(self.folder / "cell.json")
        complete = found is not None and all((self.folder / name).exists() for name in found["checksums"])
        return found if complete else None

    @property
    def finished(self) -> bool:
        return self.record() is not None

    def finish(self, cell: Cell, state: State | None, facts: Mapping[str, Any]) -> None:
        """Store a cell that is trained, or needs no training (state None), and forget its intermediate state."""
        checksums = {}
        if state is not None:
            weights = save(state.part("kept"), metadata={"cell": json.dumps(cell.node(), sort_keys=True)})
            history = pandas.DataFrame(list(state.history)).to_csv(index=False, lineterminator="\n")
            for name, content in ((WEIGHTS, weights), (HISTORY, history)):
                write(self.folder / name, content)
                checksums[name] = checksum(self.folder / name)
        record = {"id": cell.id, "cell": cell.node(), "labels": cell.labels(), **facts, "checksums": checksums}
        if state is not None:
            record |= {"epochs": state.epoch, "kept_epoch": state.best_epoch, "train_seconds": state.seconds}
        write(self.folder / "cell.json", as_json(record))
        for leftover in (STATE, "error.json"):
            (self.folder / leftover).unlink(missing_ok=True)

    def weights(self) -> dict[str, np.ndarray] | None:
        """The stored weights, None for a cell without. Raises DamagedResult if they are not what was stored."""
        record = self.record()
        if record is None:
            raise BenchError(f"{self.folder} holds no finished cell: give a folder like results/NAME/cells/ID")
        if WEIGHTS not in record["checksums"]:
            return None
        content = (self.folder / WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != record["checksums"][WEIGHTS]:
            raise DamagedResult(f"{self.folder / WEIGHTS} is damaged: delete {self.folder} and run again")
        return dict(load(content))

    def history(self) -> "pandas.DataFrame | None":
        path = self.folder / HISTORY
        return pandas.read_csv(path) if path.exists() else None

    def save_state(self, state: State) -> None:
        """Keep an unfinished training, to go on from after an interruption."""
        facts = {"epoch": state.epoch, "best_epoch": state.best_epoch, "history": list(state.history)}
        write(self.folder / STATE, save(state.tensors, metadata={"state": json.dumps(facts)}))

    def state(self) -> State:
        """The unfinished training that was kept, or a fresh one."""
        path = self.folder / STATE
        if not path.exists():
            return State()
        try:
            with safe_open(path, framework="numpy") as opened:
                facts = json.loads(opened.metadata()["state"])
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        except (SafetensorError, KeyError, TypeError, ValueError):
            return State()
        return State(facts["epoch"], facts["best_epoch"], tensors, tuple(facts["history"]))

    def fail(self, reason: str) -> None:
        """Keep why this cell has no result; the next run tries again."""
        write(self.folder / "error.json", as_json({"error": reason}))

    def failure(self) -> str:
        return (read_json(self.folder / "error.json") or {}).get("error", "")

    def write_card(self, text: str) -> None:
        write(self.folder / "card.md", text)

    def score(self, test: str) -> dict[str, Any] | None:
        """The means of one finished test, or None."""
        return read_json(self.folder / "scores" / f"{test}.json")

    def finish_score(self, noise: Noise, data: Mapping[str, Any], score: Score) -> None:
        """Store a test: its per-image values and samples, then its means as the marker."""
        test = test_id(noise, data)
        values = pandas.DataFrame({"image": np.arange(len(next(iter(score.values.values())))), **score.values})
        content = io.BytesIO()
        values.to_parquet(content, index=False)
        files = {f"{test}.parquet": content.getvalue(), f"{test}.samples.safetensors": save(score.samples)}
        for name, written in files.items():
            write(self.folder / "scores" / name, written)
        means = {column: mean(found) for column, found in score.values.items()}
        record = {
            "protocol": fingerprint(noise, data),
            "label": noise.label(),
            "n_images": len(values),
            "means": {column: average for column, (average, _) in means.items()},
            "deviations": {column: _deviation(found) for column, found in score.values.items()},
            "perfect": max(perfect for _, perfect in means.values()),
            "evaluate_seconds": score.seconds,
            "latency_ms": score.latency_ms,
            "checksums": {name: checksum(self.folder / "scores" / name) for name in files},
        }
        write(self.folder / "scores" / f"{test}.json", as_json(record))

    def values(self, test: str) -> "pandas.DataFrame":
        """Every metric of every image of a finished test."""
        return pandas.read_parquet(self.folder / "scores" / f"{test}.parquet")

    def samples(self, test: str) -> dict[str, np.ndarray]:
        """Original, noisy and output, uint8 (K, 3, H, W)."""
        return dict(load((self.folder / "scores" / f"{test}.samples.safetensors").read_bytes()))


def write(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all: to a temporary name, to the disk, then under its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where the file is absent or unreadable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, allow_nan=True) + "\n"


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def missing_columns(record: Mapping[str, Any] | None, columns: Sequence[str]) -> list[str]:
    """The metric columns that a test's record lacks."""
    return list(columns) if record is None else [column for column in columns if column not in record["means"]]


def _deviation(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else 0.0


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
