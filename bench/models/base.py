"""What a denoiser is: a class that a spec names, which builds a torch module that maps images to images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

from annotated_types import Ge, Le

from bench.core.errors import FieldError
from bench.core.labels import Label
from bench.core.lazy import Lazy, functional, nn, torch
from bench.core.registry import Registered, Registry
from bench.core.rng import Draw
from bench.core.values import from_text

if TYPE_CHECKING:
    from bench.models import _layers as layers
else:
    layers = Lazy("bench.models._layers")

__all__ = [
    "DIAGNOSTICS",
    "OBJECTIVE_REVISIONS",
    "ClosedForm",
    "Model",
    "NonNegative",
    "Pairs",
    "TrainableModel",
    "Width",
    "as_fitted",
    "by_muon",
    "layers",
    "models",
]

Width = Annotated[int, Ge(1), Le(4096)]
NonNegative = Annotated[float, Ge(0)]
OBJECTIVE_REVISIONS = {"noise2void": 2}  # above 1; raised as that of a class, for cells of the objective alone

# What is found out about a network once its training is finished, on validation images with the noise it trained on.
DIAGNOSTICS = {
    "unexplained": "mean squared error, divided by that of the mean of the training images: 1 where nothing was learnt",
    "units": "units of the code; channels, where it has a height and a width",
    "dead_units": "units whose value is the same in all places of all images",
    "zeros": "share of the code's values that are 0",
    "sensitivity": "squared norm of a unit's gradient by the image, divided by its variance; the mean over units",
    "active_units": "units whose divergence from N(0, 1) is more than 0.01 nats at a place, on average",
    "divergence": "of a unit from N(0, 1) at a place, in nats; the mean over units",
    "dead_entries": "entries of the codebook that no place of any image uses",
    "perplexity": "of the use of the codebook: as many entries, used alike, would say as much",
    "effective_dimension": "number of directions in which the code's vectors vary",
}


def by_muon(rate: float) -> Mapping[str, Any]:
    """The recipe that most networks share: Muon, small batches, flips.

    rate: the learning rate of the matrices, `muon_lr`.
    """
    return {
        "optimizer": "muon",
        "lr": 2e-3,
        "muon_lr": rate,
        "batch_size": 16,
        "schedule": "cosine",
        "warmup": 0.03,
        "flips": True,
    }


@dataclass(frozen=True)
class Model(Registered):
    """A denoiser. Those with weights derive from TrainableModel or ClosedForm."""

    trains: ClassVar[bool] = False
    # Training keys that suit the family, but for the budget; they apply together, unless a spec names an optimizer.
    recipe: ClassVar[Mapping[str, Any]] = {}
    assumes: ClassVar[str] = ""  # the name of the noise that it takes every other for, where it was made for one
    most_images: ClassVar[int | None] = None  # that it is ever tested on, where it is very slow

    # Which images a built module takes. Families override these two as properties; a plug-in may write the constant,
    # `any_size = False`.

    @property
    def any_size(self) -> bool:
        """Whether it takes images of other sizes than the one it was built for."""
        return True

    @property
    def multiple(self) -> int:
        """What their height and width must be multiples of, in pixels."""
        return 1

    @property
    def largest(self) -> int | None:
        """The side of the largest images it can be built for, in pixels; None where there is no limit."""
        return None

    @property
    def fits(self) -> bool:
        """Whether a key is null, for `fit` to choose."""
        return False

    def fitting(self, images: int) -> int:
        """How many images `fit` denoises in total, given this many pairs."""
        return 0

    def fit(self, noisy: "torch.Tensor", clean: "torch.Tensor") -> Self:
        """This denoiser with its null key chosen on validation images; itself where none is null.

        noisy, clean: (N, 3, H, W) float32, pairs of corrupted and clean images.
        """
        return self

    def build(self, size: int) -> "nn.Module":
        """A module from corrupted images to estimates of the clean ones.

        size: height and width of the images it is built for.
        The module maps float32 (N, 3, size, size) in [0, 1] to the same shape; scoring clips its output to [0, 1].
        """
        raise TypeError(f"model {self.name!r} must define build(size)")


@dataclass(frozen=True)
class TrainableModel(Model):
    """A denoiser with weights to train.

    objective: `denoise` (corrupted in, clean out), `autoencode` (clean in, clean out), or one without clean images:
        `noise2noise` (corrupted in, another corruption of the same image out; Lehtinen et al. 2018, arXiv:1803.04189)
        or `noise2void` (values hidden from the network are predicted from their surroundings; Krull et al. 2019,
        arXiv:1811.10980). These two learn the mean of the corrupted images given the clean one, and are refused for
        noises of which that is another image.
    """

    trains: ClassVar[bool] = True
    objective: Literal["denoise", "autoencode", "noise2noise", "noise2void"] = "denoise"

    @property
    def blind(self) -> bool:
        """Whether it is trained without clean images, by an objective that learns the mean of corrupted ones."""
        return self.objective in ("noise2noise", "noise2void")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError, also for an objective that doesn't suit the family."""
        found = super().from_params(params)
        if found.objective == "noise2void" and cls.loss is not TrainableModel.loss:
            raise FieldError(
                f"{cls.name} has a loss of its own, and noise2void scores hidden pixels only: "
                "use denoise, autoencode or noise2noise",
                ("objective",),
            )
        return found

    def start(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor") -> None:
        """Give a network weights that come from the training images, before its first step; by default none.

        inputs, targets: (N, 3, H, W) float32, what the objective trains on, of some thousand training images.
        """

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        """The loss to minimise, a scalar: mean squared error unless a family has its own.

        inputs, targets: (N, 3, H, W) float32. draw: the batch's randomness for what the loss itself draws.
        """
        return functional.mse_loss(network(inputs).float(), targets)

    def diagnose(self, network: "nn.Module", images: "torch.Tensor", draw: Draw) -> dict[str, float]:
        """What reviewers ask of a trained network, by names of DIAGNOSTICS or others; by default nothing.

        images: (N, C, H, W) float32, as the network gets them. draw: for what the measures themselves draw.
        """
        return {}


class Pairs(Protocol):
    """Batches of clean and corrupted training images, float32 (N, 3, H, W); both clean where the noise is no matter.

    They are the same each time they are read, and `len` is the number of batches.
    """

    @property
    def held(self) -> "Pairs":
        """Pairs of validation images, for choices; empty where there are none."""

    def again(self, draw: int, mirrored: bool = False) -> "Pairs":
        """The same images, mirrored left to right or not, under another draw of the noise; these are draw 0."""

    def __len__(self) -> int: ...

    def __iter__(self) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]": ...


@dataclass(frozen=True)
class ClosedForm(Model):
    """A denoiser whose weights the training images determine at once, without seed, settings or epochs."""

    for_noise: ClassVar[bool] = False  # whether they depend on the training noise; if so there is one for each

    def solve(self, pairs: Pairs, size: int) -> "nn.Module":
        """The module that `build(size)` gives, with its weights."""
        raise TypeError(f"model {self.name!r} must define solve(pairs, size)")


models: Registry[Model] = Registry("model", Model)


def as_fitted(model: Model, label: str) -> Model:
    """The model whose label was stored after fitting, which replaced what was null."""
    values = dict(Label.parse(label).params)
    null = [key for key in model.field_names() if getattr(model, key) is None and key in values]
    changes: dict[str, Any] = {key: from_text(values[key]) for key in null}
    return replace(model, **changes)
