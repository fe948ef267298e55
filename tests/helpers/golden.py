"""What every registered class gives on fixed inputs, in numbers that are the same on every machine but for rounding.

`python -m tests.helpers.golden` writes those that are missing, and those of classes whose `revision` was raised.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench.core.registry import Registered
from bench.datasets import Dataset, datasets
from bench.metrics import compute, metrics
from bench.models import ClosedForm, Model, TrainableModel, models
from bench.models.base import OBJECTIVE_REVISIONS
from bench.noises import noises
from bench.spec import Train
from bench.spec.cells import Cell
from bench.training.closed_form import Batches
from bench.training.objectives import Phase, loss
from tests.helpers.images import Node, draw_for
from tests.helpers.models import NODES

FILE = Path(__file__).parent / "golden.json"
OBJECTIVES = ("denoise", "autoencode", "noise2noise", "noise2void")
ELSEWHERE = {"cifar10", "bm3d"}  # an archive that is held against a checksum, and an extra of its own package
PLAIN = "first "  # before what depends on torch's generator, which may change with its version
COMPOSED: Node = {"compose": {"of": [{"masking": {"p": 0.5}}, {"blur": {"sigma": 1.0}}]}}


def images(count: int = 8, size: int = 32, phase: float = 0.0) -> torch.Tensor:
    """(count, 3, size, size) float32 in steps of 1 / 255: waves with edges in them."""
    number, channel, y, x = np.meshgrid(*map(np.arange, (count, 3, size, size)), indexing="ij", sparse=True)
    wave = np.sin(0.7 * number + channel + y * (0.2 + 0.05 * number) + phase) * np.cos(0.3 * x - 0.5 * channel)
    edge = ((x + 2 * y + 3 * number) % 16 < 5) * 0.3
    return torch.from_numpy(np.round(255 * np.clip(0.5 + 0.35 * wave + edge - 0.1, 0, 1)) / 255).float()


def pixels_of(pictures: torch.Tensor) -> np.ndarray:
    return (255 * pictures).round().byte().numpy()


def shape_of(values: torch.Tensor) -> dict[str, float]:
    """A few numbers that say what a tensor holds and where: few changes leave all of them as they are."""
    flat = values.detach().double().flatten()
    waves = torch.cos(torch.arange(len(flat), dtype=torch.float64) * 0.37)
    found = {"mean": flat.mean(), "spread": flat.std(), "wave": (flat * waves).mean(), "square": flat.square().mean()}
    return {name: float(value) for name, value in found.items()}


def fill(network: nn.Module) -> None:
    """Give a network weights that depend on no generator, of the size that usual first weights have."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not values.is_floating_point():
                continue
            steps = torch.arange(values.numel(), dtype=torch.float64).view_as(values)
            wave = torch.sin(steps * 1.7 + 0.3 * steps.square() % 6.0)
            inputs = values[0].numel() if values.dim() > 1 else 1
            centred = 1.4 * wave / inputs**0.5 if values.dim() > 1 else 0.1 * wave
            one = values.dim() < 2 and (name.endswith("weight") or "var" in name)
            values.copy_(1 + centred if one else centred)


def of_model(model: Model) -> dict[str, float]:
    if isinstance(model, ClosedForm):
        return of_closed_form(model)
    clean = images()
    noisy = noises.parse("gaussian").apply(clean, draw_for(clean))
    if not isinstance(model, TrainableModel):
        chosen = model.fit(noisy, clean) if model.fits else model
        return shape_of(chosen.build(32)(noisy))
    torch.manual_seed(0)
    network = model.build(32)
    model.start(network, noisy, clean)
    first = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    found = {f"{PLAIN}size": float(first.double().square().mean().sqrt()), "parameters": float(len(first))}
    fill(network)
    network.train()
    value = model.loss(network, noisy, clean, draw_for(clean))
    value.backward()
    slopes = [parameter.grad.double() for parameter in network.parameters() if parameter.grad is not None]
    found |= {"loss": value.item(), "slope": float(sum(slope.square().sum() for slope in slopes)) ** 0.5}
    with torch.no_grad():
        return found | shape_of(network.eval()(noisy))


def of_closed_form(model: ClosedForm) -> dict[str, float]:
    clean = images(size=16)
    pairs = Batches(pixels_of(clean), noises.parse("gaussian"))
    with torch.no_grad():
        return shape_of(model.solve(pairs, 16).eval()(noises.parse("gaussian").apply(clean, draw_for(clean))))


def of_objective(objective: str) -> dict[str, float]:
    train = Train(precision="float32", device="cpu")
    model = cast(TrainableModel, models.parse({"dncnn": {"width": 4, "depth": 3, "objective": objective}}))
    cell = Cell(model, None if objective == "autoencode" else noises.parse("gaussian"), 0, train, {})
    network = model.build(32)
    fill(network)
    return {"loss": loss(cell, network, pixels_of(images(24)), np.arange(3, 21), Phase("train", 0, 1)).item()}


def of_dataset(name: str) -> dict[str, float]:
    keys: dict[str, Any] = {"size": 16, "train": 12, "test": 6, "validation": 0.25}
    with tempfile.TemporaryDirectory() as folder:
        if name == "folder":
            for part, count, phase in (("train", 16, 0.0), ("test", 6, 0.9)):
                (Path(folder) / part).mkdir()
                for number, picture in enumerate(pixels_of(images(count, 40, phase))):
                    target = Path(folder) / part / f"{number}.png"
                    Image.fromarray(picture.transpose(1, 2, 0)).save(target)
            keys["root"] = folder
        data = datasets.parse({name: keys}).load()
        parts = {part: torch.tensor(getattr(data, part) / 255) for part in ("train", "validation", "test")}
    return {f"{part} {what}": value for part, found in parts.items() for what, value in shape_of(found).items()}


def of(thing: Registered) -> dict[str, float]:
    """The numbers of one registered class with some keys."""
    if isinstance(thing, Model):
        return of_model(thing)
    if isinstance(thing, Dataset):
        return of_dataset(thing.name)
    clean = images()
    if thing.registry is noises:
        return shape_of(noises.parse(thing.node()).apply(clean, draw_for(clean)))
    metric = metrics.parse(thing.node())
    (values,) = compute([metric], images(phase=0.4), clean).values()
    return shape_of(values)


def subjects() -> dict[str, Registered | str]:
    """What is looked at, by its key in the file."""
    found: list[Registered] = [noises.parse(node) for node in (*noises, COMPOSED)]
    found += [models.parse(node) for node in NODES]
    found += [metrics.parse(name) for name in metrics]
    found += [metrics.parse({"pairwise_distance": {"over": "image"}})]
    found += [datasets.parse(name) for name in ("photos", "gaussian_field", "mixture")]
    found += [datasets.parse({"folder": {"root": "."}})]
    ours = [one for one in found if type(one).__module__.startswith("bench.")]
    named = {one: one.name if isinstance(one, Dataset) else one.label() for one in ours}
    things: dict[str, Registered | str] = {f"{one.registry.kind} {name}": one for one, name in named.items()}
    return {**things, **{f"objective {objective}": objective for objective in OBJECTIVES}}


def revision_of(subject: Registered | str) -> int:
    return OBJECTIVE_REVISIONS.get(subject, 1) if isinstance(subject, str) else subject.revision


def numbers_of(subject: Registered | str) -> dict[str, float]:
    return of_objective(subject) if isinstance(subject, str) else of(subject)


def known() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def renewed() -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of the file as they must be: an entry stays as it is until its revision is raised."""
    before = known()
    for key, subject in subjects().items():
        revision = revision_of(subject)
        if before.get(key, {}).get("revision") == revision:
            yield key, before[key]
        else:
            numbers = {what: float(f"{value:.7g}") for what, value in numbers_of(subject).items()}
            yield key, {"revision": revision, **numbers}


if __name__ == "__main__":
    lines = [f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in renewed()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
