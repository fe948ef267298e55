"""One mechanism for noises, models, datasets and metrics: a name leads to a class.

The name is typed once, at the class's decorator; its keys are the class's typed fields (`bench.core.settings`).
"""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from bench.core.errors import FieldError, shorten, unknown
from bench.core.labels import Label
from bench.core.schema import class_schema
from bench.core.settings import Settings
from bench.core.sources import code_of
from bench.core.values import Written, as_text, plain

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class Registered(Settings, Written):
    """Something that a spec can name. Subclasses are frozen dataclasses; each typed field is a YAML key.

    revision: raised when the meaning of the same keys changes, so that older results aren't taken for new ones.
    """

    name: ClassVar[str] = ""
    revision: ClassVar[int] = 1
    registry: ClassVar["Registry[Any]"]  # of the abstract base of each kind, such as Noise

    @property
    def smallest(self) -> int:
        """The side of the smallest images it can take, in pixels; a plug-in may write the constant."""
        return 1

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets a field typed with the abstract base of a kind hold anything registered of that kind.

        Pydantic calls this. `ref` makes its JSON Schema of such a field a reference to `#/$defs/KIND`.
        """
        if "registry" not in vars(cls):
            return handler(source)
        anything = core_schema.any_schema(ref=cls.registry.kind)
        return core_schema.no_info_before_validator_function(cls.registry.parse, anything)

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

    def made_of(self) -> dict[str, str]:
        """The code of its class and of all registered that it holds, by what they are, as `noise gaussian`."""
        found = {} if not (code := code_of(type(self))) else {f"{self.registry.kind} {self.name}": code}
        for key in self.field_names():
            value = getattr(self, key)
            for part in value if isinstance(value, tuple) else (value,):
                found |= part.made_of() if isinstance(part, Registered) else {}
        return found


T = TypeVar("T", bound=Registered)


class Registry(Generic[T]):
    """Classes of one kind by name.

    kind: what messages call one of them ("noise").
    base: the class all of them derive from.
    """

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind = kind
        self.base = base
        self._classes: dict[str, type[T]] = {}
        base.registry = self

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Decorate a class so that specs can name it. Raises ValueError for an ill-formed or duplicate name."""
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

    def add(self, classes: Mapping[str, type[T]]) -> None:
        """Register classes again that `remove` took out."""
        self._classes |= classes

    def remove(self, names: Iterable[str]) -> None:
        """Let these names stand for nothing."""
        for name in names:
            self._classes.pop(name, None)

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
        alone = {"enum": list(self), "description": f"a {self.kind} with its defaults"}
        return {"anyOf": [alone, *(self._keyed_schema(name) for name in self)]}

    def _keyed_schema(self, name: str) -> dict[str, Any]:
        keys = {name: class_schema(self[name])}
        return {"type": "object", "properties": keys, "required": [name], "additionalProperties": False}


def import_modules(package: str, folders: Iterable[str]) -> None:
    """Import every public module of a package, so that everything they register is known."""
    for module in pkgutil.iter_modules(folders):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")
