"""A small registry of nothing that the package has: dishes, and menus that hold other dishes."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le

from bench.core.errors import FieldError
from bench.core.registry import Registered, Registry


@dataclass(frozen=True)
class Dish(Registered):
    """Something to eat.

    warm: whether it is served warm.
    """

    warm: bool = True


dishes: Registry[Dish] = Registry("dish", Dish)


@dishes.register("soup")
@dataclass(frozen=True)
class Soup(Dish):
    """Water with things in it.

    salt: grams of salt,
        more or less.
    kind: what swims in it.
    tops: what lies on it.
    pinch: herbs, if any.
    Source: Grandmother 1950.
    """

    salt: Annotated[float, Ge(0), Le(10)] = 1.0
    kind: Literal["pea", "leek"] = "pea"
    tops: tuple[str, ...] = ()
    pinch: int | None = None


@dishes.register("menu")
@dataclass(frozen=True)
class Menu(Dish):
    """Several dishes.

    of: the dishes, first served first.
    dessert: the last one.
    late: one for whoever stays.
    """

    of: tuple[Dish, ...] = (Soup(),)
    dessert: Dish = field(default=Soup(salt=0))
    late: Dish | None = None


def fails(node: Any) -> FieldError:
    """The error that reading a node of a spec ends in."""
    with pytest.raises(FieldError) as caught:
        dishes.parse(node)
    return caught.value
