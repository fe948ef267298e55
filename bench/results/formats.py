"""How values are written to files: histories as CSV, scores as Parquet, arrays as safetensors."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from bench.core.lazy import Lazy
from bench.results.code import changed
from bench.training.state import Epoch, State

pyarrow = Lazy("pyarrow")
parquet = Lazy("pyarrow.parquet")


def to_safetensors(arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """Arrays as the content of a safetensors file."""
    # The format takes an array's memory as it lies, whatever its strides.
    return serialize({name: np.asarray(value, order="C") for name, value in arrays.items()}, metadata=metadata)


def from_state(state: State, code: Mapping[str, str]) -> bytes:
    """An unfinished training, and the code of what has a part in it, as the content of a safetensors file."""
    history = [asdict(epoch) for epoch in state.history]
    facts = {"epoch": state.epoch, "best_epoch": state.kept_epoch, "history": history}
    facts |= {"code": dict(code)} if code else {}
    facts |= {"made_with": state.made_with} if state.made_with else {}
    arrays = state.flat()
    return to_safetensors(arrays, {"state": json.dumps({**facts, "sha256": digest_of(facts, arrays)})})


def to_state(path: Path, code: Mapping[str, str]) -> State | None:
    """The training in a file as `from_state` wrote it; None where there is none, it is damaged or of other code."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as opened:
            facts = json.loads(opened.metadata()["state"])
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        if facts.pop("sha256") != digest_of(facts, arrays) or changed(facts, code):
            return None
        history = tuple(Epoch(**epoch) for epoch in facts["history"])
        made_with = tuple(facts.get("made_with", ()))
        return replace(State.from_flat(arrays, history, facts["best_epoch"]), made_with=made_with)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError):
        return None


def digest_of(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Checksum of a state: its file format has none."""
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def to_csv(history: Sequence[Epoch]) -> bytes:
    """A history as the content of history.csv."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(epoch) for epoch in history)
    return text.getvalue().encode()


def from_csv(content: bytes) -> tuple[Epoch, ...]:
    """The epochs in a history as `to_csv` wrote it."""
    return tuple(
        Epoch(
            int(row["epoch"]),
            float(row["train_loss"]),
            float(row["validation_loss"]) if row["validation_loss"] else None,
            float(row["seconds"]),
        )
        for row in csv.DictReader(io.StringIO(content.decode()))
    )


def from_parquet(content: bytes) -> dict[str, np.ndarray]:
    """What `to_parquet` was given."""
    table = parquet.read_table(io.BytesIO(content))
    return {name: table[name].to_numpy() for name in table.column_names if name != "image"}


def to_parquet(values: Mapping[str, np.ndarray]) -> bytes:
    """Values by metric column, one per image, as the content of a Parquet file."""
    content = io.BytesIO()
    images = np.arange(len(next(iter(values.values()))))
    parquet.write_table(pyarrow.table({"image": images, **values}), content)
    return content.getvalue()
