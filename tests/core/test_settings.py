"""Settings: values arrive typed, bad ones are placed and explained, and lists are told from grids."""

from dataclasses import FrozenInstanceError, dataclass
from typing import Annotated, Any, Literal

import pytest

from bench.core.settings import Settings
from tests.helpers.dishes import Soup, dishes, fails


def test_values_arrive_typed() -> None:
    soup = dishes.parse({"soup": {"salt": 2, "kind": "leek", "tops": ["egg", "chives"], "warm": False, "pinch": None}})
    assert soup == Soup(salt=2.0, kind="leek", tops=("egg", "chives"), warm=False)
    assert type(soup.salt) is float
    with pytest.raises(FrozenInstanceError):
        soup.salt = 3  # type: ignore[misc]  # the test is that this fails


@pytest.mark.parametrize(
    ("params", "path", "says"),
    [
        ({"salt": 11}, ("salt",), "at most 10; got 11"),
        ({"salt": "1"}, ("salt",), "number"),
        ({"salt": True}, ("salt",), "number"),
        ({"salt": float("nan")}, ("salt",), "finite"),
        ({"salt": 10**400}, ("salt",), "got"),
        ({"kind": "bean"}, ("kind",), "'pea' or 'leek'; got 'bean'"),
        ({"warm": "yes"}, ("warm",), "true or false"),
        ({"tops": "egg"}, ("tops",), "'egg'"),
        ({"tops": ["egg", 3]}, ("tops", 1), "text"),
        ({"pinch": 1.5}, ("pinch",), "whole number"),
        ({"temperature": 9}, ("temperature",), "unknown key 'temperature'. Valid: warm, salt, kind, tops, pinch"),
        ({1: 2}, (1,), "unknown key 1"),
        ("salt", (), "expected keys and values"),
    ],
)
def test_bad_values_are_placed(params: Any, path: tuple[str | int, ...], says: Any) -> None:
    error = fails({"soup": params})
    assert error.path == ("soup", *path)
    assert says in error.message


def test_list_fields_are_told_from_grids() -> None:
    @dataclass(frozen=True)
    class Lists(Settings):
        a: tuple[int, ...] = ()
        b: list[int] | None = None
        c: Annotated[tuple[float, float], "pair"] = (0, 0)
        d: int = 0
        e: str | None = None
        f: Literal["x"] = "x"

    assert [key for key in "abcdef" if Lists.takes_list(key)] == ["a", "b", "c"]
    assert not Lists.takes_list("unknown")
