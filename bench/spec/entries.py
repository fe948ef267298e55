"""The models of a spec and how each is trained: general settings, the model's recipe, and settings of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from bench.core.errors import FieldError, shorten, unknown
from bench.core.settings import Settings
from bench.models import Model, models
from bench.spec.grids import MAX_CELLS, sweep, under, unique
from bench.spec.train_settings import TRAIN_KEYS, Train

OWN, RECIPE = "train", "recipe"  # what a trainable model takes beside the keys of its class
BUDGET = ("epochs", "images", "seconds")  # what a spec gives alone


@dataclass(frozen=True)
class Use(Settings):
    """How any model is used, beside the keys of its class: what is stored of it is the same.

    ensemble: outputs averaged for an image in scoring and in `bench denoise`: 8 takes each of its flips and rotations,
        turned back, at eight times the cost; 1 the image alone.
    """

    ensemble: Literal[1, 8] = 1

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError, also for `true`, which the library takes for 1."""
        for key, value in params.items():
            if type(value) is not int:
                raise FieldError(f"must be 1 or 8; got {shorten(value)}", (key,))
        return super().from_params(params)


@dataclass(frozen=True)
class Entry:
    """A model of a spec.

    train: every point of the grid of its settings; none where it needs no training.
    own: the keys that its `train` gives. recipe: those that come from its recipe. use: how it is scored.
    """

    model: Model
    train: tuple[Train, ...] = ()
    own: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    use: Use = Use()

    def node(self) -> dict[str, Any]:
        """The entry as a spec would write it: whatever its recipe gives, it is trained the same."""
        ((name, params),) = self.model.node().items()
        nodes = [train.node() for train in self.train]
        own = {key: distinct([node[key] for node in nodes]) for key in self.own}
        recipe = {key: nodes[0][key] for key in self.recipe}
        use = {} if self.use == Use() else asdict(self.use)
        return {name: {**params, **use, **({OWN: own} if own else {}), **({RECIPE: recipe} if recipe else {})}}

    def asked(self) -> list[dict[str, Any]]:
        """What the spec gives at each point of the grid, key by key; None where the recipe gives it."""
        return [{**train.node(), **dict.fromkeys(self.recipe)} for train in self.train]


@dataclass(frozen=True)
class Listed:
    """A model as a spec lists it. own, recipe: its keys of these names, the latter None where it has none."""

    model: Model
    use: Use
    own: Mapping[str, Any]
    recipe: Mapping[str, Any] | None

    def entry(self, general: Mapping[str, Any], train: tuple[Train, ...], room: int) -> Entry:
        """The model with its settings. Raises FieldError where these are more than `room`.

        general: the keys under the spec's `train`. train: every point of their grid.
        """
        if not self.model.trains:
            return Entry(self.model, use=self.use)
        recipe = self._recipe(general)
        if not recipe and not self.own:
            return Entry(self.model, train, use=self.use)
        points = sweep(Train, {**general, **recipe, **self.own}, settings, room)
        own, by_recipe = (tuple(key for key in TRAIN_KEYS if key in given) for given in (self.own, recipe))
        return Entry(self.model, unique(points), own, by_recipe, self.use)

    def _recipe(self, general: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the recipe that apply: its keys belong together, so none does beside another optimiser."""
        if self.recipe is not None:
            return {key: value for key, value in self.recipe.items() if key not in self.own}
        given = {**general, **self.own}
        known: Mapping[str, Any] = {} if "optimizer" in given else self.model.recipe
        return {key: value for key, value in _checked(known).items() if key not in given}


def distinct(values: Sequence[Any]) -> Any:
    """The value of a key as a spec writes it: one, or a grid of the distinct ones in order."""
    found = [value for position, value in enumerate(values) if value not in values[:position]]
    return found if len(found) > 1 else found[0]


def listed(value: Any) -> list[Listed]:
    """The models of a spec in order, grids of their keys expanded. Raises FieldError."""
    if not isinstance(value, list) or not value:
        raise FieldError(
            f"expected a list of at least one {models.kind}; got {shorten(value)}. Valid: {', '.join(models)}"
        )
    found: list[Listed] = []
    for position, node in enumerate(value):
        with under(position):
            name, params = models.split(node)
            cls = models[name]
            with under(name):
                given = {key: params[key] for key in beside(cls) if key in params}
                keys = {key: item for key, item in params.items() if key not in given}
                own, recipe = _own(given.get(OWN)), _checked(given[RECIPE]) if RECIPE in given else None
                uses = sweep(Use, {key: given[key] for key in Use.field_names() if key in given}, Use.from_params, 2)
                made = sweep(cls, keys, cls.from_params, (MAX_CELLS - len(found)) // len(uses))
                found += [Listed(model, use, own, recipe) for model in made for use in uses]
    return list({(one.model, one.use, repr(one.own), repr(one.recipe)): one for one in found}.values())


def beside(cls: type[Model]) -> list[str]:
    """What a node of a model may give beside the keys of its class."""
    return [*Use.field_names(), *((OWN, RECIPE) if cls.trains else ())]


def _own(value: Any) -> Mapping[str, Any]:
    """The settings that a model gives itself."""
    with under(OWN):
        grid(value)
    return value or {}


def _checked(recipe: Any) -> Mapping[str, Any]:
    """A recipe, unless it gives something else than one value for settings other than the budget."""
    with under(RECIPE):
        if not isinstance(recipe, Mapping):
            raise FieldError(f"expected keys and values as in {{optimizer: muon}}; got {shorten(recipe)}")
        for key in recipe:
            if key in BUDGET:
                raise FieldError("a recipe sets no budget: give it under train", (key,))
        settings(recipe)
    return recipe


def grid(value: Any) -> tuple[Train, ...]:
    """Every point of the grid of settings under a `train`."""
    if not isinstance(value, Mapping | None):
        raise FieldError(f"expected keys and values as in {{epochs: 10}}; got {shorten(value)}")
    return unique(sweep(Train, value or {}, settings, MAX_CELLS))


def settings(params: Mapping[str, Any]) -> Train:
    """The settings of one point. Raises FieldError."""
    for key in params:
        if key not in TRAIN_KEYS:
            raise FieldError(unknown("key", key, TRAIN_KEYS), (key,))
    given = dict(params)
    if isinstance(given.get("lr"), Mapping):
        with under("lr"):
            rates = _searched(given["lr"])
        given |= {"lr": rates[0], "lr_search": list(dict.fromkeys(rates))}
    return Train.from_params(given)


def _searched(value: Mapping[str, Any]) -> list[Any]:
    """The learning rates of `{search: [...]}`."""
    rates = value.get("search")
    if set(value) != {"search"} or not isinstance(rates, list) or not rates:
        raise FieldError(f"expected a number or {{search: [1e-3, 3e-3]}}; got {shorten(value)}")
    for position, rate in enumerate(rates):
        try:
            Train.from_params({"lr": rate})
        except FieldError as error:
            raise FieldError(error.message, ("search", position)) from None
    return rates
