"""The registry: what may register, how a spec's nodes are read, and that the schema agrees with the reader."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench.core.errors import FieldError
from bench.core.registry import Registered, Registry
from bench.core.schema import class_schema
from bench.core.settings import Settings
from bench.metrics import metrics
from bench.models import models
from bench.noises import Range, noises


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
    """

    of: tuple[Dish, ...] = (Soup(),)
    dessert: Dish = field(default=Soup(salt=0))


def fails(node):
    with pytest.raises(FieldError) as caught:
        dishes.parse(node)
    return caught.value


def test_names_lead_to_classes():
    assert list(dishes) == ["menu", "soup"]
    assert dishes["soup"] is Soup
    assert Soup.name == "soup"
    assert "soup" in dishes
    assert "stew" not in dishes


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match=r"dish 'soup' is already registered by .*Soup; names taken: menu, soup"):

        @dishes.register("soup")
        @dataclass(frozen=True)
        class Other(Dish):
            pass

    assert dishes["soup"] is Soup


@pytest.mark.parametrize("name", ["", "Soup", "pea soup", "pea-soup", "1soup", "_soup", "../soup", "suppé", "soup\n"])
def test_ill_formed_names_are_refused(name):
    with pytest.raises(ValueError, match="lower-case letters, digits and underscores"):
        dishes.register(name)


def test_only_dataclasses_of_the_kind_register():
    class Plain(Soup):
        pass

    @dataclass(frozen=True)
    class Chair(Registered):
        pass

    for cls in (Plain, Chair):
        with pytest.raises(ValueError, match="must be a dataclass derived from Dish"):
            dishes.register("other")(cls)
    assert "other" not in dishes


@pytest.mark.parametrize(
    "node", ["stew", {"soupe": {}}, "SOUP", None, 3, True, [], {}, ["soup"], {"soup": {}, "menu": {}}]
)
def test_unknown_or_odd_nodes_list_what_is_valid(node):
    message = fails(node).message
    assert "Valid: menu, soup" in message
    assert "dish" in message


def test_the_nearest_name_is_offered():
    assert "Did you mean soup?" in fails("suop").message
    assert "Did you mean" not in fails("xylophone").message
    assert "Did you mean salt?" in fails({"soup": {"slat": 1}}).message


def test_long_values_are_abbreviated():
    assert len(fails("x" * 100_000).message) < 200
    assert len(fails({"soup": {"salt": "9" * 100_000}}).message) < 200


def test_every_way_to_write_the_defaults():
    assert dishes.parse("soup") == dishes.parse({"soup": {}}) == dishes.parse({"soup": None}) == Soup()


def test_values_arrive_typed():
    soup = dishes.parse({"soup": {"salt": 2, "kind": "leek", "tops": ["egg", "chives"], "warm": False, "pinch": None}})
    assert soup == Soup(salt=2.0, kind="leek", tops=("egg", "chives"), warm=False)
    assert type(soup.salt) is float
    with pytest.raises(FrozenInstanceError):
        soup.salt = 3


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
def test_bad_values_are_placed(params, path, says):
    error = fails({"soup": params})
    assert error.path == ("soup", *path)
    assert says in error.message


def test_nested_things_are_read_and_their_errors_placed():
    menu = dishes.parse(
        {"menu": {"of": ["soup", {"menu": {"of": [{"soup": {"salt": 3}}]}}], "dessert": {"soup": {"salt": 4}}}}
    )
    assert menu.of == (Soup(), Menu(of=(Soup(salt=3.0),)))
    assert menu.dessert == Soup(salt=4.0)
    error = fails({"menu": {"of": ["soup", {"menu": {"of": [{"soup": {"salt": 30}}]}}]}})
    assert error.path == ("menu", "of", 1, "menu", "of", 0, "soup", "salt")
    assert "at most 10; got 30" in error.message
    error = fails({"menu": {"dessert": "supo"}})
    assert error.path == ("menu", "dessert")
    assert "Did you mean soup?" in error.message


def test_labels_show_own_keys_always_and_inherited_ones_if_changed():
    assert Soup().label() == "soup(salt=1.0, kind=pea, tops=[], pinch=null)"
    assert Soup(warm=False).label() == "soup(salt=1.0, kind=pea, tops=[], pinch=null, warm=false)"
    assert Soup(warm=False).label(without=("warm", "tops", "pinch")) == "soup(salt=1.0, kind=pea)"
    assert Menu().label().startswith("menu(of=[soup(salt=1.0, kind=pea")
    assert Soup.own_keys() == ["salt", "kind", "tops", "pinch"]


def test_what_a_node_says_is_read_back():
    menu = Menu(of=(Soup(tops=("egg",)), Menu()), warm=False)
    assert dishes.parse(menu.node()) == menu
    assert Soup(salt=Range(0.5, 1.5)).params()["salt"] == {"range": [0.5, 1.5]}


def test_documentation_comes_from_the_docstrings():
    summary, texts = Soup.describe()
    assert summary == "Water with things in it."
    assert texts == {
        "warm": "whether it is served warm.",
        "salt": "grams of salt, more or less.",
        "kind": "what swims in it.",
        "tops": "what lies on it.",
        "pinch": "herbs, if any.",
    }


@pytest.mark.parametrize("registry", [noises, metrics, models], ids=lambda registry: registry.kind)
def test_every_key_of_everything_registered_is_documented(registry):
    for name in registry:
        summary, texts = registry[name].describe()
        assert summary.endswith("."), name
        assert set(texts) == set(registry[name].field_names()), name


def test_list_fields_are_told_from_grids():
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


def validator(registry):
    """Accepts what the JSON Schema of one registry's nodes accepts."""
    schema = {"$ref": f"#/$defs/{registry.kind}", "$defs": {registry.kind: registry.schema()}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def reads(registry, node):
    try:
        registry.parse(node)
    except FieldError:
        return False
    return True


NUMBERS = st.sampled_from([0, 1, -1, 3, 6, 11, 50, 0.5, 1.5, -0.5, 123456.5])
RANGES = st.lists(NUMBERS, min_size=1, max_size=3).map(lambda ends: {"range": sorted(ends)})
OTHERS = st.sampled_from([True, False, None, "element", "row", "pea", "", {}, {"range": 1}, {"rnage": [0, 1]}])


@pytest.mark.parametrize("registry", [dishes, noises, metrics], ids=lambda registry: registry.kind)
@given(data=st.data())
def test_the_schema_accepts_exactly_what_is_read(registry, data):
    name = data.draw(st.sampled_from([*registry, "unknown"]))
    keys = registry[name].accepted() if name in registry else []
    key = data.draw(st.sampled_from([*keys, "unknown"]))
    given_key = (NUMBERS | RANGES | OTHERS).map(lambda value: {name: {key: value}})
    node = data.draw(st.sampled_from([name, {name: None}, {name: {}}]) | given_key)
    assert validator(registry).is_valid(node) == reads(registry, node)


@pytest.mark.parametrize(
    ("node", "valid"),
    [
        ({"gaussian": {"severity": 3}}, True),
        ({"gaussian": {"severity": 6}}, False),
        ({"masking": {"severity": 3}}, False),
        ({"gaussian": {"sigma": {"range": [0, 0.2]}}}, True),
        ({"gaussian": {"clip": {"range": [0, 1]}}}, False),
        ({"jpeg": {"quality": {"range": [10, 90]}}}, True),
        ({"compose": {"of": ["gaussian", {"compose": {"of": [{"masking": {"p": 0.5}}]}}]}}, True),
        ({"compose": {"of": ["gaussian", {"compose": {"of": [{"masking": {"p": 1.5}}]}}]}}, False),
        ({"compose": {"of": []}}, False),
    ],
)
def test_the_schema_of_nested_and_drawn_values(node, valid):
    assert validator(noises).is_valid(node) == reads(noises, node) == valid


def test_the_schema_allows_grids():
    schema = validator(noises)
    assert schema.is_valid({"gaussian": {"sigma": [0.1, 0.2, {"range": [0, 0.3]}], "severity": [1, 2]}})
    assert schema.is_valid({"gaussian": {"sigma": {"grid": [0.1, 0.2]}}})
    assert not schema.is_valid({"gaussian": {"sigma": [0.1, -0.2]}})
    assert validator(dishes).is_valid({"soup": {"tops": {"grid": [["egg"], []]}}})
    assert not validator(dishes).is_valid({"soup": {"tops": [["egg"], []]}})


def test_the_schema_carries_the_documentation():
    described = class_schema(noises["gaussian"])
    assert described["description"].startswith("Additive white Gaussian noise")
    assert all(value["description"] for value in described["properties"].values())


def test_reading_specs_needs_no_torch():
    check = """
import sys
from bench.metrics import metrics
from bench.noises import noises
noises.parse("gaussian").label(), metrics.parse("ssim").column, noises.schema(), metrics.schema()
sys.exit(", ".join({"torch", "scipy", "skimage", "pandas", "seaborn"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
