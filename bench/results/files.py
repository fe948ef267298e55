"""Files that are whole or not there, and markers that say whether what they stand for is as it was written."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, DataError


class DamagedResult(BenchError):
    """A stored file that is not what its marker says."""


class NotWritable(DataError):
    """A result that can't be written: no room, no right, no such place."""


def write(path: Path, content: str | bytes, lasting: bool = True) -> Path:
    """Write a file whole or not at all: to a temporary name, to the disk, then under its own name.

    lasting: wait until it is on the disk, some milliseconds; without, a power failure may leave it empty.
    Raises NotWritable.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if lasting:
                    os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NotWritable(f"{path} can't be written: {error.strerror or error}") from None
    return path


def check_writable(folder: Path) -> None:
    """Create a folder of results and try to write there. Raises NotWritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise NotWritable(f"{folder} can't be written: {reason}. Name another folder with --results") from None


def update(path: Path, content: str | bytes) -> Path:
    """Write a file unless it holds just that already."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        same = path.read_bytes() == data
    except OSError:
        same = False
    return path if same else write(path, data, lasting=False)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where the file is absent or unreadable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None  # a pipe would never end
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def as_json(value: Mapping[str, Any]) -> str:
    """What `read_json` reads; ValueError where a number is not finite."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def sums(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What a marker says of the files it stands for."""
    return {
        "checksums": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "sizes": {name: len(content) for name, content in files.items()},
    }


def complete(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a marker's files are all there, none of them cut short."""
    try:
        return all((folder / name).stat().st_size == size for name, size in record["sizes"].items())
    except OSError:
        return False


def whole(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether every byte of a marker's files is as it was written."""
    try:
        return all(verified(folder, name, record) is not None for name in record["checksums"])
    except (DamagedResult, OSError):
        return False


def verified(folder: Path, name: str, record: Mapping[str, Any]) -> bytes:
    """The bytes of a file. Raises DamagedResult where its marker says otherwise."""
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != record["checksums"].get(name):
        raise DamagedResult(f"{folder / name} is damaged: delete it and run its spec again")
    return content


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
