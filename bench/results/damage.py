"""Files of a results folder that are not what was written."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.results.files import read_json
from bench.results.store import Store


def damaged(store: Store, cells: Iterable[str]) -> Iterator[str]:
    """Those of some cells, as paths in the folder. Reads all of them."""
    for cell in cells:
        folder = store.root / "cells" / cell
        markers = [(folder / "cell.json", folder)]
        markers += [(path, path.parent) for path in sorted(folder.glob("scores/*.json"))]
        for marked, place in markers:
            yield from (str(path.relative_to(store.root)) for path in _damage(marked, place))


def _damage(path: Path, folder: Path) -> list[Path]:
    """The files that are not what a marker says they are, or the marker itself; none where nothing was finished."""
    if not path.exists():
        return []
    checksums = (read_json(path) or {}).get("checksums")
    if not isinstance(checksums, dict):
        return [path]
    return [folder / name for name, checksum in checksums.items() if _checksum(folder / name) != checksum]


def _checksum(path: Path) -> str:
    """Empty for a file that is missing."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
