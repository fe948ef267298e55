"""What travels between rooms: a run's plan, the rows of its results, and who competes in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from bench.core.labels import Label
from bench.core.values import as_text
from bench.datasets import Notes
from bench.metrics import Average, Measure
from bench.results.code import Code
from bench.results.metrics import StoredMetric
from bench.results.noise_tests import PROTOCOL, NoiseTest
from bench.spec import Experiment, Train
from bench.spec.cells import LATER, Cell, Work
from bench.training.state import Epoch

LEADING = "psnr"
NONE = Notes()
ENSEMBLE = "ensemble"  # key in the label of a model whose outputs are averaged over flips and rotations


@dataclass(frozen=True)
class Contender:
    """Who competes: a model, what it was trained to do and on which noise, and those settings that the spec varies.

    >>> conv = Label.parse("conv(width=16)")
    >>> str(Contender(conv, "autoencode", settings=(("lr", 0.001),)))
    'conv(width=16) [autoencode], lr=0.001'
    >>> str(Contender(conv, "denoise", Label.parse("gaussian(sigma=0.1)")))
    'conv(width=16), trained on gaussian(sigma=0.1)'

    objective: empty for a model that is not trained by gradient. train_noise: None where the weights, if there are any,
    depend on no noise.
    settings: keys of `train` with their values, None where a model needs no training or its recipe gives the value.
    """

    model: Label
    objective: str = ""
    train_noise: Label | None = None
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, cell: Cell, varied: Sequence[str] = (), ensemble: int = 1) -> "Contender":
        """The contender that a cell with an ensemble belongs to, whatever its seed. varied: keys of `train`."""
        labels = cell.labels()
        model = Label.parse(labels["model"])
        if ensemble > 1:
            labels["model"] = str(replace(model, params=(*model.params, (ENSEMBLE, str(ensemble)))))
        given = cell.train if cell.train else None
        settings = {key: given.in_effect(key) if given and key not in cell.recipe else None for key in varied}
        return cls._from_labels(labels, settings)

    @classmethod
    def _from_labels(cls, labels: Mapping[str, Any], settings: Mapping[str, Any]) -> "Contender":
        noise = Label.parse(labels["train_noise"]) if labels["train_noise"] else None
        pairs = tuple((key, setting_value(value)) for key, value in settings.items())
        return cls(Label.parse(labels["model"]), labels["objective"], noise, pairs)

    @property
    def trained(self) -> bool:
        """Whether it has weights that were trained by gradient, other ones with each seed."""
        return self.objective != ""

    @property
    def title(self) -> str:
        """The model, with its objective where that is not the usual one."""
        return title(str(self.model), self.objective)

    @property
    def trained_on(self) -> str:
        """The noise it was trained on or solved for, `clean images`, or nothing."""
        return str(self.train_noise) if self.train_noise else "clean images" if self.trained else ""

    def with_settings(self) -> str:
        """Title and settings."""
        return ", ".join(
            [self.title, *(f"{key}={setting(value)}" for key, value in self.settings if value is not None)]
        )

    def __str__(self) -> str:
        return self.with_settings() + (f", trained on {self.train_noise}" if self.train_noise else "")


def title(model: str, objective: str) -> str:
    """A model's name with its objective in brackets, where that is not the usual one.

    >>> title("conv", "autoencode"), title("conv", "denoise")
    ('conv [autoencode]', 'conv')
    """
    return model if objective in ("", "denoise") else f"{model} [{objective}]"


def setting(value: Any) -> str:
    """A training setting as text."""
    return f"{value:g}" if isinstance(value, float) else as_text(value)


def setting_value(value: Any) -> Any:
    """A training setting as JSON gives it back, made comparable: a list as a tuple, a search as text.

    >>> setting_value({"search": [0.003, 0.001]})
    'search [0.001, 0.003]'
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {sorted(item)}" for key, item in value.items())
    return tuple(map(setting_value, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a run and the tests it is scored on, with one ensemble: one with two of them is there twice.

    match: its training noise without what belongs to the protocol. recipe: the settings that its model's recipe gives.
    assumes: the noise that its model takes every other for; empty for most. bits: of the pictures that it was scored
    from; 0 for values that were not rounded.
    """

    id: str
    contender: Contender
    seed: int | None
    match: str
    tests: tuple[NoiseTest, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ensemble: int = 1
    assumes: str = ""
    bits: int = 0

    @classmethod
    def of(cls, work: Work, varied: Sequence[str], ensemble: int = 1) -> "PlannedCell":
        """A cell about to be run."""
        cell = work.cell
        return cls(
            id=cell.id,
            contender=Contender.of(cell, varied, ensemble),
            seed=cell.seed,
            match=cell.noise.label(without=PROTOCOL) if cell.noise else "",
            tests=tuple(
                NoiseTest.of(test.noise, cell.data, test.seed) for test in work.tests if test.ensemble == ensemble
            ),
            recipe={key: cell.train.node()[key] for key in cell.recipe} if cell.train else {},
            ensemble=ensemble,
            assumes=cell.model.assumes,
        )

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "PlannedCell":
        """What `node()` gave."""
        settings = {key.removeprefix("train."): value for key, value in node["varied"].items()}
        rates = settings.pop("lr_search", None)  # a key of its own in plans of earlier versions
        settings |= {"lr": {"search": rates}} if rates else {}
        return cls(
            id=node["id"],
            contender=Contender._from_labels(node["labels"], settings),
            seed=node["labels"]["seed"],
            match=node["match"],
            tests=tuple(NoiseTest.from_node(test) for test in node["tests"]),
            recipe=node.get("recipe", {}),
            ensemble=node.get(ENSEMBLE, 1),
            assumes=node.get("assumes", ""),
            bits=node.get("bits", 0),
        )

    def node(self) -> dict[str, Any]:
        """This as plain JSON values."""
        contender = self.contender
        return {
            "id": self.id,
            "labels": {
                "model": str(contender.model),
                "objective": contender.objective,
                "train_noise": str(contender.train_noise or ""),
                "seed": self.seed,
            },
            "varied": {f"train.{key}": value for key, value in contender.settings},
            "match": self.match,
            "tests": [test.node() for test in self.tests],
            **({"recipe": dict(self.recipe)} if self.recipe else {}),
            **({ENSEMBLE: self.ensemble} if self.ensemble > 1 else {}),
            **({"assumes": self.assumes} if self.assumes else {}),
            **({"bits": self.bits} if self.bits else {}),
        }


@dataclass(frozen=True)
class RunPlan:
    """What a results folder was run for, in the order of its tables: all they need besides the markers.

    dataset: its label. stand_in_for: the dataset that was asked for and could not be had, or empty.
    data: the identity of the images. notes: what to know of them. note: the spec's own.
    train: the general training settings as the spec has them, those that have an effect. varied: those that vary.
    chosen: the columns of what validation images chose, `chosen_lr` and `fitted`, where something was left to choose.
    digests: checksums of the images of each part, whatever files they came from; none in older folders.
    code: of every class that it uses, when it was last run, as `bench.results.code` has it; none in older folders.
    """

    name: str
    dataset: str
    stand_in_for: str
    data: Mapping[str, Any]
    metrics: tuple[Measure, ...]
    varied: tuple[str, ...]
    train: Mapping[str, Any]
    seeds: tuple[int, ...]
    chosen: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    notes: Notes = NONE
    note: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        works: Sequence[Work],
        stand_in_for: str = "",
        notes: Notes = NONE,
        digests: Mapping[str, str] | None = None,
    ) -> "RunPlan":
        """The plan of an experiment about to be run."""
        searched = any(work.cell.trials() for work in works)
        fits = any(work.cell.model.fits for work in works)
        return cls(
            name=experiment.name,
            dataset=experiment.dataset.label() + (f" (stand-in for {stand_in_for})" if stand_in_for else ""),
            stand_in_for=stand_in_for,
            data=works[0].cell.data,
            metrics=tuple(map(StoredMetric.of, experiment.metrics)),
            varied=experiment.varied,
            train={key: value for key, value in experiment.node()["train"].items() if experiment.uses(key)},
            seeds=experiment.seeds,
            chosen=(*(["chosen_lr"] if searched else []), *(["fitted"] if fits else [])),
            cells=tuple(PlannedCell.of(work, experiment.varied, count) for work in works for count in work.ensembles),
            notes=notes,
            note=experiment.note,
            digests=digests or {},
            code=Code.of(experiment).everything(works),
        )

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "RunPlan":
        """What `node()` gave. Raises BenchError where that needs a plug-in's code."""
        return cls(
            name=node["name"],
            dataset=node["dataset"],
            stand_in_for=node["stand_in_for"],
            data=node["data"],
            metrics=tuple(map(StoredMetric.from_node, node["metrics"])),
            varied=tuple(dict.fromkeys(key.removeprefix("train.").removesuffix("_search") for key in node["varied"])),
            train={**{key: getattr(Train, key) for key in LATER}, **node["train"]},
            seeds=tuple(node["seeds"]),
            chosen=tuple(node["chosen"]),
            cells=tuple(PlannedCell.from_node(cell) for cell in node["cells"]),
            note=node.get("note", ""),
            digests=node.get("digests", {}),
            code=node.get("code", {}),
            notes=Notes(**{kind: tuple(notes) for kind, notes in node.get("notes", {}).items()}),
        )

    def node(self) -> dict[str, Any]:
        """This as plain JSON values."""
        return {
            "name": self.name,
            "dataset": self.dataset,
            "stand_in_for": self.stand_in_for,
            "data": dict(self.data),
            "metrics": [StoredMetric.of(metric).node() for metric in self.metrics],
            "varied": [f"train.{key}" for key in self.varied],
            "train": dict(self.train),
            "seeds": list(self.seeds),
            "chosen": list(self.chosen),
            "cells": [cell.node() for cell in self.cells],
            "note": self.note,
            "digests": dict(self.digests),
            "code": dict(self.code),
            "notes": {kind: list(notes) for kind, notes in asdict(self.notes).items()},
        }

    @cached_property
    def tests(self) -> tuple[NoiseTest, ...]:
        """Every test noise once, in the order in which cells are scored on them."""
        return tuple({test.id: test for cell in self.cells for test in cell.tests}.values())

    @cached_property
    def distinct(self) -> tuple[PlannedCell, ...]:
        """Every cell once, as it is planned with its smallest ensemble."""
        return tuple({cell.id: cell for cell in reversed(self.cells)}.values())[::-1]

    def same_images(self, other: "RunPlan") -> bool:
        """Whether both are of the same images, as far as that is recorded, whatever files they came from."""
        return bool(self.digests) and self.digests == other.digests

    @property
    def rows(self) -> int:
        """How many rows a finished run has."""
        return sum(len(cell.tests) for cell in self.cells)

    def by_recipe(self, cell: PlannedCell) -> str:
        """What a cell's recipe sets otherwise than the general settings, as `optimizer=muon, batch_size=16`."""
        return ", ".join(
            f"{key}={setting(value)}" for key, value in cell.recipe.items() if value != self.train.get(key)
        )

    @cached_property
    def recipes(self) -> dict[str, list[str]]:
        """The models that are trained by each recipe, by what it sets."""
        found: dict[str, list[str]] = {}
        for cell in self.distinct:
            if (text := self.by_recipe(cell)) and cell.contender.title not in found.setdefault(text, []):
                found[text].append(cell.contender.title)
        return found

    @property
    def leading(self) -> Measure:
        """The metric that headlines and samples go by: PSNR, or else the first there is."""
        return next((metric for metric in self.metrics if metric.column == LEADING), self.metrics[0])


@dataclass(frozen=True)
class ResultRow:
    """One cell scored on one test noise, or why it was not.

    state: `scored`, `failed` (error says why), or `open`: still to be run.
    averages: over the test images, by metric column. fitted: the denoiser with what was chosen on validation images.
    diagnostics: what was found out about a network when its training was finished, by name.
    code: of the classes that made it; none where that was not recorded. stale: those whose code the plan has otherwise.
    made_with: what its arithmetic depended on, as `machine.arithmetic` has it. elsewhere: what of it is not as in most.
    """

    cell: PlannedCell
    test: NoiseTest
    state: Literal["scored", "failed", "open"]
    error: str = ""
    n_images: int | None = None
    averages: Mapping[str, Average] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    train_seconds: float | None = None
    evaluate_seconds: float | None = None
    latency_ms: float | None = None
    latency_spread: float | None = None
    peak_memory_mb: float | None = None
    energy_wh: float | None = None
    chosen_lr: float | None = None
    fitted: str = ""
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    made_with: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def contender(self) -> Contender:
        return self.cell.contender

    @property
    def seed(self) -> int | None:
        return self.cell.seed

    @property
    def score_id(self) -> str:
        """The id under which its score is stored in the cell's folder."""
        return self.test.stored_as(self.cell.ensemble)

    @property
    def exact(self) -> int | None:
        """Images restored exactly; None without a score."""
        return max((average.exact for average in self.averages.values()), default=None)

    def mean(self, metric: Measure) -> float:
        """Infinite where every image is exact, NaN where nothing was measured."""
        found = self.averages.get(metric.column)
        return found.mean if found else math.nan

    def deviation(self, metric: Measure) -> float:
        """Over the images; NaN where there are fewer than two."""
        found = self.averages.get(metric.column)
        return found.deviation if found else math.nan

    def lacks(self, metric: Measure) -> bool:
        """Whether a run still has to compute its value: it is not scored, or was before the metric was asked for."""
        return self.state == "open" or (self.state == "scored" and metric.column not in self.averages)


@dataclass(frozen=True)
class History:
    """The epochs of one training."""

    contender: Contender
    seed: int | None
    epochs: tuple[Epoch, ...]
