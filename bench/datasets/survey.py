"""What is seen on pictures, whatever their files: digests of the decoded pixels, remembered between runs."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.core import machine, pictures
from bench.core.errors import DataError
from bench.core.images import digest
from bench.datasets import cache
from bench.datasets.download import Progress
from bench.datasets.layout import File

SILENT = 2.0  # seconds of reading files before anything is said
DECODING = 2  # raised when the pixels of a file come out otherwise, so that what was remembered is not used


class Seen(NamedTuple):
    """One picture of a file as it is decoded.

    page: its number in the file, from 0. digest: of its pixels. constant: whether it has one colour only.
    rescaled: whether its values span another range than its type's. width, height: in pixels.
    conversions: what turns it into 8-bit RGB, in words.
    """

    page: int
    digest: str
    constant: bool
    rescaled: bool
    width: int
    height: int
    conversions: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join((f"{self.width} x {self.height} pixels", *self.conversions))


class Page(NamedTuple):
    """One picture, with its file."""

    file: File
    seen: Seen

    def __str__(self) -> str:
        return f"{self.file.path}, page {self.seen.page + 1}" if self.seen.page else self.file.path


class Survey(NamedTuple):
    """What is seen in files.

    pages: by file, for those that can be read. faults: what is wrong with each of the others.
    """

    pages: dict[File, list[Page]]
    faults: dict[File, str]


class Reading:
    """Tells how far the reading of files is, by bytes, once it takes long enough for somebody to wonder."""

    def __init__(self, progress: Progress | None, what: str, files: Iterable[File]) -> None:
        self.progress, self.what, self.total = progress, what, sum(file.size for file in files)
        self.done, self.started = 0, time.monotonic()

    def add(self, file: File) -> None:
        """One more file has been read."""
        self.done += file.size
        if self.progress and time.monotonic() - self.started > SILENT:
            self.progress(self.done, self.total, self.what)


def survey(
    folders: Sequence[str], files: Sequence[File], white: float | None = None, progress: Progress | None = None
) -> Survey:
    """What is seen on each picture; a file is decoded again only if its size or its times have changed.

    white: as for `pictures.read`. progress: told of the bytes read, where that takes long.
    """
    return _survey(tuple(folders), tuple(dict.fromkeys(files)), white, progress)


@lru_cache(maxsize=8)  # a run asks several times
def _survey(
    folders: tuple[str, ...], files: tuple[File, ...], white: float | None, progress: Progress | None
) -> Survey:
    place = [DECODING, white, *folders]
    known = {File(*row[0]): [_seen(one) for one in row[1]] for row in cache.recall("pixels", place) or ()}
    faults: dict[File, str] = {}
    new = [file for file in files if file not in known]
    if new:
        reading = Reading(progress, "comparing pictures", new)
        with ThreadPoolExecutor(machine.cores()) as pool:
            for file, found in zip(new, pool.map(partial(_look, white=white), new), strict=True):
                reading.add(file)
                if isinstance(found, str):
                    faults[file] = found
                else:
                    known[file] = found
        cache.remember("pixels", place, [[file, known[file]] for file in files if file in known])
    return Survey({file: [Page(file, seen) for seen in known[file]] for file in files if file in known}, faults)


def _seen(stored: Sequence[Any]) -> Seen:
    return Seen._make([*stored[:-1], tuple(stored[-1])])


def _look(file: File, white: float | None) -> list[Seen] | str:
    """The pictures of a file, or what is wrong with it."""
    try:
        return [_digested(page, picture) for page, picture in pictures.each(Path(file.path), white)]
    except DataError as error:
        return str(error)


def _digested(page: int, picture: pictures.Picture) -> Seen:
    pixels = picture.rgb()
    constant = bool((pixels == pixels[0, 0]).all())
    return Seen(page, digest(pixels), constant, picture.rescaled, picture.width, picture.height, picture.conversions)
