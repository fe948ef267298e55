"""Which stored denoiser is meant: a cell by its folder, or by its model and noise in a results folder."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, FieldError, SpecError, shorten, unknown
from bench.core.labels import Label
from bench.core.values import from_text
from bench.models import as_fitted
from bench.noises import Noise, noises
from bench.results.records import Contender
from bench.results.revisions import outdated
from bench.results.store import CellStore, Store
from bench.spec.cells import Cell

MOST_LISTED = 20


@dataclass(frozen=True)
class Trained:
    """A finished cell, ready to denoise with.

    cell: without its training noise; its model with what was fitted in place of null.
    label: what it is and what it was trained on, in words. noise: what it is made for; None where that is unknown.
    ensemble: the smallest with which it was scored, or what was asked for.
    """

    folder: CellStore
    cell: Cell
    label: str
    noise: Noise | None = None
    ensemble: int = 1


@dataclass(frozen=True)
class _Candidate:
    """A finished cell that may be meant. made_for: what it was trained on or fitted to; empty where it was neither."""

    folder: CellStore
    name: str
    made_for: tuple[str, ...]
    trained: bool

    @classmethod
    def of(cls, folder: CellStore) -> "_Candidate":
        labels = (folder.record() or {})["labels"]
        noise = Label.parse(labels["train_noise"]) if labels["train_noise"] else None
        contender = Contender(Label.parse(labels["model"]), labels["objective"], noise)
        seed = "" if labels["seed"] is None else f", seed {labels['seed']}"
        trained_on = contender.trained_on
        made_for = (trained_on,) if trained_on else tuple(sorted(folder.fitted()))
        return cls(folder, contender.title + seed, made_for, bool(trained_on))

    def __str__(self) -> str:
        how = ", trained on " if self.trained else ", fitted to "
        return self.name + (how + " or ".join(self.made_for) if self.made_for else "")


def find(path: Path, model: str = "", noise: str = "", ensemble: int | None = None) -> Trained:
    """The finished cell that is meant.

    path: a cell's folder, or a results folder, of which `model` and `noise` name a cell.
    model, noise: as tables have them, or the name and any of the values: `unet`, `gaussian 0.1`.
    ensemble: how many flips and rotations to average over; None for as many as it was scored with.
    Raises SpecError with the candidates where several are left, or none; BenchError where nothing is finished.
    """
    found = _finished(path)
    if model:
        names = _meant("model", model, [candidate.name for candidate in found])
        found = [candidate for candidate in found if candidate.name in names]
    if noise:
        meant = _meant("noise", noise, [label for candidate in found for label in candidate.made_for])
        found = [candidate for candidate in found if not candidate.made_for or meant & {*candidate.made_for}]
    if len(found) > 1:
        listed = [f"  --with {candidate.folder.folder}  {candidate}" for candidate in found[:MOST_LISTED]]
        more = [f"  and {len(found) - MOST_LISTED} more"] if len(found) > MOST_LISTED else []
        how = "narrow it down with --model and --noise, or name a folder"
        raise SpecError("\n".join([f"{path} holds {len(found)} denoisers like that; {how}:", *listed, *more]))
    chosen = _loaded(found[0], noise)
    count = ensemble or next(iter(chosen.folder.ensembles()), 1)
    label = f"{chosen.label}; mean over {count} flips and rotations" if count > 1 else chosen.label
    return dataclasses.replace(chosen, label=label, ensemble=count)


def _finished(path: Path) -> list[_Candidate]:
    """The finished cells of a results folder in its plan's order, or the one whose folder it is."""
    store = Store(path)
    is_run = (path / "plan.json").exists()
    folders = [store.cell(cell.id) for cell in store.plan().distinct] if is_run else [CellStore(path)]
    found = [_Candidate.of(folder) for folder in folders if folder.finished]
    if not found:
        what = "give a folder like results/NAME/cells/ID, or results/NAME with --model and --noise"
        raise BenchError(f"{path} holds no finished cell: {what}")
    return found


def _meant(kind: str, given: str, names: Sequence[str]) -> set[str]:
    """The names that something given means. Raises SpecError where there are names but none is meant."""
    found = matching(given, names)
    if found or not names:
        return found
    heads = list(dict.fromkeys(_words(name)[0] for name in names))
    if _words(given)[:1] in [[head] for head in heads]:
        raise SpecError(f"no {kind} {shorten(given)} here; there are {', '.join(dict.fromkeys(names))}")
    raise SpecError(unknown(kind, given, heads))


def matching(given: str, names: Iterable[str]) -> set[str]:
    """The names that are given in full, or else those that begin with the first word given and have all the others.

    >>> sorted(matching("gaussian 0.1", ["gaussian(sigma=0.1)", "gaussian(sigma=0.1, clip=false)", "masking(p=0.1)"]))
    ['gaussian(sigma=0.1)', 'gaussian(sigma=0.1, clip=false)']
    """
    asked, words = _words(given), {name: _words(name) for name in names}
    exact = {name for name, own in words.items() if own == asked}
    return exact or {name for name, own in words.items() if own[:1] == asked[:1] and set(asked) <= set(own)}


def _words(name: str) -> list[str]:
    """The words of a name: `gaussian`, `sigma` and `0.1` of `gaussian(sigma=0.1)`."""
    return re.findall(r"[\w.+-]+", name)


def _loaded(candidate: _Candidate, noise: str) -> Trained:
    folder, record = candidate.folder, candidate.folder.record() or {}
    _check_revision(folder, record)
    cell = folder.cell(with_noise=False)
    if not cell.model.fits:
        images, side = record["cell"]["data"]["train"], record["size"]
        data = f"with {images:,} images of {record['dataset']}, {side} x {side}"
        label = f"{candidate} {data}" if "train_seconds" in record else f"{candidate.name}, which needs no training"
        return Trained(folder, cell, label, _noise(record["cell"]["noise"]))
    label, fitted_to = _fit(candidate, noise)
    cell = dataclasses.replace(cell, model=as_fitted(cell.model, label))
    if cell.model.fits:
        return Trained(folder, cell, f"{label} with its default, as there were no validation images to fit it to")
    known = _noise(_node(fitted_to[0])) if len(fitted_to) == 1 else None
    return Trained(folder, cell, f"{label}, fitted to {' or '.join(fitted_to)}", known)


def _check_revision(folder: CellStore, record: Mapping[str, Any]) -> None:
    """Refuse weights that belong to another revision of the model's code: there they mean something else."""
    for what, (made, now) in outdated(record["cell"]).items():
        if what.startswith("model "):
            raise BenchError(
                f"{folder.folder} was made by revision {made} of {what}, and this version has revision {now}, which "
                "computes something else. Run its spec again, or use the version of noise-bench that made it: "
                "environment.json of the results names it"
            )


def _fit(candidate: _Candidate, noise: str) -> tuple[str, list[str]]:
    """The label of a denoiser as it was fitted to the noise that is meant, or to any, and to which noises that was."""
    fitted = candidate.folder.fitted()
    meant = sorted(_meant("noise", noise, list(fitted)) if noise else fitted)
    labels = {fitted[to] for to in meant}
    if not labels:
        raise BenchError(f"{candidate.name} has not been fitted yet: run its spec")
    if len(labels) > 1:
        raise SpecError(f"{candidate.name} was fitted to several noises; name one with --noise: {', '.join(meant)}")
    return labels.pop(), meant


def _node(label: str) -> dict[str, Any]:
    """A label of plain values as a spec would write it."""
    parsed = Label.parse(label)
    return {parsed.name: {key: from_text(value) for key, value in parsed.params}}


def _noise(node: Any) -> Noise | None:
    """The noise of a node, None where there is none or it can't be read: too strong by now, or of a plug-in."""
    try:
        return noises.parse(node) if node else None
    except FieldError:
        return None
