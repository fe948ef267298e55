"""What is seen on pictures, whatever their files: digests of the decoded pixels, remembered between runs."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.core import machine, pictures
from bench.core.errors import DataError
from bench.datasets import cache


class File(NamedTuple):
    """A picture file, and the facts that show whether it has changed: size in bytes, and times in nanoseconds."""

    path: str
    size: int
    modified: int
    changed: int


class Seen(NamedTuple):
    """A digest of a picture's pixels, empty where it can't be read; and whether it has one colour only."""

    digest: str
    constant: bool


def survey(folders: Sequence[str], files: Sequence[File]) -> list[Seen]:
    """What is seen on each picture; a file is decoded again only if its size or its times have changed."""
    kept = cache.recall("pixels", folders)
    known = {File(*row[:4]): Seen(*row[4:]) for row in kept} if isinstance(kept, list) else {}
    new = [file for file in dict.fromkeys(files) if file not in known]
    if new:
        with ThreadPoolExecutor(machine.cores()) as pool:
            known.update(zip(new, pool.map(_look, new), strict=True))
        cache.remember("pixels", folders, [[*file, *known[file]] for file in dict.fromkeys(files)])
    return [known[file] for file in files]


def _look(file: File) -> Seen:
    try:
        pixels = pictures.read(Path(file.path)).rgb()
    except DataError:  # named with all others when the images are made
        return Seen("", False)
    digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
    return Seen(digest, bool((pixels == pixels[0, 0]).all()))
