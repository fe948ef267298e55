"""The registry: what may register, how a spec's nodes are read, and how they are written."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, cast

import pytest

from bench.core.registry import Registered
from bench.noises import Range
from tests.helpers.dishes import Dish, Menu, Soup, dishes, fails


def test_names_lead_to_classes() -> None:
    assert list(dishes) == ["menu", "soup"]
    assert dishes["soup"] is Soup
    assert Soup.name == "soup"
    assert "soup" in dishes
    assert "stew" not in dishes


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"dish 'soup' is already registered by .*Soup; names taken: menu, soup"):

        @dishes.register("soup")
        @dataclass(frozen=True)
        class Other(Dish):
            pass

    assert dishes["soup"] is Soup


@pytest.mark.parametrize("name", ["", "Soup", "pea soup", "pea-soup", "1soup", "_soup", "../soup", "suppé", "soup\n"])
def test_ill_formed_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters, digits and underscores"):
        dishes.register(name)


def test_only_dataclasses_of_the_kind_register() -> None:
    class Plain(Soup):
        pass

    @dataclass(frozen=True)
    class Chair(Registered):
        pass

    refused: tuple[Any, ...] = (Plain, Chair)
    for cls in refused:
        with pytest.raises(ValueError, match="must be a dataclass derived from Dish"):
            dishes.register("other")(cls)
    assert "other" not in dishes


@pytest.mark.parametrize(
    "node", ["stew", {"soupe": {}}, "SOUP", None, 3, True, [], {}, ["soup"], {"soup": {}, "menu": {}}]
)
def test_unknown_or_odd_nodes_list_what_is_valid(node: Any) -> None:
    message = fails(node).message
    assert "Valid: menu, soup" in message
    assert "dish" in message


def test_the_nearest_name_is_offered() -> None:
    assert "Did you mean soup?" in fails("suop").message
    assert "Did you mean" not in fails("xylophone").message
    assert "Did you mean salt?" in fails({"soup": {"slat": 1}}).message


def test_long_values_are_abbreviated() -> None:
    assert len(fails("x" * 100_000).message) < 200
    assert len(fails({"soup": {"salt": "9" * 100_000}}).message) < 200


def test_every_way_to_write_the_defaults() -> None:
    assert dishes.parse("soup") == dishes.parse({"soup": {}}) == dishes.parse({"soup": None}) == Soup()


def test_nested_things_are_read_and_their_errors_placed() -> None:
    inner = {"menu": {"of": [{"soup": {"salt": 3}}], "late": "soup"}}
    menu = dishes.parse({"menu": {"of": ["soup", inner], "dessert": {"soup": {"salt": 4}}}})
    assert menu == Menu(of=(Soup(), Menu(of=(Soup(salt=3.0),), late=Soup())), dessert=Soup(salt=4.0))
    error = fails({"menu": {"of": ["soup", {"menu": {"of": [{"soup": {"salt": 30}}]}}]}})
    assert error.path == ("menu", "of", 1, "menu", "of", 0, "soup", "salt")
    assert "at most 10; got 30" in error.message
    for key in ("dessert", "late"):
        error = fails({"menu": {key: "supo"}})
        assert error.path == ("menu", key)
        assert "Did you mean soup?" in error.message


def test_labels_show_own_keys_always_and_inherited_ones_if_changed() -> None:
    assert Soup().label() == "soup(salt=1.0, kind=pea, tops=[], pinch=null)"
    assert Soup(warm=False).label() == "soup(salt=1.0, kind=pea, tops=[], pinch=null, warm=false)"
    assert Soup(warm=False).label(without=("warm", "tops", "pinch")) == "soup(salt=1.0, kind=pea)"
    assert Menu().label().startswith("menu(of=[soup(salt=1.0, kind=pea")
    assert Soup.own_keys() == ["salt", "kind", "tops", "pinch"]


def test_what_a_node_says_is_read_back() -> None:
    menu = Menu(of=(Soup(tops=("egg",)), Menu()), warm=False)
    assert dishes.parse(menu.node()) == menu
    assert Soup(salt=cast(Any, Range(0.5, 1.5))).params()["salt"] == {"range": [0.5, 1.5]}


def test_reading_specs_needs_no_torch() -> None:
    check = """
import sys
from bench.metrics import metrics
from bench.noises import noises
noises.parse("gaussian").label(), metrics.parse("ssim").column, noises.schema(), metrics.schema()
sys.exit(", ".join({"torch", "scipy", "skimage", "pandas", "seaborn"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
