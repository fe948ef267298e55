"""A cache of arrays on disk: built once, verified before use, and memory-mapped, so all processes share one copy."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock

from bench.core.errors import DataError


@dataclass(frozen=True)
class Entry:
    """One entry of the cache: read-only arrays by name, and how often what was done to images to make them."""

    arrays: dict[str, np.ndarray]
    made: Counter[str]


class Damaged(Exception):
    """The entry is absent, incomplete or altered."""


def cache_dir() -> Path:
    """The folder of downloads and built arrays: NOISE_BENCH_CACHE, or the platform's cache folder."""
    given = os.environ.get("NOISE_BENCH_CACHE")
    return Path(os.path.abspath(os.path.expanduser(given))) if given else platformdirs.user_cache_path("noise-bench")


def key(identity: Any) -> str:
    """A key for JSON values: 32 hexadecimal digits of a hash."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def holds(identity: Any) -> bool:
    """Whether an entry was built for this identity; fetching verifies it."""
    return (_home(identity) / "meta.json").is_file()


def opened(identity: Any) -> Entry | None:
    """The entry of this identity where there is one, verified; None otherwise."""
    try:
        return _open(_home(identity))
    except Damaged:
        return None


def made(identity: Any) -> Counter[str] | None:
    """How often what was done to images to make an entry, by its record alone; None where it is yet to be built."""
    try:
        return Counter(json.loads((_home(identity) / "meta.json").read_text(encoding="utf-8"))["made"])
    except (OSError, ValueError, KeyError):
        return None


def check(identity: Any) -> None:
    """Raises DataError where no entry was built for this identity and none can be."""
    if not holds(identity):
        folder = _home(identity).parent
        with writable(folder), tempfile.TemporaryFile(dir=folder):
            pass


def fetch(
    identity: Any,
    shapes: Mapping[str, tuple[int, ...]],
    fill: Callable[[Mapping[str, np.ndarray]], Counter[str]],
) -> Entry:
    """The entry of this identity, built if it is absent or damaged; verified once per process.

    shapes: of the uint8 arrays, by name.
    fill: writes the arrays and counts what was done to images.
    Several processes may call this at once: one builds, the others wait. Raises DataError where the cache can't be
    written.
    """
    home = _home(identity)
    try:
        return _open(home)
    except Damaged:
        pass
    with writable(home.parent), FileLock(f"{home}.lock"):
        try:
            return _open(home)
        except Damaged:
            _build(home, identity, shapes, fill)
    return _open(home)


def recall(name: str, identity: Any) -> Any:
    """The value that `remember` stored under this name and identity; None without one."""
    try:
        return json.loads(_note(name, identity).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remember(name: str, identity: Any, value: Any) -> None:
    """Store a JSON value. Raises DataError where the cache can't be written."""
    path = _note(name, identity)
    with writable(path.parent):
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(value), encoding="utf-8")
        partial.replace(path)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Create the folder; failures to write there inside this block become DataErrors."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: can't be written: {error.strerror or error}. "
            "Set NOISE_BENCH_CACHE to a writable folder with room for the images"
        ) from None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _home(identity: Any) -> Path:
    return cache_dir() / "datasets" / key(identity)


def _note(name: str, identity: Any) -> Path:
    return cache_dir() / name / f"{key(identity)}.json"


@lru_cache(maxsize=64)
def _open(home: Path) -> Entry:
    try:
        meta = json.loads((home / "meta.json").read_text(encoding="utf-8"))
        for name, digest in meta["sha256"].items():
            if file_sha256(home / f"{name}.npy") != digest:
                raise Damaged(f"{home / name}.npy has changed since it was written")
        arrays = {name: _map(home / f"{name}.npy") for name in meta["sha256"]}
        return Entry(arrays, Counter(meta["made"]))
    except (OSError, ValueError, KeyError) as error:
        raise Damaged(str(error)) from None


def _map(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _build(
    home: Path,
    identity: Any,
    shapes: Mapping[str, tuple[int, ...]],
    fill: Callable[[Mapping[str, np.ndarray]], Counter[str]],
) -> None:
    # The lock is held, so anything under these names is damaged or was left by a build that was killed.
    partial = home.with_name(f".{home.name}")
    for stale in (partial, home):
        shutil.rmtree(stale, ignore_errors=True)
    partial.mkdir()
    # Writing to a mapped file on a full disk kills the process with a signal, so free space is checked beforehand.
    needed, free = sum(math.prod(shape) for shape in shapes.values()), shutil.disk_usage(partial).free
    if needed > free:
        raise OSError(f"{needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")
    try:
        paths = {name: partial / f"{name}.npy" for name in shapes}
        arrays = {name: np.lib.format.open_memmap(paths[name], "w+", np.uint8, shape) for name, shape in shapes.items()}
        made = fill(arrays)
        for array in arrays.values():
            array.flush()
        meta = {
            "identity": identity,
            "made": made,
            "sha256": {name: file_sha256(path) for name, path in paths.items()},
        }
        (partial / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for path in (*paths.values(), partial / "meta.json"):
            _sync(path)
        partial.rename(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
