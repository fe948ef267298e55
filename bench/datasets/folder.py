"""Users' own pictures, in folders."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from annotated_types import Gt, MinLen

from bench.core import machine, pictures
from bench.core.errors import DataError, FieldError, shorten
from bench.core.rng import permutation
from bench.core.words import counted
from bench.datasets import cache
from bench.datasets.base import SEED, Dataset, Pixels, Source, datasets
from bench.datasets.survey import File, Seen, survey

SPLITS = ("train", "test")
TEST_SHARE = 0.2  # of the pictures of a folder without train/ and test/
LAYOUTS = "expected ROOT/{train,test}/CLASS/NAME, ROOT/{train,test}/NAME, ROOT/CLASS/NAME or ROOT/NAME"
LONGEST_SHOWN = 300  # characters of a path in a message
BROKEN_NAMED = 10  # pictures that can't be read; the others are counted
BLOCK = 256  # pictures per task of the thread pool

Text = Annotated[str, MinLen(1)]


class Contents(NamedTuple):
    """Checksums of the files of the training and the test pool."""

    train: str
    test: str


@datasets.register("folder")
@dataclass(frozen=True)
class Folder(Dataset):
    """Pictures in ROOT/{train,test}/CLASS/NAME or ROOT/{train,test}/NAME; without train/ and test/ split 80/20.

    root: the folder, or several whose images are pooled; relative to the current directory. A folder named n
        times counts n times, which requires `validation: 0`.
    test_root: a folder to test on instead of the roots' own test images.
    duplicates: what to do where a test image shows the same pixels as a training image, in any file format: refuse the
        folders, or drop it. Where test images are drawn here, copies are always dropped.
    white: value of white in grey pictures of more than 8 bits whose files don't say it: 4095 for 12 bits.
    Source: the layout of torchvision.datasets.ImageFolder; formats: PNG, JPEG, BMP, WebP, GIF, TIFF, PPM.
    """

    root: Text | Annotated[tuple[Text, ...], MinLen(1)] = field(kw_only=True)
    test_root: Text | None = field(default=None, kw_only=True)
    duplicates: Literal["refuse", "drop"] = field(default="refuse", kw_only=True)
    white: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)

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
        times = Counter(_absolute(root) for root in self._roots())
        names = "+".join(f"{count}x{_name(root)}" if count > 1 else _name(root) for root, count in times.items())
        return f"{self.name}:{names}" + (f" (test {_name(self.test_root)})" if self.test_root else "")

    def absolute(self) -> Self:
        roots = tuple(str(_absolute(root)) for root in self._roots())
        return replace(
            self,
            root=roots[0] if isinstance(self.root, str) else roots,
            test_root=None if self.test_root is None else str(_absolute(self.test_root)),
        )

    def source(self) -> Source:
        self._check_repeats()
        train, test, remarks = self._files()
        folders = [str(_absolute(root)) for root in (*self._roots(), *([self.test_root] if self.test_root else []))]
        contents = _contents(folders, train, test)
        seen = survey(folders, [*train, *test], self.white)
        ours, theirs = seen[: len(train)], seen[len(train) :]
        copies = self._copies(list(zip(train, ours, strict=True)), list(zip(test, theirs, strict=True)))
        kept = [position for position in range(len(test)) if position not in copies]
        twins = _twins(ours) if self.validation else ()
        identity = {"train": contents.train, "test": contents.test, "left_out": len(copies)}
        identity |= {} if self.white is None else {"white": self.white}
        # Their pixels came out otherwise in earlier versions, and images are cached by identity.
        identity |= {"depth": "read"} if self.white is None and any(one.rescaled for one in seen) else {}
        facts, caveats = _seen_twice(train, ours, [theirs[position] for position in kept], len(copies))
        return Source(
            {**identity, "repeats": "together"} if twins else identity,
            train=len(train),
            validation=None,
            test=len(kept),
            fill=partial(
                _fill, [file.path for file in train], [test[position].path for position in kept], self.size, self.white
            ),
            remarks=(*remarks, *facts),
            caveats=caveats,
            twins=twins,
        )

    def _copies(self, train: list[tuple[File, Seen]], test: list[tuple[File, Seen]]) -> set[int]:
        """Positions of test images that show a training image, to be dropped. Raises DataError where that is refused.

        Images of one colour are alike by chance: only where copies are dropped anyway do they count.
        """
        shown = {seen.digest: file.path for file, seen in train if seen.digest}
        pairs = {place: shown[seen.digest] for place, (_, seen) in enumerate(test) if seen.digest in shown}
        if self.duplicates == "drop" or self._splits():
            return set(pairs)
        pairs = {place: path for place, path in pairs.items() if not test[place][1].constant}
        if not pairs:
            return set()
        named = [f"{test[place][0].path} shows the same pixels as {path}" for place, path in pairs.items()]
        more = [f"and {len(named) - BROKEN_NAMED} more"] if len(named) > BROKEN_NAMED else []
        raise DataError(
            f"dataset {self.label()}: {len(pairs)} of {counted(len(test), 'test image')} are training images too, "
            "so scores would be too good. Delete one of each pair, or set `duplicates: drop` to leave them out of the "
            "test: " + "; ".join([*named[:BROKEN_NAMED], *more])
        )

    def _roots(self) -> tuple[str, ...]:
        return (self.root,) if isinstance(self.root, str) else self.root

    def _check_repeats(self) -> None:
        """Raise DataError if copies of one image would be both trained on and scored, or scored several times."""
        root, times = Counter(Path(os.path.realpath(_absolute(root))) for root in self._roots()).most_common(1)[0]
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

    def _splits(self) -> bool:
        """Whether the test images are drawn here, from the folders that hold the training images too."""
        return self.test_root is None and not any(_has_splits(_opened(root)) for root in self._roots())

    def _files(self) -> tuple[list[File], list[File], tuple[str, ...]]:
        """The training and the test files, and remarks on how they were split."""
        train: list[File] = []
        test: list[File] = []
        remarks: list[str] = []
        for root in self._roots():
            folder = _opened(root)
            if _has_splits(folder):
                train += _required(folder / "train")
                if self.test_root is None:
                    test += _required(folder / "test", "; or name another folder by test_root")
            elif self.test_root is not None:
                train += _required(folder)
            else:
                ours, theirs = _split(_required(folder))
                train += ours
                test += theirs
                remarks.append(f"{len(theirs)} of {len(ours) + len(theirs)} images of {_name(root)} drawn for testing")
        if self.test_root is not None:
            folder = _opened(self.test_root)
            test = _required(folder / "test" if _has_splits(folder) else folder)
            remarks.append(f"tested on the images of {_name(self.test_root)} only")
        return train, test, tuple(remarks)


def _opened(root: str) -> Path:
    folder = _absolute(root)
    if os.path.isdir(folder):  # unlike Path.is_dir, False where a name is too long or access is denied
        return folder
    what = "is a file; unpack it and name the folder" if os.path.exists(folder) else "does not exist"
    shown = str(folder) if len(str(folder)) <= LONGEST_SHOWN else shorten(str(folder), LONGEST_SHOWN)
    raise DataError(f"dataset folder: {shown} {what}; {LAYOUTS}")


def _absolute(root: str | Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(root)))


def _name(root: str | Path) -> str:
    """A folder's name, with its parent's if it is a split: `pictures/train`."""
    folder = _absolute(root)
    return f"{folder.parent.name}/{folder.name}" if folder.name in SPLITS else folder.name


def _has_splits(folder: Path) -> bool:
    return any((folder / split).is_dir() for split in SPLITS)


def _split(files: Sequence[File]) -> tuple[list[File], list[File]]:
    order = permutation(len(files), SEED, "split", "folder")
    cut = round(TEST_SHARE * len(files))
    return [files[i] for i in sorted(order[cut:])], [files[i] for i in sorted(order[:cut])]


def _required(folder: Path, hint: str = "") -> list[File]:
    """The pictures of a folder. Raises DataError if there are none."""
    try:
        files = sorted(_pictures(folder)) if folder.is_dir() else []
    except OSError as error:
        raise DataError(f"dataset folder: {error.filename}: can't be read: {error.strerror}") from None
    if not files:
        what = f"has no pictures ({', '.join(pictures.SUFFIXES)})" if folder.is_dir() else "does not exist"
        raise DataError(f"dataset folder: {folder} {what}; {LAYOUTS}{hint}")
    return files


def _pictures(folder: Path | str, deeper: bool = True) -> Iterator[File]:
    """The pictures of a folder and of its direct subfolders, without hidden ones."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(pictures.SUFFIXES):
                status = entry.stat()
                yield File(entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            elif deeper and entry.is_dir() and not _leads_back(entry, folder):
                yield from _pictures(entry.path, deeper=False)


def _leads_back(entry: "os.DirEntry[str]", folder: Path | str) -> bool:
    """Whether a link leads to its own folder, or to one above or inside it: those pictures are taken anyway."""
    if not entry.is_symlink():
        return False
    there, here = Path(os.path.realpath(entry.path)), Path(os.path.realpath(folder))
    return here.is_relative_to(there) or there.is_relative_to(here)


def _twins(seen: Sequence[Seen]) -> tuple[tuple[int, ...], ...]:
    """Groups of positions that show one picture."""
    groups: dict[str, list[int]] = {}
    for position, one in enumerate(seen):
        if one.digest:
            groups.setdefault(one.digest, []).append(position)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _seen_twice(
    train: Sequence[File], ours: Sequence[Seen], theirs: Sequence[Seen], dropped: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to know of copies and of images of one colour; and what of that changes the numbers."""
    once = {file.path: seen for file, seen in zip(train, ours, strict=True)}.values()  # a root may be named twice

    def told(images: Sequence[Seen], kind: str) -> tuple[str, ...]:
        repeats = sum(len(group) - 1 for group in _twins(images))
        return (f"{counted(repeats, kind)} with the same pixels as another",) if repeats else ()

    plain = sum(seen.constant for seen in (*once, *theirs))
    left_out = (f"{counted(dropped, 'image')} left out of the test split: copies of training images",)
    colour = (f"{counted(plain, 'image')} of one colour",)
    return (
        (*(left_out if dropped else ()), *told(list(once), "training image"), *(colour if plain else ())),
        told(theirs, "test image"),
    )


def _contents(folders: Sequence[str], train: Sequence[File], test: Sequence[File]) -> Contents:
    """Checksums of the files, which are read again only if the size or the times of one have changed."""
    listing = hashlib.sha256()
    for files in (train, test):
        lines = [f"{path}\0{size}\0{modified}\0{changed}\0" for path, size, modified, changed in files]
        listing.update("".join([*lines, "\0"]).encode(errors="surrogateescape"))
    state = listing.hexdigest()
    known = cache.recall("checksums", folders)
    if isinstance(known, list) and known[:1] == [state]:
        return Contents(*known[1:])
    contents = Contents(*(hashlib.sha256(b"".join(_digests(files))).hexdigest() for files in (train, test)))
    cache.remember("checksums", folders, [state, *contents])
    return contents


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
    train: Sequence[str], test: Sequence[str], size: int, white: float | None, chosen: Pixels, out: Pixels
) -> Counter[str]:
    done: Counter[str] = Counter()

    broken: list[str] = []

    def decode(paths: Sequence[str], target: np.ndarray) -> Counter[str]:
        kinds: Counter[str] = Counter()
        for position, path in enumerate(paths):
            try:
                target[position], conversions = pictures.read(Path(path), white=white).square(size)
            except DataError as error:
                broken.append(str(error))
            else:
                kinds.update(conversions)
        return kinds

    with ThreadPoolExecutor(machine.cores()) as pool:
        for part, files in (("train", train), ("validation", train), ("test", test)):
            paths = [files[i] for i in chosen[part]]
            starts = range(0, len(paths), BLOCK)
            blocks = [(paths[start : start + BLOCK], out[part][start : start + BLOCK]) for start in starts]
            for kinds in pool.map(decode, *zip(*blocks, strict=True)) if blocks else ():
                done.update(kinds)
    if broken:
        raise DataError(_all_broken(sorted(broken)))
    return done


def _all_broken(reasons: Sequence[str]) -> str:
    """That pictures can't be read, the first of them by name, and what to do."""
    if len(reasons) == 1:
        return f"{reasons[0]}; replace or delete it"
    more = [f"and {len(reasons) - BROKEN_NAMED} more"] if len(reasons) > BROKEN_NAMED else []
    named = "\n  ".join([*reasons[:BROKEN_NAMED], *more])
    return f"{len(reasons)} pictures can't be read; replace or delete them:\n  {named}"
