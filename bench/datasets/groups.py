"""Pictures that belong together: what statistics count as one, and no cut takes apart."""

import csv
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

from bench.core.errors import DataError
from bench.datasets.layout import absolute
from bench.datasets.survey import Page

PARENT = "parent"  # the folder that a picture lies in
Grouping = Callable[[Page], Hashable]


def by_file(page: Page) -> Hashable:
    """The pages of a stack are one group, every other picture is one by itself."""
    return page.file.path


def grouping(key: str | None, below: Callable[[str], str]) -> Grouping:
    """What the pictures of a group have in common.

    key: None, `parent`, or the path of a CSV file of names and groups. below: a picture's path in its folder.
    Raises DataError where the file can't be read or lacks a picture.
    """
    if key is None:
        return by_file
    if key == PARENT:
        return lambda page: os.path.dirname(page.file.path)
    listed = _listed(absolute(key))

    def named(page: Page) -> Hashable:
        path = below(page.file.path)
        for name in (path, os.path.basename(path)):
            if name in listed:
                return listed[name]
        raise DataError(f"dataset folder: {key} has no group for {path}, by this path or by the file's name alone")

    return named


def _listed(path: Path) -> Mapping[str, str]:
    """Groups by name, as a CSV file lists them; its first row may be the heading `name,group`."""
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"dataset folder: group: {path} can't be read: {error}") from None
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong:
        raise DataError(f"dataset folder: group: {path}, row {wrong}: expected a name and a group")
    return {name.strip(): group.strip() for name, group in rows if (name, group) != ("name", "group")}


def numbers(pages: Sequence[Page], of: Grouping) -> tuple[int, ...]:
    """The group of each picture as a number; empty where each is one by itself."""
    known: dict[Hashable, int] = {}
    found = tuple(known.setdefault(of(page), len(known)) for page in pages)
    return found if len(known) < len(found) else ()


def together(count: int, alike: Iterable[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Positions below `count` that belong together by any of several groupings, those alone left out."""
    leader = list(range(count))

    def first(position: int) -> int:
        while leader[position] != position:
            position = leader[position]
        return position

    for positions in alike:
        for position in positions:
            one, other = sorted((first(positions[0]), first(position)))
            leader[other] = one
    found: dict[int, list[int]] = {}
    for position in range(count):
        found.setdefault(first(position), []).append(position)
    return tuple(tuple(members) for members in found.values() if len(members) > 1)


def alike(pages: Sequence[Page], of: Grouping) -> list[list[int]]:
    """The positions of each group."""
    found: dict[Hashable, list[int]] = {}
    for position, page in enumerate(pages):
        found.setdefault(of(page), []).append(position)
    return list(found.values())


def check_apart(parts: Mapping[str, Sequence[Page]], of: Grouping, label: str) -> None:
    """Raise DataError where pictures of one group lie in two parts."""
    seen: dict[Hashable, tuple[str, Page]] = {}
    for part, pages in parts.items():
        for page in pages:
            other, first = seen.setdefault(of(page), (part, page))
            if other != part:
                raise DataError(
                    f"dataset {label}: {page} ({part}) and {first} ({other}) are of one group, so scores would be too "
                    "good. Move one of them, or give them different groups"
                )
