"""Measured costs of training and scoring on this machine, in seconds per image, by kind of work."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Self

from bench.core import machine
from bench.metrics import Metric
from bench.models import Model
from bench.noises import Noise
from bench.spec import Train
from bench.spec.cells import Cell, Scoring
from bench.spec.protocol import with_ensemble

SETTINGS = ("batch_size", "optimizer", "precision", "threads", "device")  # of `train`, those that affect its speed


@dataclass(frozen=True)
class Cost:
    """Seconds per image of one kind of work.

    compiled: the same through torch.compile; None where it was not tried or failed.
    compiling: seconds to compile, once.
    """

    seconds: float
    compiled: float | None = None
    compiling: float = 0.0

    def gain(self, images: int) -> float:
        """Seconds that torch.compile saves over so many images, negative where it costs more than it saves."""
        return (self.seconds - self.compiled) * images - self.compiling if self.compiled is not None else 0.0


@dataclass(frozen=True)
class Costs:
    """Costs by kind of work, with methods for each kind; None where it was not measured."""

    known: Mapping[str, Cost] = field(default_factory=dict)

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> Self:
        """The costs that `node()` described; anything else is ignored."""
        names = {field.name for field in fields(Cost)}
        return cls({kind: Cost(**cost) for kind, cost in node.items() if isinstance(cost, dict) and set(cost) == names})

    def node(self) -> dict[str, Any]:
        """The costs as plain JSON values."""
        return {kind: asdict(cost) for kind, cost in sorted(self.known.items())}

    @property
    def start(self) -> float:
        """Seconds to start the processes."""
        return self.known.get(start_kind(), Cost(0.0)).seconds

    def training(self, model: Model, noise: Noise | None, train: Train, size: int) -> Cost | None:
        return self.known.get(training_kind(model, noise, train, size))

    def compiling_pays(self, cell: Cell) -> bool:
        """Whether torch.compile was measured to make a cell's training faster, the time to compile included."""
        if not self.known:  # naming a kind of work takes a look at the machine
            return False
        cost = self.training(cell.model, cell.noise, cell.train, cell.data["size"]) if cell.train else None
        return cost is not None and cost.gain(cell.images) > 0

    def scoring(self, model: Model, test: Scoring, metrics: Sequence[Metric], size: int) -> Cost | None:
        return self.known.get(scoring_kind(model, test, metrics, size))


def training_kind(model: Model, noise: Noise | None, train: Train, size: int) -> str:
    """The kind of work of a training; neither its length nor the level of its noise matters."""
    settings = {name: getattr(train, name) for name in SETTINGS}
    return _kind(training=model.node(), noise=noise.name if noise else None, settings=settings, size=size)


def scoring_kind(model: Model, test: Scoring, metrics: Sequence[Metric], size: int) -> str:
    """The kind of work of a test."""
    nodes = [metric.node() for metric in metrics]
    return _kind(
        **with_ensemble({"scoring": model.node(), "noise": test.noise.name, "metrics": nodes}, test.ensemble), size=size
    )


def start_kind() -> str:
    """The kind of work of starting the processes, in seconds altogether."""
    return _kind(starting="processes")


def _kind(**what: Any) -> str:
    return json.dumps({**what, "machine": _machine()}, sort_keys=True)


@cache
def _machine() -> dict[str, Any]:
    """What costs depend on beside the work."""
    found = machine.environment()
    return {
        "cpu": found["cpu"],
        "cores": found["cores"],
        "device": found["device"],
        "torch": found["libraries"]["torch"],
    }
