"""How pictures lie in a folder, and what each is taken as. Nothing is decoded here."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.core import pictures
from bench.core.errors import DataError, shorten
from bench.core.words import counted

# Names of the folders of each part, in any case.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
PART_OF = {name: part for part, names in PARTS.items() for name in names}
PREVIEWS = ("@eadir", "__macosx", "#recycle", "$recycle.bin")  # of network disks and systems: not the user's pictures
EXPECTED = "expected ROOT/{train,validation,test}/.../NAME or ROOT/.../NAME, at any depth"
LONGEST_SHOWN = 300  # characters of a path in a message
KINDS_SHOWN = 6  # of what is passed over


class File(NamedTuple):
    """A picture file, and the facts that show whether it has changed: size in bytes, and times in nanoseconds."""

    path: str
    size: int
    modified: int
    changed: int


@dataclass
class Found:
    """What lies in a folder. files: its pictures, sorted by path. left: how many other things of which kind."""

    files: list[File] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Layout:
    """What the pictures of a folder are taken as.

    parts: files by part; or all of them under "all", where the folder has no folders of parts.
    beside: pictures beside the folders of parts. left: how many things of which kind were passed over.
    """

    parts: Mapping[str, list[File]]
    beside: int
    left: Counter[str]

    @classmethod
    def of(cls, folder: Path) -> "Layout":
        """The layout of a folder that exists. Raises DataError where it can't be read, or has parts further inside."""
        found = find(folder)
        inside: dict[str, list[File]] = {name: [] for name in os.listdir(folder) if (folder / name).is_dir()}
        for file in found.files:
            first, _, rest = os.path.relpath(file.path, folder).partition(os.sep)
            inside.setdefault(first if rest else "", []).append(file)
        parts = _parts(inside)
        if not parts:
            _check_inside(folder, found.files)
            return cls({"all": found.files}, 0, found.left)
        beside = sum(len(files) for name, files in inside.items() if name.casefold() not in PART_OF)
        return cls(parts, beside, found.left)

    def part(self, name: str) -> list[File]:
        """The files of one part, none where it has no folder."""
        return self.parts.get(name, [])

    @property
    def split(self) -> bool:
        """Whether the folder has folders of parts."""
        return "all" not in self.parts

    def remarks(self, name: str) -> tuple[str, ...]:
        """What was passed over in the folder called `name`, by kind."""
        return passed_over(self.left, name)

    def caveats(self, name: str) -> tuple[str, ...]:
        """What was passed over in the folder called `name` though it is pictures."""
        if not self.beside:
            return ()
        folders = " and ".join(f"{part}/" for part in self.parts)
        return (f"{counted(self.beside, 'picture')} of {name} beside {folders} not used",)


def find(folder: Path) -> Found:
    """All that lies in a folder, at any depth; links are followed unless they lead back. Raises DataError."""
    found = Found()
    try:
        _walk(str(folder), (os.path.realpath(folder),), found)
    except OSError as error:
        raise DataError(f"dataset folder: {error.filename}: can't be read: {error.strerror}") from None
    found.files.sort()
    return found


def passed_over(left: Counter[str], name: str) -> tuple[str, ...]:
    """That things were passed over in the folder called `name`: how many of which kind. Nothing where none were."""
    if not left:
        return ()
    kinds = sorted(left.items(), key=lambda item: (-item[1], item[0]))
    shown = [counted(number, kind) for kind, number in kinds[:KINDS_SHOWN]]
    others = sum(number for _, number in kinds[KINDS_SHOWN:])
    return (f"passed over in {name}: {', '.join([*shown, *([counted(others, 'other')] if others else [])])}",)


def opened(root: str | Path) -> Path:
    """An existing folder, by its absolute path. Raises DataError."""
    folder = absolute(root)
    if os.path.isdir(folder):  # unlike Path.is_dir, False where a name is too long or access is denied
        return folder
    what = "is a file; unpack it and name the folder" if os.path.exists(folder) else "does not exist"
    shown = str(folder) if len(str(folder)) <= LONGEST_SHOWN else shorten(str(folder), LONGEST_SHOWN)
    raise DataError(f"dataset folder: {shown} {what}; {EXPECTED}")


def absolute(root: str | Path) -> Path:
    """A folder's absolute path, with `~` for the user's own."""
    return Path(os.path.abspath(os.path.expanduser(root)))


def short_name(root: str | Path) -> str:
    """A folder's name, with its parent's if it is that of a part: `pictures/train`."""
    folder = absolute(root)
    return f"{folder.parent.name}/{folder.name}" if folder.name.casefold() in PART_OF else folder.name


def _walk(folder: str, within: tuple[str, ...], found: Found) -> None:
    """Add what lies in a folder. within: the real paths of the folder, last, and of those that it was reached by."""
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir()
            if entry.name.startswith("."):
                found.left["hidden folder" if is_folder else "hidden file"] += 1
            elif is_folder and entry.name.casefold() in PREVIEWS:
                found.left[f"{entry.name} folder"] += 1
            elif is_folder:
                real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(within[-1], entry.name)
                part = len(within) == 1 and entry.name.casefold() in PART_OF
                if entry.is_symlink() and _leads_back(real, within, part):
                    found.left["link to a folder around or inside its own"] += 1
                else:
                    _walk(entry.path, (*within, real), found)
            elif not entry.name.lower().endswith(pictures.SUFFIXES):
                suffix = os.path.splitext(entry.name)[1].lower()
                found.left[f"{suffix} file" if suffix else "suffixless file"] += 1
            elif entry.is_file() or entry.is_symlink():
                found.files.append(_file(entry))
            else:
                found.left["special file"] += 1


def _file(entry: "os.DirEntry[str]") -> File:
    try:
        status = entry.stat()
    except OSError:  # a link to nothing, which is named with all others that can't be read
        return File(entry.path, 0, 0, 0)
    return File(entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _leads_back(real: str, within: tuple[str, ...], part: bool) -> bool:
    """Whether a link's target holds its own folder or lies in it: those pictures are taken anyway.

    part: whether the link is the folder of a part, which may be that of another: then their pictures are compared.
    """
    here = Path(within[-1])
    return real in within or here.is_relative_to(real) or (Path(real).is_relative_to(here) and not part)


def _parts(inside: Mapping[str, list[File]]) -> dict[str, list[File]]:
    """The files of each part by the names of the folders inside a root; none where those are the names of classes.

    `train` beside `bus` and `car` is a class. A single part's name is enough where no other folder has pictures.
    """
    parts: dict[str, list[File]] = {}
    for name, files in inside.items():
        if part := PART_OF.get(name.casefold()):
            parts.setdefault(part, []).extend(files)
    others = [name for name, files in inside.items() if files and name and name.casefold() not in PART_OF]
    if len(parts) == 1 and others:
        return {}
    return {part: sorted(parts[part]) for part in PARTS if part in parts}


def _check_inside(folder: Path, files: Iterable[File]) -> None:
    """Raise DataError where folders further inside have parts of their own: a split here would mix those."""
    below: dict[str, set[str]] = {}
    for file in files:
        names = os.path.relpath(file.path, folder).split(os.sep)[:-1]
        for depth, name in enumerate(names):
            if depth and (part := PART_OF.get(name.casefold())):
                below.setdefault(os.path.join(folder, *names[:depth]), set()).add(part)
    roots = sorted(root for root, parts in below.items() if len(parts) > 1)
    if roots:
        more = f" (and {len(roots) - 1} more like it)" if len(roots) > 1 else ""
        raise DataError(
            f"dataset folder: {roots[0]} has folders of parts of its own{more}: name it as root, or several in a list"
        )
