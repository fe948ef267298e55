"""Grids: one instance for every combination of the values that a spec gives for each key."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, TypeVar

from bench.core.errors import FieldError, shorten
from bench.core.registry import Registered, Registry
from bench.core.settings import Settings

MAX_CELLS = 20_000
T = TypeVar("T", bound=Registered)
S = TypeVar("S", bound=Settings)
Choice = tuple[str, Any, tuple[str | int, ...]]  # a key, a value, and the path that leads to the value


def every(registry: Registry[T]) -> Callable[[Any], tuple[T, ...]]:
    """A parser of lists of nodes of one registry: each instance once, in order, grids expanded."""

    def parse_list(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list) or not value:
            raise FieldError(
                f"expected a list of at least one {registry.kind}; got {shorten(value)}. Valid: {', '.join(registry)}"
            )
        found: list[T] = []
        for position, node in enumerate(value):
            with under(position):
                name, params = registry.split(node)
                cls = registry[name]
                with under(name):
                    found += sweep(cls, params, cls.from_params, MAX_CELLS - len(found))
        return unique(found)

    return parse_list


def sweep(
    cls: type[Settings], params: Mapping[str, Any], make: Callable[[dict[str, Any]], S], room: int
) -> Sequence[S]:
    """Every point of the grid that params span, the class's first key outermost. Raises FieldError beyond `room`."""
    keys = cls.accepted()
    order = sorted(params, key=lambda key: keys.index(key) if key in keys else len(keys))
    choices = [_choices(key, params[key], cls.takes_list(key)) for key in order]
    points = math.prod(len(options) for options in choices)
    if points > room:
        raise FieldError(f"a grid of {points:,} points; one spec runs at most {MAX_CELLS:,} cells")
    return [_point(point, make) for point in product(*choices)]


def _choices(key: str, value: Any, takes_list: bool) -> list[Choice]:
    """The values that a key is given: a single one, or those of its grid."""
    steps: tuple[str, ...] = (key,)
    values = value
    if isinstance(value, Mapping) and "grid" in value:
        if len(value) > 1:
            raise FieldError(f"expected {{grid: [...]}} and nothing beside it; got {shorten(value)}", steps)
        steps, values = (key, "grid"), value["grid"]
    elif not isinstance(value, list) or takes_list:
        return [(key, value, steps)]
    if not isinstance(values, list) or not values:
        raise FieldError(f"expected a list with at least one value to try; got {shorten(values)}", steps)
    return [(key, item, (*steps, position)) for position, item in enumerate(values)]


def _point(point: Sequence[Choice], make: Callable[[dict[str, Any]], S]) -> S:
    """One point of a grid; its errors lead to the value's own place."""
    try:
        return make({key: value for key, value, _ in point})
    except FieldError as error:
        for key, _, steps in point:
            if error.path[:1] == (key,):
                raise FieldError(error.message, (*steps, *error.path[1:])) from None
        raise


@contextmanager
def under(step: str | int) -> Iterator[None]:
    """Put a step before the path of the FieldErrors raised inside."""
    try:
        yield
    except FieldError as error:
        raise error.under(step) from None


def unique(values: Sequence[Any]) -> tuple[Any, ...]:
    """Each value once, in order of first appearance."""
    return tuple(dict.fromkeys(values))
