"""Strict validation of plain values by a dataclass's types, with errors in plain words."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bench.core.errors import FieldError, nearest, shorten

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


@dataclass(frozen=True)
class Meant:
    """Part of a field's type, beside its bounds: what a number outside them was probably meant to be.

    reading: such a number to a sentence, or to nothing where it suggests nothing.
    """

    reading: Callable[[float], str]


EIGHT_BITS = Meant(lambda value: f"Did you mean {value:g}/255 = {value / 255:.3f}?" if 1 < value <= 255 else "")
PERCENT = Meant(lambda value: f"Did you mean {value:g} % = {value / 100:g}?" if 1 < value <= 100 else "")
OF_HUNDRED = Meant(lambda value: f"Did you mean {100 * value:g}?" if 0 < value < 1 else "")
PIXELS = Meant(lambda value: "It is in pixels")


def validate(cls: type[T], params: Mapping[str, Any]) -> T:
    """An instance of a dataclass from plain values. Raises FieldError for the first bad one."""
    try:
        # From JSON pydantic takes a list for a tuple, and is strict about all other types.
        given = {key: _unsigned(value) for key, value in params.items()}
        return _adapter(cls).validate_json(json.dumps(given, default=repr))
    except ValidationError as failed:
        raise _field_error(cls, failed.errors()[0]) from None


def _unsigned(value: Any) -> Any:
    """A value with 0 in place of -0, which is the same number but would be written, and so named, otherwise."""
    if isinstance(value, list | tuple):
        return [_unsigned(item) for item in value]
    return 0.0 if type(value) is float and value == 0 else value


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if cls not in _adapters:  # building one takes a millisecond, and a grid has thousands of points
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def _field_error(cls: type[Any], error: Mapping[str, Any]) -> FieldError:
    path = error["loc"]
    nested = error.get("ctx", {}).get("error")
    if isinstance(nested, FieldError):
        return nested.under(*path)
    if error["type"] == "missing":
        return FieldError("must be given", path)
    value, phrase = error.get("input"), _phrase(error)
    hint = nearest(value, re.findall("'([^']*)'", phrase)) if error["type"] == "literal_error" else ""
    return FieldError(f"{phrase}; got {shorten(value)}{'.' if hint else ''}{hint}{_meant(cls, path, value)}", path)


def _meant(cls: type[Any], path: tuple[str | int, ...], value: Any) -> str:
    """What a refused number was probably meant to be, as a further sentence."""
    if len(path) != 1 or type(value) not in (int, float) or value < 0:
        return ""
    hint = get_type_hints(cls, include_extras=True).get(str(path[0]))
    readings = (meant.reading(value) for meant in _metadata(hint) if isinstance(meant, Meant))
    return "".join(f". {reading}" for reading in readings if reading)


def _metadata(hint: Any) -> Iterator[Any]:
    """Everything that the Annotated parts of a type hold."""
    for part in get_args(hint):
        yield part
        yield from _metadata(part)


def _phrase(error: Mapping[str, Any]) -> str:
    """What the field must be."""
    limits = {key: _number(value) for key, value in error.get("ctx", {}).items()}
    if phrase := PHRASES.get(error["type"]):
        return phrase.format(**limits)
    message: str = error["msg"]
    return message.replace("Input should be", "must be")


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
