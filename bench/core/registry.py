"""One mechanism for noises, models, datasets and metrics: a name finds a class.

The name is typed once, at the class's decorator. The class is a frozen dataclass whose typed fields are its YAML keys:
their defaults, bounds, descriptions (the docstring's `key: text` lines) and JSON Schema all come from there.
"""

import dataclasses
import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, get_origin, get_type_hints

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from bench.core.errors import FieldError, shorten, unknown
from bench.core.labels import Label

NAME = re.compile(r"[a-z][a-z0-9_]*")
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclasses.dataclass(frozen=True)
class Range:
    """A level drawn anew for each image, uniformly from [low, high]."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Registered:
    """What a spec can name. Subclasses are frozen dataclasses; each typed field is a YAML key.

    revision: raised whenever the same keys come to mean something else, so that no older result passes for a new one.
    """

    __pydantic_config__ = CONFIG
    name: ClassVar[str] = ""
    revision: ClassVar[int] = 1

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """An instance from its YAML keys. Raises FieldError for an unknown key or a bad value."""
        return validate(cls, params)

    @classmethod
    def field_names(cls) -> list[str]:
        """The fields."""
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that YAML may give: the fields, and what a subclass reads besides."""
        return cls.field_names()

    @classmethod
    def key_schemas(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """JSON Schemas of the accepted keys, from those of the fields."""
        return fields

    @classmethod
    def own_keys(cls) -> list[str]:
        """The keys that this kind of thing adds to those of its abstract bases."""
        shared = {
            field.name
            for base in cls.__mro__[1:]
            if dataclasses.is_dataclass(base) and not getattr(base, "name", "")
            for field in dataclasses.fields(base)
        }
        return [key for key in cls.field_names() if key not in shared]

    @classmethod
    def describe(cls) -> tuple[str, dict[str, str]]:
        """The docstring's first line, and the text that it or a base's docstring has for each key."""
        return documented(cls)

    def params(self) -> dict[str, Any]:
        """Every field as plain JSON values."""
        return {key: plain(getattr(self, key)) for key in self.field_names()}

    def label(self, without: tuple[str, ...] = ()) -> str:
        """`name(key=value, ...)`: own fields always, inherited ones where they differ from the default."""
        own = self.own_keys()
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        shown = tuple(
            (key, as_text(getattr(self, key)))
            for key in sorted(self.field_names(), key=lambda key: key not in own)
            if key not in without and (key in own or getattr(self, key) != defaults[key])
        )
        return str(Label(self.name, shown))

    def node(self) -> dict[str, Any]:
        """This as a spec would write it, every key given: {name: {key: value}}."""
        return {self.name: self.params()}


T = TypeVar("T", bound=Registered)


class Registry(Generic[T]):
    """Classes of one kind by name.

    kind: what they are called in messages ("noise").
    base: the class all of them derive from.
    """

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind = kind
        self.base = base
        self._classes: dict[str, type[T]] = {}
        _attach(base, self)

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Decorate a class so that specs can name it. Raises ValueError for a name taken or ill-formed."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{self.kind} name {name!r}: use lower-case letters, digits and underscores")

        def add(cls: type[T]) -> type[T]:
            if name in self._classes:
                taken = self._classes[name]
                raise ValueError(
                    f"{self.kind} {name!r} is already registered by {taken.__module__}.{taken.__qualname__}; "
                    f"names taken: {', '.join(self)}"
                )
            if not issubclass(cls, self.base) or "__dataclass_params__" not in cls.__dict__:
                raise ValueError(f"{cls.__qualname__} must be a dataclass derived from {self.base.__name__}")
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def __getitem__(self, name: object) -> type[T]:
        if not isinstance(name, str) or name not in self._classes:
            raise FieldError(unknown(self.kind, name, self))
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))  # whatever the order in which files were imported

    def parse(self, node: Any) -> T:
        """An instance from `name` or `{name: {key: value}}`. Raises FieldError."""
        name, params = self.split(node)
        cls = self[name]
        try:
            return cls.from_params(params)
        except FieldError as error:
            raise error.under(name) if isinstance(node, Mapping) else error from None

    def split(self, node: Any) -> tuple[str, Mapping[str, Any]]:
        """The name and the keys that a node of a spec gives."""
        if isinstance(node, str):
            return node, {}
        if not isinstance(node, Mapping) or len(node) != 1:
            raise FieldError(
                f"expected the name of a {self.kind}, or one name with its keys as in {{name: {{key: value}}}}; "
                f"got {shorten(node)}. Valid: {', '.join(self)}"
            )
        ((name, params),) = node.items()
        if name not in self:
            raise FieldError(unknown(self.kind, name, self), (name,))
        if params is None:
            params = {}
        if not isinstance(params, Mapping):
            raise FieldError(f"expected keys and values; got {shorten(params)}", (name,))
        return name, params

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a node of a spec that names one of these."""
        return {
            "anyOf": [
                {"enum": list(self), "description": f"a {self.kind} with its defaults"},
                *(
                    {
                        "type": "object",
                        "properties": {name: class_schema(cls)},
                        "required": [name],
                        "additionalProperties": False,
                    }
                    for name, cls in ((name, self[name]) for name in self)
                ),
            ]
        }


def import_modules(package: str, folders: Iterable[str]) -> None:
    """Import every public module of a package, so that whatever they register is found by being there."""
    for module in pkgutil.iter_modules(folders):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")


def validate(cls: type[Any], params: Mapping[str, Any]) -> Any:
    """An instance of a dataclass from plain values, strictly typed. Raises FieldError."""
    keys = cls.accepted() if issubclass(cls, Registered) else [field.name for field in dataclasses.fields(cls)]
    for key in params:
        if key not in keys:
            raise FieldError(unknown("key", key, keys), (key,))
    try:
        # Through JSON: strict on types, yet a list stands for a tuple.
        return _adapter(cls).validate_json(json.dumps(params, default=repr))
    except ValidationError as failed:
        first = failed.errors()[0]
        nested = first.get("ctx", {}).get("error")
        path = first["loc"]
        if isinstance(nested, _Nested):
            raise nested.error.under(*path) from None
        if first["type"] == "missing":
            raise FieldError("must be given", path) from None
        raise FieldError(f"{_phrase(first)}; got {shorten(first.get('input'))}", path) from None


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if cls not in _adapters:  # building one takes a millisecond, and a grid has thousands of points
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


_PHRASES = {
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


def _phrase(error: Mapping[str, Any]) -> str:
    """What a field must be, in plain words."""
    facts = {key: _number(value) for key, value in error.get("ctx", {}).items()}
    if phrase := _PHRASES.get(error["type"]):
        return phrase.format(**facts)
    message: str = error["msg"]
    return message.replace("Input should be", "must be")


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def is_list_field(cls: type[Any], key: str) -> bool:
    """Whether a YAML list is one value of this field, not a grid of values."""
    hint = get_type_hints(cls).get(key)
    return get_origin(hint) in (tuple, list) or any(
        get_origin(part) in (tuple, list) for part in getattr(hint, "__args__", ())
    )


def documented(cls: type[Any]) -> tuple[str, dict[str, str]]:
    """A dataclass's docstring: its first line, and the text of each field's `key: text`, the bases' included."""
    keys = [field.name for field in dataclasses.fields(cls)]
    texts: dict[str, str] = {}
    lines: list[str] = []
    for base in reversed(cls.__mro__):
        lines = (base.__doc__ or "").strip().splitlines()
        key = ""
        for line in lines[1:]:
            found = re.match(r"\s*(\w+): (.+)", line)
            if found and found[1] in keys:
                key = found[1]
                texts[key] = found[2].strip()
            elif key and line.startswith("     ") and not found:
                texts[key] += " " + line.strip()
            else:
                key = ""
    return (lines[0] if lines else ""), texts


def class_schema(cls: type[Any]) -> dict[str, Any]:
    """JSON Schema of a class's keys, with the docstring's texts and grids allowed."""
    # The generator resolves every $ref itself, so a reference to another registry travels through it as a comment.
    schema = json.loads(json.dumps(TypeAdapter(cls).json_schema()).replace('"$comment": "#/', '"$ref": "#/'))
    values = schema.get("properties", {})
    summary, texts = documented(cls)
    if issubclass(cls, Registered):
        values = cls.key_schemas(values)
    properties = {}
    for key, value in values.items():
        several = with_grids(value, is_list_field(cls, key))
        properties[key] = {"description": texts.get(key, value.get("description", "")), "anyOf": several}
    return {"type": ["object", "null"], "description": summary, "properties": properties, "additionalProperties": False}


def with_grids(value: dict[str, Any], takes_list: bool = False) -> list[dict[str, Any]]:
    """JSON Schemas of a value and of the grids that a spec may write in its place."""
    several = {"type": "array", "items": value, "minItems": 1}
    grid = {"type": "object", "properties": {"grid": several}, "required": ["grid"], "additionalProperties": False}
    return [value, grid] if takes_list else [value, several, grid]


def plain(value: Any) -> Any:
    """A field's value as JSON would hold it."""
    if isinstance(value, Registered):
        return value.node()
    if isinstance(value, Range):
        return {"range": [value.low, value.high]}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def as_text(value: Any) -> str:
    """A field's value as labels show it."""
    if isinstance(value, Registered):
        return value.label()
    if isinstance(value, Range):
        return f"{value.low}..{value.high}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_text(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return str(value)


def _attach(base: type[T], registry: Registry[T]) -> None:
    """Let a dataclass field typed with the abstract base hold anything registered."""

    def parse(value: Any) -> T:
        try:
            return registry.parse(value)
        except FieldError as error:
            raise _Nested(error) from None

    def schema(cls: type[T], source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(parse) if source is base else handler(source)

    def json_schema(cls: type[T], core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"$comment": f"#/$defs/{registry.kind}"} if core["type"].startswith("function") else handler(core)

    base.__get_pydantic_core_schema__ = classmethod(schema)  # type: ignore[attr-defined]
    base.__get_pydantic_json_schema__ = classmethod(json_schema)  # type: ignore[attr-defined]


class _Nested(ValueError):
    """Carries a FieldError through the validation library, which lets only ValueError pass."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(error.message)
        self.error = error
