"""JSON Schema accepts exactly what is read, and carries the documentation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench.core.errors import FieldError
from bench.core.registry import Registry
from bench.core.schema import class_schema
from bench.metrics import metrics
from bench.noises import noises
from tests.helpers.dishes import dishes
from tests.helpers.images import Node


def validator(registry: Registry[Any]) -> Draft202012Validator:
    """Accepts what the JSON Schema of one registry's nodes accepts."""
    schema = {"$ref": f"#/$defs/{registry.kind}", "$defs": {registry.kind: registry.schema()}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def reads(registry: Registry[Any], node: Node) -> bool:
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
def test_the_schema_accepts_exactly_what_is_read(registry: Registry[Any], data: st.DataObject) -> None:
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
def test_the_schema_of_nested_and_drawn_values(node: Node, valid: bool) -> None:
    assert validator(noises).is_valid(node) == reads(noises, node) == valid


def test_the_schema_allows_grids() -> None:
    schema = validator(noises)
    assert schema.is_valid({"gaussian": {"sigma": [0.1, 0.2, {"range": [0, 0.3]}], "severity": [1, 2]}})
    assert schema.is_valid({"gaussian": {"sigma": {"grid": [0.1, 0.2]}}})
    assert not schema.is_valid({"gaussian": {"sigma": [0.1, -0.2]}})
    assert validator(dishes).is_valid({"soup": {"tops": {"grid": [["egg"], []]}}})
    assert not validator(dishes).is_valid({"soup": {"tops": [["egg"], []]}})


def test_the_schema_carries_the_documentation() -> None:
    described = class_schema(noises["gaussian"])
    assert described["description"].startswith("Additive white Gaussian noise")
    assert all(value["description"] for value in described["properties"].values())


@pytest.mark.parametrize(
    ("keys", "valid"),
    [
        ({"of": ["soup", {"menu": {"of": [{"soup": {"salt": 3}}]}}]}, True),
        ({"of": ["soup", {"menu": {"of": [{"soup": {"salt": 30}}]}}]}, False),
        ({"dessert": {"soup": {"kind": "leek"}}}, True),
        ({"dessert": {"soup": {"kind": "bean"}}}, False),
        ({"dessert": None}, False),
        ({"late": {"soup": {"warm": False}}}, True),
        ({"late": {"soup": {"warm": 1}}}, False),
        ({"late": None}, True),
    ],
)
def test_fields_of_the_base_type_refer_to_everything_registered(keys: dict[str, Any], valid: bool) -> None:
    node = {"menu": keys}
    assert validator(dishes).is_valid(node) == reads(dishes, node) == valid
    references = [class_schema(dishes["menu"])["properties"][key]["anyOf"][0] for key in ("of", "dessert", "late")]
    assert all("#/$defs/dish" in str(reference) for reference in references)
