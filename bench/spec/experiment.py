"""What a spec asks for, typed: dataset, models, noises, training settings, metrics and seeds."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bench.core.errors import DataError, SpecError
from bench.datasets import Dataset, fallback
from bench.metrics import Metric, metrics
from bench.noises import Noise
from bench.spec.entries import Entry, distinct
from bench.spec.train_settings import TRAIN_KEYS, Train

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of an experiment, and so of a folder
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Experiment:
    """What one spec asks for, every grid expanded.

    models: with the settings of each. train: the general settings, of models without a recipe or settings of their own.
    fallback: name of the dataset that stands in where `dataset` is unavailable.
    test_noises: None means `same`: trained models are tested on the noise they were trained on, the others on all.
    test_seed: of the draw of the test noises; every one has scores of its own.
    note: what to say beside the results, for people.
    place: where the spec names its dataset, for messages; not part of what is run.
    """

    name: str
    dataset: Dataset
    fallback: str | None
    models: tuple[Entry, ...]
    noises: tuple[Noise, ...]
    test_noises: tuple[Noise, ...] | None = None
    train: tuple[Train, ...] = (Train(),)
    metrics: tuple[Metric, ...] = tuple(metrics.parse(name) for name in ("mse", "psnr", "ssim"))
    seeds: tuple[int, ...] = (0,)
    test_seed: int = 0
    note: str = ""
    place: str = field(default="", compare=False)

    @property
    def varied(self) -> tuple[str, ...]:
        """The keys of `train` that the spec gives more than one value; what recipes give does not count."""
        own = {key for entry in self.models for key in entry.own}
        general = [train.node() for train in self.train]
        everyone = [*general, *(asked for entry in self.models for asked in entry.asked())]

        def varies(key: str) -> bool:
            first, *others = [asked[key] for asked in (everyone if key in own else general)]
            return any(value != first for value in others)

        return tuple(filter(varies, TRAIN_KEYS))

    def uses(self, key: str) -> bool:
        """Whether a key of the general settings has an effect."""
        return any(train.in_effect(key) is not None for train in self.train)

    @property
    def trainings(self) -> tuple[Train, ...]:
        """The settings of every training, each once; the general ones where nothing is trained."""
        found = dict.fromkeys(train for entry in self.models for train in entry.train)
        return tuple(found) or self.train

    def retrained(self, change: Callable[[Train], Train]) -> "Experiment":
        """The same experiment with every training's settings changed."""
        models = tuple(replace(entry, train=tuple(map(change, entry.train))) for entry in self.models)
        return replace(self, models=models, train=tuple(map(change, self.train)))

    def with_fallback(self) -> "Experiment":
        """The same experiment on the dataset that its spec names as fallback. Raises SpecError where it names none."""
        if self.fallback is None:
            raise SpecError("this spec names no fallback dataset")
        return replace(self, dataset=fallback(self.dataset, self.fallback))

    @contextmanager
    def at_dataset(self) -> Iterator[None]:
        """Prefix errors about the images with the place where the spec names its dataset."""
        try:
            yield
        except (DataError, SpecError) as error:
            raise type(error)(f"{self.place}: {error}" if self.place else str(error)) from None

    def node(self) -> dict[str, Any]:
        """A spec of this experiment, every default given."""
        settings = [train.node() for train in self.train]
        return {
            "name": self.name,
            "dataset": {
                "name": self.dataset.name,
                **({"fallback": self.fallback} if self.fallback else {}),
                **self.dataset.params(),
            },
            "models": [entry.node() for entry in self.models],
            "noises": [noise.node() for noise in self.noises],
            "test_noises": "same" if self.test_noises is None else [noise.node() for noise in self.test_noises],
            "train": {key: distinct([node[key] for node in settings]) for key in TRAIN_KEYS},
            "metrics": [metric.node() for metric in self.metrics],
            "seeds": list(self.seeds),
            "test_seed": self.test_seed,
            **({"note": self.note} if self.note else {}),
        }


KEYS = [
    field.name for field in dataclasses.fields(Experiment) if field.name not in ("fallback", "place")
]  # that a spec may give
REQUIRED = ("name", "dataset", "models", "noises")
