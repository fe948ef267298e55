"""The optimiser of a training: torch's, or Muon for the matrices and AdamW for all else."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.core.lazy import Lazy, nn, torch
from bench.spec import Train
from bench.training.state import as_arrays

muon = Lazy("bench.training.muon")

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
MOMENTUM = 0.9


class Optimizer:
    """Steps the weights of a network; what it remembers goes into a state and comes back from it.

    stored: what a state has of it, as INDEX/NAME, where INDEX is the place of a weight among the network's.
    """

    def __init__(self, network: "nn.Module", train: Train, stored: Mapping[str, np.ndarray]) -> None:
        self.weights = list(network.parameters())
        self.parts = _parts(network, train)
        self.longest = train.grad_clip
        slots: dict[int, dict[str, Any]] = {}
        for path, value in stored.items():
            index, _, name = path.partition("/")
            slots.setdefault(int(index), {})[name] = _like(self.weights[int(index)], value)
        remembered = {self.weights[index]: found for index, found in slots.items()}
        for part, _ in self.parts:
            mine = [weight for group in part.param_groups for weight in group["params"]]
            state = {place: remembered[weight] for place, weight in enumerate(mine) if weight in remembered}
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})

    def step(self, factor: float) -> None:
        """Step by the gradients, at the learning rates times a factor, and forget the gradients."""
        if self.longest:
            nn.utils.clip_grad_norm_(self.weights, self.longest)
        for part, rate in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def slots(self) -> dict[str, np.ndarray]:
        """What it remembers, as `stored`."""
        return {
            f"{index}/{name}": value
            for index, weight in enumerate(self.weights)
            for part, _ in self.parts
            if weight in part.state
            for name, value in as_arrays(part.state[weight]).items()
        }


def _parts(network: "nn.Module", train: Train) -> list[tuple["torch.optim.Optimizer", float]]:
    """Torch's optimisers with their learning rates; each steps weights of its own."""
    weights, decay = list(network.parameters()), train.weight_decay
    if train.optimizer != "muon":
        settings = {"momentum": MOMENTUM} if train.optimizer == "sgd" else {}
        make = getattr(torch.optim, OPTIMIZERS[train.optimizer])
        return [(make(weights, lr=train.lr, weight_decay=decay, fused=True, **settings), train.lr)]
    matrices = muon.matrices(network)
    others = [weight for weight in weights if not any(weight is matrix for matrix in matrices)]
    rest = torch.optim.AdamW(others, lr=train.lr, weight_decay=decay, fused=True)
    if not matrices:
        return [(rest, train.lr)]
    return [(muon.Muon(matrices, train.muon_lr, decay), train.muon_lr), (rest, train.lr)]


def _like(weight: "torch.Tensor", value: np.ndarray) -> "torch.Tensor":
    """A stored array as the tensor an optimiser keeps for a weight."""
    stored = torch.from_numpy(np.array(value))
    # Fused optimisers walk through memory element by element: their tensors must lie there as the weight does.
    return torch.empty_like(weight).copy_(stored) if stored.shape == weight.shape else stored
