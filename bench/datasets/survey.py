"""What is seen on pictures, whatever their files: digests of the decoded pixels, remembered between runs."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from bench.core import machine, pictures
from bench.core.errors import DataError
from bench.datasets import cache

DECODING = 1  # raised when the pixels of a file come out otherwise, so that what was remembered is not used


class File(NamedTuple):
    """A picture file, and the facts that show whether it has changed: size in bytes, and times in nanoseconds."""

    path: str
    size: int
    modified: int
    changed: int


class Seen(NamedTuple):
    """A digest of a picture's pixels, empty where it can't be read.

    constant: whether it has one colour only. rescaled: whether its values span another range than its type's.
    """

    digest: str
    constant: bool
    rescaled: bool


def survey(folders: Sequence[str], files: Sequence[File], white: float | None = None) -> list[Seen]:
    """What is seen on each picture; a file is decoded again only if its size or its times have changed.

    white: as for `pictures.read`.
    """
    return list(_survey(tuple(folders), tuple(files), white))


@lru_cache(maxsize=8)  # a run asks several times
def _survey(folders: tuple[str, ...], files: tuple[File, ...], white: float | None) -> tuple[Seen, ...]:
    place = [DECODING, white, *folders]
    kept = cache.recall("pixels", place)
    known = {File(*row[:4]): Seen(*row[4:]) for row in kept} if isinstance(kept, list) else {}
    new = [file for file in dict.fromkeys(files) if file not in known]
    if new:
        with ThreadPoolExecutor(machine.cores()) as pool:
            known.update(zip(new, pool.map(partial(_look, white=white), new), strict=True))
        cache.remember("pixels", place, [[*file, *known[file]] for file in dict.fromkeys(files)])
    return tuple(known[file] for file in files)


def _look(file: File, white: float | None) -> Seen:
    try:
        picture = pictures.read(Path(file.path), white=white)
    except DataError:  # named with all others when the images are made
        return Seen("", False, False)
    pixels = picture.rgb()
    digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
    return Seen(digest, bool((pixels == pixels[0, 0]).all()), picture.rescaled)
