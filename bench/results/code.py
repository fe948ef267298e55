"""The code that made results: markers say which classes had a part in them and of what code these were.

Code is no part of an id: a plug-in that was edited makes what it made before anew, under the same id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bench.metrics import Metric
from bench.models import Model
from bench.noises import Noise
from bench.spec import Experiment
from bench.spec.cells import Cell, Work
from bench.training.score import Score

METRIC = "metric "  # before a metric's column
NO_CODE: Mapping[str, str] = {}  # of which nothing is known


@dataclass(frozen=True)
class Code:
    """Today's code of the classes of a run, by what they are, as `model conv`.

    dataset: code of the dataset. metrics: of each, by `metric COLUMN`. keep: whether results of other code are taken.
    """

    dataset: Mapping[str, str]
    metrics: Mapping[str, str]
    keep: bool = False

    @classmethod
    def of(cls, experiment: Experiment, keep: bool = False) -> Self:
        """That of an experiment."""
        metrics = {
            f"{METRIC}{metric.column}": code for metric in experiment.metrics for code in metric.made_of().values()
        }
        return cls(experiment.dataset.made_of(), metrics, keep)

    def of_cell(self, cell: Cell) -> dict[str, str]:
        """Of all that has a part in a cell's weights."""
        return {**cell.model.made_of(), **(cell.noise.made_of() if cell.noise else {}), **self.dataset}

    def of_test(self, cell: Cell, noise: Noise) -> dict[str, str]:
        """Of all that has a part in its scores on a noise, its weights apart."""
        return {**cell.model.made_of(), **noise.made_of(), **self.dataset, **self.metrics}

    def everything(self, works: Iterable[Work]) -> dict[str, str]:
        """Of all that has a part in some works."""
        parts: dict[int, Model | Noise | None] = {}  # cells share most of them
        for work in works:
            parts |= {id(part): part for part in (work.cell.model, work.cell.noise, *(one.noise for one in work.tests))}
        made_of = (part.made_of() for part in parts.values() if part)
        return {**self.dataset, **self.metrics, **{name: code for found in made_of for name, code in found.items()}}

    def stale_cell(self, record: Mapping[str, Any] | None, cell: Cell) -> tuple[str, ...]:
        """What has changed since a cell was made, where that makes it one to make anew."""
        return () if self.keep or not record else changed(record, self.of_cell(cell))

    def stale_test(self, record: Mapping[str, Any] | None, cell: Cell, noise: Noise) -> tuple[str, ...]:
        """What has changed since a test was made, where that makes it one to make anew."""
        return () if self.keep or not record else changed(record, self.of_test(cell, noise))

    def to_compute(
        self,
        record: Mapping[str, Any] | None,
        cell: Cell,
        noise: Noise,
        wanted: Sequence[Metric],
        missing: Sequence[Metric],
    ) -> list[Metric]:
        """The metrics of a test to be computed: missing ones, and what other code has made.

        Values on images that other code has made never stand beside new ones.
        """
        now = self.of_test(cell, noise)
        stale = self.stale_test(record, cell, noise)
        if (missing or stale) and not same_images(record, now):
            return list(wanted)
        return [metric for metric in wanted if metric in missing or f"{METRIC}{metric.column}" in stale]


def changed(record: Mapping[str, Any] | None, now: Mapping[str, str]) -> tuple[str, ...]:
    """The classes that a marker names with other code than today's. Without a record of it nothing has changed."""
    made = (record or {}).get("code") or {}
    return tuple(part for part, code in made.items() if now.get(part, code) != code)


def same_images(record: Mapping[str, Any] | None, now: Mapping[str, str]) -> bool:
    """Whether what metrics were computed on was made by the code of today."""
    return all(part.startswith(METRIC) for part in changed(record, now))


def origin(record: Mapping[str, Any] | None, now: Mapping[str, str], score: Score) -> dict[str, Any]:
    """What the marker of a test says of what made it: a score's values are new, others as its marker had them."""
    new, before = {f"{METRIC}{column}" for column in score.values}, record or {}
    kept = {part: code for part, code in before.get("code", {}).items() if part.startswith(METRIC)}
    made = {part: code for part, code in now.items() if part in new or not part.startswith(METRIC)}
    made_with = dict.fromkeys((*before.get("made_with", ()), score.made_with))
    return {"code": {**kept, **made}, "made_with": [*filter(None, made_with)]}
