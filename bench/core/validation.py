"""Strict validation of plain values by a dataclass's types, with errors in plain words."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bench.core.errors import FieldError, shorten

T = TypeVar("T")

PHRASES = {
    "less_than_equal": "must be at most {le}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "greater_than": "must be greater than {gt}",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must be a list of at least {min_length}",
    "string_too_short": "must be text of at least {min_length} characters",
}


def validate(cls: type[T], params: Mapping[str, Any]) -> T:
    """An instance of a dataclass from plain values. Raises FieldError for the first bad one."""
    try:
        # From JSON pydantic takes a list for a tuple, and is strict about all other types.
        return _adapter(cls).validate_json(json.dumps(params, default=repr))
    except ValidationError as failed:
        raise _field_error(failed.errors()[0]) from None


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if cls not in _adapters:  # building one takes a millisecond, and a grid has thousands of points
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    path = error["loc"]
    nested = error.get("ctx", {}).get("error")
    if isinstance(nested, FieldError):
        return nested.under(*path)
    if error["type"] == "missing":
        return FieldError("must be given", path)
    return FieldError(f"{_phrase(error)}; got {shorten(error.get('input'))}", path)


def _phrase(error: Mapping[str, Any]) -> str:
    """What the field must be."""
    limits = {key: _number(value) for key, value in error.get("ctx", {}).items()}
    if phrase := PHRASES.get(error["type"]):
        return phrase.format(**limits)
    message: str = error["msg"]
    return message.replace("Input should be", "must be")


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
