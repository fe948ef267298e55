"""Classes whose typed fields are YAML keys: defaults, bounds and descriptions are written once, in the class."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, get_args, get_origin, get_type_hints

from pydantic import ConfigDict

from bench.core.docstrings import documented
from bench.core.errors import FieldError, unknown
from bench.core.validation import validate


@dataclasses.dataclass(frozen=True)
class Settings:
    """A base for frozen dataclasses. Each typed field is a YAML key; its docstring line `key: text` describes it."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError for an unknown key or a bad value."""
        keys = cls.accepted()
        for key in params:
            if key not in keys:
                raise FieldError(unknown("key", key, keys), (key,))
        return validate(cls, params)

    @classmethod
    def field_names(cls) -> list[str]:
        """The names of the fields, in their order."""
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that YAML may give: the fields, and whatever else a subclass's `from_params` understands."""
        return cls.field_names()

    @classmethod
    def key_schemas(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """JSON Schemas of the accepted keys, from those of the fields."""
        return fields

    @classmethod
    def takes_list(cls, key: str) -> bool:
        """Whether a YAML list is one value of this key, not a grid of values."""
        hint = get_type_hints(cls).get(key)
        return any(get_origin(part) in (tuple, list) for part in (hint, *get_args(hint)))

    @classmethod
    def describe(cls) -> tuple[str, dict[str, str]]:
        """The docstring's first line, and the description of each key."""
        return documented(cls)
