"""The results folder, and the only module that writes results: every file whole, a unit's marker last.

experiment.yaml, environment.json, plan.json, images.json, outside.json
cells/ID/cell.json (marker), weights.safetensors, history.csv, card.md
cells/ID/scores/TEST.json (marker), TEST.parquet, TEST.samples.safetensors
tables/, figures/, report.html: derived, rebuilt at any time
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

from bench.core.errors import BenchError, FieldError
from bench.core.lazy import pandas
from bench.core.plugins import Plugin
from bench.metrics import Average, Measure, Metric
from bench.results.code import NO_CODE, origin, same_images
from bench.results.files import as_json, sums, update, verified, whole, write
from bench.results.formats import from_csv, from_parquet, from_state, to_csv, to_parquet, to_safetensors, to_state
from bench.results.outside import OUTSIDE, joined, with_outside
from bench.results.records import PlannedCell, RunPlan
from bench.results.shapes import CellMarker, Environment, Failure, Images, ScoreMarker, read, read_marker, read_plan
from bench.spec.cells import Cell, Scoring
from bench.spec.protocol import fingerprint, with_ensemble
from bench.spec.yaml12 import dump
from bench.training.score import Score
from bench.training.state import Epoch, State

FORMAT = 1  # of plan.json; raised when older folders can no longer be read
WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
STATE = "state.safetensors"
IMAGES = "images.json"
FAILURE = "error.json"
OLD_AVERAGES = ("means", "deviations", "perfect")  # in the marker of a test, before `averages`
SAMPLES_VERSION = 2  # in a test's marker; raised to have the samples of older folders made again from their weights


class Store:
    """One results folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def cell(self, cell_id: str) -> "CellStore":
        return CellStore(self.root / "cells" / cell_id)

    def begin(self, experiment: Mapping[str, Any], plan: RunPlan) -> None:
        """Write what is about to be run."""
        update(self.root / "experiment.yaml", dump(dict(experiment)))
        update(self.root / "plan.json", as_json({"format": FORMAT, **plan.node()}))

    def describe_environment(self, environment: Mapping[str, Any], plugins: Iterable[Plugin] = ()) -> None:
        """Write under which conditions something is run."""
        loaded = [asdict(plugin) for plugin in plugins]
        update(self.root / "environment.json", as_json({**environment, "plugins": loaded}))

    def name_images(self, names: Sequence[str]) -> None:
        """Write what the test images are called, in their order."""
        update(self.root / IMAGES, as_json({"test": list(names)}))

    def image_names(self) -> list[str] | None:
        """What the test images are called; None in folders of before that was written."""
        return (read(Images, self.root / IMAGES) or {}).get("test")

    def add_outside(self, cell: PlannedCell) -> None:
        """Write that a contender from elsewhere is in this folder, in place of one of its name."""
        update(self.root / OUTSIDE, as_json({"cells": [one.node() for one in with_outside(cell, self.root)]}))

    def plan(self) -> RunPlan:
        """What this folder was run for. Raises BenchError where nothing was run, or by another version."""
        return joined(RunPlan.from_node(read_plan(self.root / "plan.json", FORMAT)), self.root)

    def earlier(self) -> RunPlan | None:
        """What this folder was run for before; None where that is nothing or can't be read."""
        try:
            return self.plan()
        except BenchError:
            return None

    def environment(self) -> dict[str, Any]:
        return read(Environment, self.root / "environment.json") or {}

    def plugins(self) -> tuple[Plugin, ...]:
        """Those that were loaded when something was last run; none for folders of before they were recorded."""
        return tuple(Plugin(**node) for node in self.environment().get("plugins", ()))

    def remove(self, cell_id: str) -> None:
        """Remove a cell with its scores, the marker first: what an interruption leaves is no finished cell."""
        self.cell(cell_id).discard()
        shutil.rmtree(self.root / "cells" / cell_id)

    def write_table(self, name: str, text: str) -> Path:
        return update(self.root / "tables" / name, text)

    def remove_table(self, name: str) -> None:
        (self.root / "tables" / name).unlink(missing_ok=True)

    def write_figure(self, name: str, content: bytes) -> Path:
        return update(self.root / "figures" / name, content)

    def remove_figure(self, name: str) -> None:
        (self.root / "figures" / name).unlink(missing_ok=True)

    def keep_figures(self, names: Iterable[str]) -> None:
        """Remove the figures of earlier plans: all but these."""
        kept = set(names)
        for path in (self.root / "figures").glob("*"):
            if path.name not in kept:
                path.unlink()

    def write_report(self, page: str) -> Path:
        return update(self.root / "report.html", page)


class CellStore:
    """One cell's folder. `finished` is decided by the marker that `finish` writes last.

    An instance remembers the marker it has read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def beside(self, cell_id: str) -> "CellStore":
        """Another cell of the same results."""
        return CellStore(self.folder.parent / cell_id)

    def record(self) -> dict[str, Any] | None:
        """The cell's marker, or None where a file is missing or cut short."""
        return self._record

    @cached_property
    def _record(self) -> dict[str, Any] | None:
        return read_marker(CellMarker, self.folder / "cell.json")

    @property
    def finished(self) -> bool:
        return self.record() is not None

    def intact(self) -> bool:
        """Whether the cell is finished and its files match their checksums."""
        record = self.record()
        return record is not None and whole(self.folder, record)

    def discard(self) -> None:
        """Remove a finished cell. Its scores count again only if training gives the same weights."""
        self._write_marker(None)
        for name in (WEIGHTS, HISTORY):
            (self.folder / name).unlink(missing_ok=True)

    def finish(self, cell: Cell, state: State | None, facts: Mapping[str, Any]) -> None:
        """Store a cell that has weights, or that has none (state None), and remove its unfinished state.

        state: without a history for weights in closed form.
        facts: dataset, size, parameters, macs, code; after a search also lr, search, and train_seconds of all trials;
        for weights in closed form train_seconds.
        """
        files: dict[str, bytes] = {}
        record: dict[str, Any] = {"id": cell.id, "cell": cell.node(), "labels": cell.labels()}
        if state is not None:
            node = json.dumps(cell.node(), sort_keys=True)
            files = {WEIGHTS: to_safetensors(state.kept, {"cell": node})}
        if state is not None and state.history:
            files[HISTORY] = to_csv(state.history)
            record |= {"epochs": state.epoch, "kept_epoch": state.kept_epoch, "train_seconds": state.seconds}
        for name, content in files.items():
            write(self.folder / name, content)
        self._write_marker({**record, **facts, **sums(files)})
        (self.folder / STATE).unlink(missing_ok=True)

    def cell(self, with_noise: bool = True) -> Cell:
        """The finished cell itself, on request without its training noise, which may be one no longer accepted.

        Raises BenchError where that needs the code of a plug-in that is not loaded.
        """
        node = self._finished()["cell"]
        try:
            return Cell.from_node(node if with_noise else {**node, "noise": None})
        except FieldError as error:
            used = " and ".join(map(str, Store(self.folder.parent.parent).plugins()))
            hint = f". It was run with the plug-in {used}: load it, a file with --plugin FILE" if used else ""
            raise BenchError(f"{self.folder}: {error}{hint}") from None

    def weights(self) -> dict[str, np.ndarray] | None:
        """The stored weights by name, None for a cell without. Raises DamagedResult if their checksum differs."""
        record = self._finished()
        return dict(load(verified(self.folder, WEIGHTS, record))) if WEIGHTS in record["checksums"] else None

    def last_state(self) -> State:
        """A finished training as a state with the weights kept and the history. Raises DamagedResult."""
        record, kept = self.record(), self.weights()
        if record is None or kept is None:
            raise BenchError(f"{self.folder} holds no finished training")
        history = from_csv(verified(self.folder, HISTORY, record))
        known = {"kept_epoch": record["kept_epoch"], "made_with": tuple(record.get("made_with", ()))}
        return State(kept=kept, history=history, **known)

    def history(self) -> tuple[Epoch, ...] | None:
        """The epochs of the training, None for a cell without one. Raises DamagedResult."""
        record = self.record()
        if record is None or HISTORY not in record["checksums"]:
            return None
        return from_csv(verified(self.folder, HISTORY, record))

    def save_state(self, state: State, code: Mapping[str, str] = NO_CODE) -> None:
        """Store an unfinished training, to resume it after an interruption. code: of all that has a part in it."""
        write(self.folder / STATE, from_state(state, code))

    def state(self, code: Mapping[str, str] = NO_CODE) -> State:
        """The stored unfinished training; a new one where there is none, it is damaged or was made by other code."""
        return to_state(self.folder / STATE, code) or State()

    def fail(self, reason: str, tests: Mapping[str, str] | None = None) -> None:
        """Keep why this cell, or why some of its tests (by id), have no result; the next run tries again."""
        write(self.folder / FAILURE, as_json({"error": reason, "tests": dict(tests or {})}))

    def failure(self, test: str = "") -> str:
        """Why the cell, or one of its tests, has no result; empty where nothing failed."""
        found = read(Failure, self.folder / FAILURE) or {}
        tests = found.get("tests") or {}
        return str(tests.get(test, "") if test and tests else found.get("error", ""))

    def forget_failure(self) -> None:
        (self.folder / FAILURE).unlink(missing_ok=True)

    def write_card(self, text: str) -> None:
        update(self.folder / "card.md", text)

    def score(self, test: str) -> dict[str, Any] | None:
        """The marker of one finished test of the weights that are stored, or None."""
        record = self.record()
        found = read_marker(ScoreMarker, self._scores / f"{test}.json")
        if not found or not record or not _columns(found):
            return None
        return found if found["weights"] == record["checksums"].get(WEIGHTS) else None

    def fitted(self) -> dict[str, str]:
        """For each test noise that a null key was fitted to, by its label, the label of the denoiser as fitted."""
        found = [score for score in self._finished_scores() if score.get("fitted") and score.get("label")]
        return {score["label"]: score["fitted"] for score in found}

    def ensembles(self) -> list[int]:
        """The ensembles with which it was scored, the smallest first."""
        protocols = [score.get("protocol", {}) for score in self._finished_scores()]
        return sorted({protocol.get("ensemble", 1) for protocol in protocols})

    def _finished_scores(self) -> list[dict[str, Any]]:
        return [found for path in sorted(self._scores.glob("*.json")) if (found := self.score(path.stem))]

    def scored(self, test: str, metrics: Sequence[Metric]) -> bool:
        """Whether a test is finished: every metric is stored, and samples of the present version."""
        record = self.score(test)
        return (
            record is not None
            and record.get("samples") == SAMPLES_VERSION
            and all(metric.column in _columns(record) for metric in metrics)
            and ("averages" in record or whole(self._scores, record))
        )

    def lacking(self, test: str, metrics: Sequence[Metric]) -> list[Metric]:
        """The metrics still to be computed for a test. If any is, and the stored values are damaged, all of them."""
        record = self.score(test)
        if record is None:
            return list(metrics)
        missing = [metric for metric in metrics if metric.column not in _columns(record)]
        needed = missing or "averages" not in record
        return missing if not needed or whole(self._scores, record) else list(metrics)

    def averages(self, test: str, metrics: Iterable[Measure], keep: bool = False) -> dict[str, Average]:
        """What the metrics of a finished test come to, by column; without those that are not stored.

        keep: write into a marker of before there were averages what its per-image values come to.
        Raises DamagedResult where these are needed and damaged.
        """
        record = self._scored(test)
        if "averages" in record:
            return {column: Average.from_node(node) for column, node in record["averages"].items()}
        found = _averages(self._values(test, record), metrics)
        if keep:
            nodes = {column: average.node() for column, average in found.items()}
            rest = {key: value for key, value in record.items() if key not in OLD_AVERAGES}
            write(self._scores / f"{test}.json", as_json({**rest, "averages": nodes}), lasting=False)
        return found

    def finish_score(
        self,
        scoring: Scoring,
        data: Mapping[str, Any],
        score: Score,
        metrics: Sequence[Metric],
        code: Mapping[str, str] = NO_CODE,
    ) -> dict[str, Average]:
        """Store a test: its per-image values and samples, then the marker with what they come to, which is returned.

        metrics: of the whole run. Values computed before are kept where they are of the same images.
        code: of all that has a part in the score.
        """
        test, noise, cell = scoring.id(data), scoring.noise, self.record()
        assert cell is not None
        before = self.score(test)
        before = before if same_images(before, code) else None
        values = {**(self._values(test, before) if before and whole(self._scores, before) else {}), **score.values}
        files = {f"{test}.parquet": to_parquet(values), _samples_of(test): to_safetensors(score.samples)}
        for name, content in files.items():
            write(self._scores / name, content, lasting=False)
        averages = _averages(values, metrics)
        older = (before or {}).get("averages", {})
        record = {
            "protocol": with_ensemble(fingerprint(noise, data, scoring.seed), scoring.ensemble),
            "label": noise.label(),
            "weights": cell["checksums"].get(WEIGHTS),
            "n_images": len(next(iter(values.values()))),
            "averages": {
                **{column: node for column, node in older.items() if column in values},
                **{column: average.node() for column, average in averages.items()},
            },
            "evaluate_seconds": score.seconds,
            "latency_ms": score.latency_ms,
            "fitted": score.fitted,
            "samples": SAMPLES_VERSION,
            **origin(before, code, score),
            **sums(files),
        }
        # A lost score takes moments to compute again, and sizes in markers reveal files that a power failure emptied.
        write(self._scores / f"{test}.json", as_json(record), lasting=False)
        return averages

    def renew_samples(self, test: str, samples: Mapping[str, np.ndarray]) -> None:
        """Store the samples of a finished test again; its values, means and times stay as they are."""
        record, name, content = self._scored(test), _samples_of(test), to_safetensors(samples)
        for kind, found in sums({name: content}).items():
            record[kind] = {**record[kind], **found}
        write(self._scores / name, content, lasting=False)
        write(self._scores / f"{test}.json", as_json({**record, "samples": SAMPLES_VERSION}), lasting=False)

    def values(self, test: str) -> "pandas.DataFrame":
        """Every metric of every image of a finished test. Raises DamagedResult."""
        values = self._values(test, self._scored(test))
        return pandas.DataFrame({"image": np.arange(len(next(iter(values.values())))), **values})

    def samples(self, test: str) -> dict[str, np.ndarray]:
        """Original, noisy and output of the first images, uint8 (K, 3, H, W). Raises DamagedResult."""
        return dict(load(verified(self._scores, _samples_of(test), self._scored(test))))

    def _finished(self) -> dict[str, Any]:
        found = self.record()
        if found is None:
            raise BenchError(f"{self.folder} holds no finished cell: give a folder like results/NAME/cells/ID")
        return found

    @property
    def _scores(self) -> Path:
        return self.folder / "scores"

    def _scored(self, test: str) -> dict[str, Any]:
        found = self.score(test)
        if found is None:
            raise BenchError(f"{self._scores} holds no finished test {test}")
        return found

    def _values(self, test: str, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return from_parquet(verified(self._scores, f"{test}.parquet", record))

    def _write_marker(self, record: Mapping[str, Any] | None) -> None:
        path = self.folder / "cell.json"
        if record is None:
            path.unlink(missing_ok=True)
        else:
            write(path, as_json(record))
        self.__dict__.pop("_record", None)


def _averages(values: Mapping[str, np.ndarray], metrics: Iterable[Measure]) -> dict[str, Average]:
    return {metric.column: metric.summary(values[metric.column]) for metric in metrics if metric.column in values}


def _columns(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics that the marker of a test has, by column."""
    found: Mapping[str, Any] = record.get("averages") or record.get("means") or {}
    return found


def _samples_of(test: str) -> str:
    return f"{test}.samples.safetensors"
