"""The settings under a spec's key `train`: how a model is trained."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt

from bench.core.settings import Settings


@dataclass(frozen=True)
class Train(Settings):
    """How a model is trained.

    epochs: passes over the training images, at most; without effect where `images` is given.
    images: if given, train on this many images in all instead of on whole epochs.
    seconds: if given, stop after this much training and validation, unless the epochs are done first. Such a result
        depends on the machine and its load.
    batch_size: images per step.
    optimizer: adam, adamw, sgd (momentum 0.9) or muon: weight matrices of all layers but the first and the last move by
        orthogonalised momentum (Jordan et al. 2024), everything else as with adamw.
    lr: learning rate at the start; `{search: [...]}` trains with each and keeps the best on validation images.
    lr_search: the learning rates of such a search.
    muon_lr: learning rate of muon's matrices at the start; `lr` is that of everything else.
    weight_decay: as torch's optimiser of that name uses it: all but adam shrink each weight by it; adam adds it to the
        gradient, and so moves a weight without a gradient of its own by the whole learning rate in each step.
    schedule: learning rate over the budget: constant, or cosine down to 0.
    warmup: share of the budget over which the learning rate first rises from 0.
    grad_clip: if given, the largest norm of the gradient of all weights together; longer ones are shortened to it.
    flips: mirror each training image left to right with probability 1/2, drawn anew every epoch.
    precision: float32, bfloat16 (autocast), or auto: bfloat16 where the hardware computes in it.
    compile: on trains through torch.compile, off does not; auto: only where `bench plan --measure` has found on this
        machine that this training gains more time than compiling takes.
    threads: torch threads of one training; part of the cell, since thread counts change rounding.
    device: cpu, cuda, or auto.
    keep: the weights kept: those of the epoch with the lowest validation loss (best), or the last.
    """

    epochs: Annotated[int, Ge(1), Le(100_000)] = 10
    images: Annotated[int, Ge(1), Le(10**12)] | None = None
    seconds: Annotated[float, Gt(0), Le(10**8)] | None = None
    batch_size: Annotated[int, Ge(1), Le(65_536)] = 128
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    lr: Annotated[float, Gt(0), Le(100)] = 1e-3
    lr_search: tuple[Annotated[float, Gt(0), Le(100)], ...] = ()
    muon_lr: Annotated[float, Gt(0), Le(100)] = 0.015
    weight_decay: Annotated[float, Ge(0), Le(100)] = 0.0
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: Annotated[float, Ge(0), Lt(1)] = 0.0
    grad_clip: Annotated[float, Gt(0), Le(10**6)] | None = None
    flips: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    keep: Literal["best", "last"] = "best"

    def node(self) -> dict[str, Any]:
        """The settings as a spec would write them, every key given."""
        lr = {"search": list(self.lr_search)} if self.lr_search else self.lr
        return {key: lr if key == "lr" else getattr(self, key) for key in TRAIN_KEYS}

    def in_effect(self, key: str) -> Any:
        """What a spec gives for a key; None where another key overrides it."""
        idle = (key == "epochs" and self.images) or (key == "muon_lr" and self.optimizer != "muon")
        return None if idle else self.node()[key]

    def settled(self) -> Self:
        """The same training in the one way in which ids know it: what has no effect is set to a fixed value."""
        rates = tuple(sorted(set(self.lr_search)))
        epochs = type(self).epochs if self.images else self.epochs
        return replace(self, epochs=epochs, lr=rates[0] if rates else self.lr, lr_search=rates)


TRAIN_KEYS = [key for key in Train.field_names() if key != "lr_search"]  # that a spec may give
