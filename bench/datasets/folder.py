"""Users' own pictures, in folders."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Gt, MinLen

from bench.core import machine, pictures
from bench.core.errors import DataError, FieldError, shorten
from bench.datasets import cache
from bench.datasets.base import Dataset, Listed, Pixels, Source, datasets
from bench.datasets.download import Progress
from bench.datasets.groups import PARENT, alike, grouping, numbers, together
from bench.datasets.layout import PART_OF, File, absolute, short_name
from bench.datasets.pools import Gathering, Pools, twins
from bench.datasets.survey import Page, Reading

Text = Annotated[str, MinLen(1)]


@datasets.register("folder")
@dataclass(frozen=True)
class Folder(Dataset):
    """Pictures in ROOT/{train,validation,test}, at any depth; without those folders a fifth is drawn for testing.

    root: the folder, or several whose images are pooled; relative to the current directory. A folder named n
        times counts n times, which requires `validation: 0`.
    test_root: a folder to test on instead of the roots' own test images.
    duplicates: what to do where a test image shows the same pixels as a training image, in any file format: refuse the
        folders, or drop it. Where test images are drawn here, copies are always dropped.
    white: value of white in grey pictures of more than 8 bits whose files don't say it: 4095 for 12 bits.
    skip_unreadable: pass over files that can't be read, and say how many, instead of refusing the folder.
    group: what pictures belong together, as crops of one scene: null (each is one by itself, the pages of a stack are
        one group), `parent` (the folder a picture lies in) or a CSV file of names and groups. Intervals are over the
        groups; one that is asked for stays on one side of every cut.
    Source: the layout of torchvision.datasets.ImageFolder; formats as Pillow reads them.
    """

    root: Text | Annotated[tuple[Text, ...], MinLen(1)] = field(kw_only=True)
    test_root: Text | None = field(default=None, kw_only=True)
    duplicates: Literal["refuse", "drop"] = field(default="refuse", kw_only=True)
    white: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)
    skip_unreadable: bool = field(default=False, kw_only=True)
    group: Text | None = field(default=None, kw_only=True)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys; `root` takes a string or a list of them. Raises FieldError."""
        try:
            return super().from_params(params)
        except FieldError as error:
            if error.path[:1] != ("root",):
                raise
            given = shorten(params["root"]) if "root" in params else "nothing"
            raise FieldError(f"expected the path of a folder, or a list of paths; got {given}", ("root",)) from None

    def label(self, without: tuple[str, ...] = ()) -> str:
        """`folder:NAME`, without the path: the same data elsewhere has the same label."""
        times = Counter(absolute(root) for root in self._roots())
        names = "+".join(
            f"{count}x{short_name(root)}" if count > 1 else short_name(root) for root, count in times.items()
        )
        return f"{self.name}:{names}" + (f" (test {short_name(self.test_root)})" if self.test_root else "")

    def absolute(self) -> Self:
        roots = tuple(str(absolute(root)) for root in self._roots())
        return replace(
            self,
            root=roots[0] if isinstance(self.root, str) else roots,
            test_root=None if self.test_root is None else str(absolute(self.test_root)),
            group=self.group if self.group in (None, PARENT) else str(absolute(self.group)),
        )

    def source(self) -> Source:
        return self._source()

    def prepare(self, progress: Progress | None = None) -> None:
        """Read, compare and resize the pictures, unless that is done. Raises as `load` does."""
        source = self._source(progress)
        if cache.made(self._cached_as(source)) is None:
            self._entry(source)

    def to_fetch(self) -> str:
        return ""

    def _source(self, progress: Progress | None = None) -> Source:
        """The pools. progress: told of the bytes read, now and when the pictures are resized, where that takes long."""
        self._check_repeats()
        gathering = self._gathering()
        pools = gathering.pools(progress)
        whole = pools.validation is not None
        repeated = twins(pools.train) if self.validation and not whole else ()
        identity = self._defining(pools, _contents(gathering.folders, pools))
        related = together(len(pools.train), (*repeated, *alike(pools.train, gathering.grouping)))
        return Source(
            {**identity, "repeats": "together"} if repeated else identity,
            train=len(pools.train),
            validation=len(pools.validation) if pools.validation is not None else None,
            test=len(pools.test),
            fill=partial(_fill, pools, self.size, self.white, progress),
            remarks=tuple(pools.facts),
            caveats=tuple(pools.caveats),
            twins=related if self.group and self.validation and not whole else repeated,
            whole=whole,
            names=partial(self._names, pools.test),
            groups=numbers(pools.test, gathering.grouping),
        )

    def listing(self) -> list[Listed]:
        gathering = self._gathering()
        parts = gathering.pools().parts
        return [
            Listed(part, _below(gathering.folders, str(page)), str(page.seen)) for part in parts for page in parts[part]
        ]

    def _names(self, pages: Sequence[Page]) -> list[str]:
        """The paths of test pictures below their root, or below its folder of test pictures."""
        roots = self._roots() if self.test_root is None else (self.test_root,)
        folders = list(dict.fromkeys(str(absolute(root)) for root in roots))
        paths = [Path(_below(folders, str(page))).parts for page in pages]
        first = len(folders) > 1  # behind the name of the root
        is_part = [PART_OF.get(parts[first].casefold()) == "test" for parts in paths]
        return ["/".join(parts[:first] + parts[first + is_in :]) for parts, is_in in zip(paths, is_part, strict=True)]

    def _gathering(self) -> Gathering:
        found = Gathering(
            label=self.label(),
            roots=self._roots(),
            test_root=self.test_root,
            duplicates=self.duplicates,
            white=self.white,
            skip_unreadable=self.skip_unreadable,
            validate=self.validation > 0,
            grouped=self.group is not None,
        )
        return replace(found, grouping=grouping(self.group, partial(_below, found.folders)))

    def _defining(self, pools: Pools, contents: Mapping[str, str]) -> dict[str, Any]:
        """What defines the pixels: keys that earlier versions did not know are there only where they matter."""
        defining: dict[str, Any] = {**contents, "left_out": pools.left_out["test"]}
        if pools.validation is not None:
            defining["validation_left_out"] = pools.left_out["validation"]
        pages = [page for part in pools.parts.values() for page in part]
        if any(page.seen.page for page in pages):
            defining["pages"] = "pictures"
        if self.group is not None:
            of = self._gathering().grouping
            groups = {part: numbers(found, of) for part, found in pools.parts.items()}
            defining["groups"] = hashlib.sha256(repr(groups).encode()).hexdigest()
        if self.white is not None:
            defining["white"] = self.white
        elif any(page.seen.rescaled for page in pages):
            # Their pixels came out otherwise in earlier versions, and images are cached by identity.
            defining["depth"] = "read"
        return defining

    def _roots(self) -> tuple[str, ...]:
        return (self.root,) if isinstance(self.root, str) else self.root

    def _check_repeats(self) -> None:
        """Raise DataError if copies of one image would be both trained on and scored, or scored several times."""
        root, times = Counter(Path(os.path.realpath(absolute(root))) for root in self._roots()).most_common(1)[0]
        if times == 1:
            return
        wanted = []
        if self.validation:
            wanted.append("`validation: 0`")
        if self.test_root is None:
            wanted.append("a `test_root`")
        if wanted:
            raise DataError(
                f"dataset {self.label()}: {root} is named {times} times, so copies of an image would be trained on and "
                f"scored, or scored several times; this needs {' and '.join(wanted)}"
            )


def _below(folders: Sequence[str], path: str) -> str:
    """A path below the folder that it lies in, with that folder's name where there are several."""
    for folder in folders:
        if Path(path).is_relative_to(folder):
            return os.path.relpath(path, folder if len(folders) == 1 else os.path.dirname(folder))
    return path


def _contents(folders: Sequence[str], pools: Pools) -> dict[str, str]:
    """Checksums of the files of each part, read again only if the size or the times of one have changed."""
    files = {part: _files(pages) for part, pages in pools.parts.items()}
    listing = hashlib.sha256()
    for part, listed in files.items():
        lines = [f"{path}\0{size}\0{modified}\0{changed}\0" for path, size, modified, changed in listed]
        listing.update("".join([part, *lines, "\0"]).encode(errors="surrogateescape"))
    state = listing.hexdigest()
    known = cache.recall("checksums", folders)
    if isinstance(known, dict) and known.get("state") == state:
        return dict(known["sha256"])
    contents = {part: hashlib.sha256(b"".join(_digests(listed))).hexdigest() for part, listed in files.items()}
    cache.remember("checksums", folders, {"state": state, "sha256": contents})
    return contents


def _files(pages: Sequence[Page]) -> list[File]:
    """The files of pictures in their order; a file as often as its pictures begin anew."""
    return [
        page.file
        for place, page in enumerate(pages)
        if not place or page.file != pages[place - 1].file or page.seen.page <= pages[place - 1].seen.page
    ]


def _digests(files: Sequence[File]) -> list[bytes]:
    digests = []
    for file in files:
        try:
            with open(file.path, "rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise DataError(f"dataset folder: {file.path}: can't be read: {error.strerror}") from None
    return digests


def _fill(
    pools: Pools, size: int, white: float | None, progress: Progress | None, chosen: Pixels, out: Pixels
) -> Counter[str]:
    done: Counter[str] = Counter()
    parts = {"validation": pools.train, **pools.parts}
    reading = Reading(progress, "resizing pictures", {parts[part][i].file for part in parts for i in chosen[part]})

    def decode(file: File, places: Sequence[tuple[int, int]], target: np.ndarray) -> Counter[str]:
        """Write pictures of one file. places: their pages, and where each goes."""
        kinds: Counter[str] = Counter()
        pages = sorted({page for page, _ in places})
        for number, picture in pictures.each(Path(file.path), white, pages):
            pixels, conversions = picture.square(size)
            for place in (place for page, place in places if page == number):
                target[place] = pixels
                kinds.update(conversions)
        return kinds

    with ThreadPoolExecutor(machine.cores()) as pool:
        for part, pages in parts.items():
            if not len(chosen[part]):
                continue
            wanted = sorted((pages[i].file, pages[i].seen.page, place) for place, i in enumerate(chosen[part]))
            by_file = groupby(wanted, lambda one: one[0])
            files, places = zip(*((file, [one[1:] for one in of]) for file, of in by_file), strict=True)
            for file, kinds in zip(files, pool.map(partial(decode, target=out[part]), files, places), strict=True):
                reading.add(file)
                done.update(kinds)
    return done
