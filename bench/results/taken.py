"""Finished cells whose id no longer says what they are: settings without effect were once part of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.core.errors import FieldError
from bench.results.store import Store
from bench.spec.cells import Work, settled
from bench.spec.protocol import digest


def taken(works: Sequence[Work], store: Store) -> list[Work]:
    """The works of a plan, with finished cells that an earlier version named otherwise under the ids they have."""
    left = [work.cell.id for work in works if _renamed(work) and not store.cell(work.cell.id).finished]
    known = dict(_earlier(store)) if left else {}
    return [
        Work(replace(work.cell, stored_as=known[work.cell.id]), work.tests)
        if work.cell.id in left and work.cell.id in known
        else work
        for work in works
    ]


def _renamed(work: Work) -> bool:
    """Whether earlier versions may have stored a cell under another id."""
    train = work.cell.train
    return train is not None and (train.images is not None or bool(train.lr_search))


def _earlier(store: Store) -> Iterator[tuple[str, str]]:
    """For each finished cell that this version would name otherwise, the id it would have and the one it has."""
    for folder in sorted((store.root / "cells").glob("*")):
        node = (store.cell(folder.name).record() or {}).get("cell")
        now = _id(node) if node else folder.name
        if now not in ("", folder.name):
            yield now, folder.name


def _id(node: Mapping[str, Any]) -> str:
    """The id of a stored node in this version; empty where it no longer accepts the settings."""
    try:
        return digest(settled(node))
    except FieldError:
        return ""
