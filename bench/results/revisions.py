"""Results that other code has made: of an earlier revision of a class, or under an earlier default."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal

from bench.core.words import counted
from bench.models import models
from bench.models.base import OBJECTIVE_REVISIONS
from bench.noises import noises
from bench.results.records import RunPlan
from bench.results.store import CellStore, Store
from bench.spec import Train
from bench.spec.cells import Cell, Work
from bench.spec.plan import resolve
from bench.spec.protocol import digest

DEVICES: Sequence[Literal["cpu", "cuda"]] = ("cpu", "cuda")
PRECISIONS: Sequence[Literal["float32", "bfloat16"]] = ("float32", "bfloat16")
EARLIER_DECAY = 1e-5  # the default of `weight_decay` before it became 0


def outdated(node: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """What of a cell's node has another revision by now: the revision it was made with, and today's.

    Its keys are in words: `model conv`.
    """
    ((model, keys),) = node["model"].items()
    noise = next(iter(node["noise"] or ()), "")
    objective = keys.get("objective", "")
    now = {("objective", objective): OBJECTIVE_REVISIONS.get(objective, 1)}
    now |= {("model", model): models[model].revision} if model in models else {}
    now |= {("noise", noise): noises[noise].revision} if noise in noises else {}
    made = {part: int(node.get("revisions", {}).get(part[0], 1)) for part in now}
    return {" ".join(part): (made[part], now[part]) for part in now if made[part] != now[part]}


def outdated_cells(store: Store, plan: RunPlan) -> str:
    """That a folder's results are of other revisions, and what to do; empty where they are not."""
    records = [store.cell(cell.id).record() or {} for cell in plan.distinct]
    parts = [part for record in records if record for part in outdated(record["cell"]).items()]
    if not parts:
        return ""
    made = "; ".join(f"{what} of revision {was}, now {now}" for what, (was, now) in dict(parts).items())
    return f"EARLIER REVISION: some of these results were made by {made}. Run the spec again to make them with today's."


def made_before(works: Sequence[Work], store: Store) -> Iterator[str]:
    """What a plan's unfinished cells have been trained as before, and why that is no longer used."""
    left = [work.cell for work in works if not store.cell(work.cell.id).finished]
    revised = [cell for cell in left if any(store.cell(name).finished for name in _of_earlier_revisions(cell))]
    if revised:
        named = (part for cell in revised for part in cell.revised.values())
        parts = {f"{name} has revision {revision}" for name, revision in named if revision > 1}
        yield (
            f"{counted(len(revised), 'cell')} stored as made by an earlier revision, but by now "
            f"{', '.join(sorted(parts))}: made anew, and what is stored is kept"
        )
    general = [cell for cell in left if any(store.cell(name).finished for name in _without_recipe(cell))]
    if general:
        names = ", ".join(sorted({cell.model.name for cell in general}))
        yield (
            f"{counted(len(general), 'cell')} stored as trained by the general settings; by now {names} has a recipe "
            "(see `bench show model`): trained anew, under new IDs. To keep what is stored, write `optimizer: adam`"
        )
    decayed = [cell for cell in left if cell.train and store.cell(_with_earlier_decay(cell)).finished]
    if decayed:
        yield (
            f"{counted(len(decayed), 'cell')} stored with weight_decay 1e-05, the default of earlier versions, which "
            "is 0 now: trained anew, under new IDs. To keep what is stored, write `weight_decay: 1.0e-5`"
        )
    others = {path.name for path in (store.root / "cells").glob("*")} - {work.cell.id for work in works}
    elsewhere = [
        cell
        for cell in (left if others else ())
        if cell.train and any(name in others and _begun(store.cell(name)) for name in _resolved_elsewhere(cell))
    ]
    if elsewhere:
        here = " and ".join(sorted({f"{one.train.device} in {one.train.precision}" for one in elsewhere if one.train}))
        yield (
            f"{counted(len(elsewhere), 'cell')} stored, or begun, with another device or precision: trained here from "
            f"the start, on {here}, under other IDs. To go on with what is stored, set `train.device` and "
            "`train.precision` as they were"
        )


def _begun(folder: CellStore) -> bool:
    return folder.finished or folder.state().epoch > 0


def _resolved_elsewhere(cell: Cell) -> Iterator[str]:
    """The ids that a cell has where `auto` becomes another device or precision."""
    assert cell.train
    for device, precision in product(DEVICES, PRECISIONS):
        if (device, precision) != (cell.train.device, cell.train.precision):
            yield replace(cell, train=replace(cell.train, device=device, precision=precision), stored_as="").id


def _of_earlier_revisions(cell: Cell) -> Iterator[str]:
    """The ids that a cell had when its classes had lower revisions."""
    node, now = cell.node(), {kind: revision for kind, (_, revision) in cell.revised.items()}
    for numbers in product(*(range(1, revision + 1) for revision in now.values())):
        then = {kind: number for kind, number in zip(now, numbers, strict=True) if number > 1}
        if then != node.get("revisions", {}):
            yield digest({key: value for key, value in node.items() if key != "revisions"} | _given(then))


def _given(revisions: Mapping[str, int]) -> dict[str, Any]:
    return {"revisions": dict(revisions)} if revisions else {}


def _without_recipe(cell: Cell) -> list[str]:
    """The ids that a cell had before its model had a recipe, with today's and the earlier weight decay."""
    if not cell.recipe or not cell.train:
        return []
    train = replace(cell.train, **{key: getattr(Train, key) for key in cell.recipe})
    plain = replace(cell, train=resolve(train), stored_as="")
    return [plain.id, _with_earlier_decay(plain)]


def _with_earlier_decay(cell: Cell) -> str:
    """The id that a cell without weight decay had when that had to be asked for."""
    assert cell.train
    return replace(cell, train=replace(cell.train, weight_decay=EARLIER_DECAY), stored_as="").id
