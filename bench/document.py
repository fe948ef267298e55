"""YAML text to plain values with the line of each: YAML 1.2 scalars, no tags, no key twice, bounded size and depth."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from bench.errors import SpecError, shorten

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 50_000

Path = tuple[str | int, ...]


@dataclass
class Document:
    """Plain values and where each stands.

    value: dicts, lists and scalars.
    places: for each path of keys and indices, the words that say where it was written ("line 3").
    """

    value: Any
    places: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Iterable[str | int]) -> str:
        """Where the innermost known part of a path was written."""
        parts = tuple(path)
        while parts and parts not in self.places:
            parts = parts[:-1]
        return self.places.get(parts, "line 1")

    def override(self, assignment: str) -> None:
        """Set one value from `KEY=VALUE`, KEY dotted, VALUE in YAML. Raises SpecError."""
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"--set {shorten(assignment)}: expected KEY=VALUE, as in --set train.epochs=2")
        path: Path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
        value = read(text, f"--set {key}").value
        target = self.value
        for depth, part in enumerate(path[:-1]):
            if isinstance(target, dict) and target.get(part) is None:
                target[part] = {}
            if not _has(target, part) or not isinstance(target[part], dict | list):
                inside = ".".join(map(str, path[: depth + 1]))
                raise SpecError(f"--set {key}: there is nothing to set inside {shorten(inside)} of this spec")
            target = target[part]
        if not isinstance(target, dict) and not _has(target, path[-1]):
            raise SpecError(f"--set {key}: there is no place {shorten(path[-1])} in this spec's list")
        target[path[-1]] = value
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]
        self.places[path] = f"--set {key}"


def read(text: str, source: str) -> Document:
    """The one document in `text`. source: its name in messages. Raises SpecError."""
    if len(text) > MAX_BYTES:
        raise SpecError(f"{source}: {len(text)} characters; a spec has at most {MAX_BYTES}")
    try:
        _bound_depth(text, source)
        node = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{source}{line}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None
    if node is None:
        return Document(None)
    document = Document(None)
    document.value = _Reader(document, source).value(node, ())
    return document


class _Loader(yaml.SafeLoader):
    """Resolves scalars as YAML 1.2's core schema does: `1e-3` is a number, `no` a string, `010` ten."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own name; an empty one drops YAML 1.1


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


class _Reader:
    """Turns composed nodes into values, counting every node that an alias repeats."""

    def __init__(self, document: Document, source: str) -> None:
        self.places = document.places
        self.source = source
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.places.setdefault(path, f"line {line}")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise SpecError(f"{self.source}, line {line}: more than {MAX_NODES} values, aliases written out")
        if len(path) > MAX_DEPTH:
            raise SpecError(f"{self.source}, line {line}: an alias that contains itself")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, line)
        raise SpecError(
            f"{self.source}, line {line}: tag {shorten(node.tag)} is not allowed; a spec holds plain values"
        )

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError(f"{self.source}, line {line}: a key must be a word")
            key = key_node.value
            if key in values:
                raise SpecError(f"{self.source}, line {line}: key {shorten(key)} is given twice")
            self.places[(*path, key)] = f"line {line}"
            values[key] = self.value(value_node, (*path, key))
        return values

    def scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        text = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                base = {"0o": 8, "0x": 16}.get(text[:2], 10)
                if len(text) > 100:
                    raise SpecError(f"{self.source}, line {line}: number {shorten(text)} is too long")
                return int(text, base)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".I", "i").replace(".N", "n"))
        raise SpecError(
            f"{self.source}, line {line}: tag {shorten(node.tag)} is not allowed; a spec holds plain values"
        )


def _bound_depth(text: str, source: str) -> None:
    depth = 0
    documents = 0
    for event in yaml.parse(text, _Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise SpecError(f"{source}, line {line}: nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise SpecError(f"{source}, line {line}: a second document starts here; a spec is one document")


def _has(target: Any, part: str | int) -> bool:
    if isinstance(target, dict):
        return part in target
    return isinstance(target, list) and isinstance(part, int) and part < len(target)
