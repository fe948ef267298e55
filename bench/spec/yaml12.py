"""YAML text to plain values and their places: YAML 1.2 scalars, no tags, no duplicate keys, bounded size and depth."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

from bench.core.errors import SpecError, shorten

# The parser takes about 20 microseconds per value. Together these bounds refuse any text within 3 seconds.
MAX_CHARACTERS = 500_000
MAX_VALUES = 30_000
MAX_DEPTH = 50
MAX_DIGITS = 100
STANDARD = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


@dataclass
class Document:
    """Plain values, and where each was written.

    source: the text's name in messages.
    value: dicts with text keys, lists and scalars.
    places: where each path of keys and indices was written, in words: "spec.yaml, line 3".
    """

    source: str
    value: Any = None
    places: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Iterable[str | int]) -> str:
        """Where the innermost known part of a path was written."""
        parts = tuple(path)
        while parts and parts not in self.places:
            parts = parts[:-1]
        return self.places.get(parts, self.source)

    def override(self, assignment: str) -> None:
        """Set one value from `KEY=VALUE`: KEY dotted, VALUE in YAML. Missing keys are created. Raises SpecError.

        A bare name in a list takes keys too: `models.0.conv.width=8` turns `conv` into `{conv: {width: 8}}`.
        """
        key, equals, text = (part.strip() for part in assignment.partition("="))
        parts = key.split(".")
        if not equals or not all(parts):
            raise SpecError(f"--set {shorten(assignment)}: expected KEY=VALUE, as in --set train.epochs=2")
        what = f"--set {key if len(key) <= 60 else shorten(key)}"
        value = read(text, what).value
        target: Any = self.value
        path: Path = ()
        for part, following in pairwise(parts):
            step = _step(target, part, path, what)
            if isinstance(target, dict) and target.get(part) is None:
                target[part] = {}
                self.places[*path, part] = what
            elif isinstance(target, list) and target[step] == following:
                target[step] = {following: {}}
            target, path = target[step], (*path, step)
        step = _step(target, parts[-1], path, what)
        target[step] = value
        whole = (*path, step)
        self.places = {known: place for known, place in self.places.items() if known[: len(whole)] != whole}
        self.places[whole] = what


def read(text: str, source: str) -> Document:
    """The one document in `text`. source: its name in messages. Raises SpecError; no text can run code."""
    if len(text) > MAX_CHARACTERS:
        raise SpecError(f"{source}: more than {MAX_CHARACTERS:,} characters; a spec has far fewer")
    document = Document(source)
    try:
        node = _Loader(text, source).get_single_node()
    except yaml.YAMLError as error:
        raise SpecError(_explain(error, text, source)) from None
    except (ValueError, OverflowError):  # an escape for a character beyond Unicode, a version of 5,000 digits
        raise SpecError(f"{source}: not valid YAML: a number in an escape or a directive is out of range") from None
    if node is not None:
        document.value = _Reader(document).value(node, ())
    return document


def dump(value: Any) -> str:
    """Plain values as YAML that `read` takes back unchanged."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    """Composes nodes, and resolves scalars as YAML 1.2 does: `1e-3` is a number, `no` a string, `010` ten."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own name; an empty one drops YAML 1.1

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self.source = source
        self.depth = 0
        self.count = 0

    def scan_to_next_token(self) -> None:
        """Skip tabs between the parts of a line as YAML does; the library takes spaces only."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or self._within_line()):
            self.forward()
            super().scan_to_next_token()

    def _within_line(self) -> bool:
        """Whether anything stands before the present character in its line, so that it is not indentation."""
        return bool(self.buffer[self.pointer - self.column : self.pointer].strip(" \t"))

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.count += 1
        self.depth += 1
        if self.count > MAX_VALUES or self.depth > MAX_DEPTH:
            line = self.peek_event().start_mark.line + 1
            what = f"nested more than {MAX_DEPTH} levels deep" if self.depth > MAX_DEPTH else _too_many("")
            raise SpecError(f"{self.source}, line {line}: {what}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else."""


SCALARS = {
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), "~nN"),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    "int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), "-+0123456789"),
    "float": (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        "-+.0123456789",
    ),
}
for _kind, (_pattern, _first) in SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(STANDARD + _kind, _pattern, [*_first, ""] if _kind == "null" else list(_first))

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class _Reader:
    """Turns composed nodes into values, counting nodes each time an alias repeats them."""

    def __init__(self, document: Document) -> None:
        self.places = document.places
        self.source = document.source
        self.count = 0
        self.open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.places.setdefault(path, self.at(node))
        self.count += 1
        if self.count > MAX_VALUES:
            raise SpecError(f"{self.at(node)}: {_too_many(', once every alias is written out')}")
        if any(node is outer for outer in self.open):
            raise SpecError(f"{self.at(node)}: a value that contains an alias to itself")
        if len(path) >= MAX_DEPTH:
            raise SpecError(f"{self.at(node)}: nested more than {MAX_DEPTH} levels deep, once aliases are written out")
        self.open.append(node)
        try:
            return self.plain(node, path)
        finally:
            self.open.pop()

    def plain(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == STANDARD + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == STANDARD + "seq":
            return [self.value(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        raise self.tagged(node)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError(f"{self.at(key_node)}: a key must be a word, not a list or keys of its own")
            self.scalar(key_node)
            key = key_node.value
            if key in values:
                raise SpecError(f"{self.at(key_node)}: key {shorten(key)} is given twice")
            self.places[*path, key] = self.at(key_node)
            values[key] = self.value(value_node, (*path, key))
        return values

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text, kind = node.value, node.tag.removeprefix(STANDARD)
        if kind == "str":
            if found := CONTROL.search(text):
                raise SpecError(f"{self.at(node)}: {shorten(text)} holds the control character {found[0]!r}")
            return text
        if kind not in SCALARS:
            raise self.tagged(node)
        if not SCALARS[kind][0].match(text):
            raise SpecError(f"{self.at(node)}: {shorten(text)} is tagged !!{kind} but isn't one")
        if kind == "int" and len(text) > MAX_DIGITS:
            raise SpecError(f"{self.at(node)}: number {shorten(text)} is too long")
        match kind:
            case "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "bool":
                return text.lower() == "true"
        return None

    def tagged(self, node: yaml.Node) -> SpecError:
        tag = node.tag.replace(STANDARD, "!!")
        return SpecError(f"{self.at(node)}: tag {shorten(tag)} is not allowed; a spec holds plain values")

    def at(self, node: yaml.Node) -> str:
        return f"{self.source}, line {node.start_mark.line + 1}"


def _explain(error: yaml.YAMLError, text: str, source: str) -> str:
    """Why text isn't YAML: the place, the reason, and the line itself below."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{source}, line {line}: not valid YAML: the control character {chr(error.character)!r}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{source}: not valid YAML: {shorten(str(error))}"
    problem = error.problem or ""
    # What is never closed is reported where it starts, not at the end of the text.
    unclosed = "stream end" in problem or "end of stream" in problem
    mark = (unclosed and error.context_mark) or error.problem_mark or error.context_mark
    why = PLAIN_WORDS.get(problem) or "not valid YAML: " + ", ".join(part for part in (error.context, problem) if part)
    if mark is None:
        return f"{source}: {why}"
    lines = text.splitlines() or [""]
    shown = lines[min(mark.line, len(lines) - 1)]
    return f"{source}, line {mark.line + 1}: {why}\n  {shorten(shown.rstrip(), 100)}"


PLAIN_WORDS = {
    "found character '\\t' that cannot start any token": "not valid YAML: a tab where only spaces are allowed",
    "mapping values are not allowed here": (
        "not valid YAML: a ':' is not allowed here; is a space, a quote or an indent missing, here or just above?"
    ),
    "found unexpected end of stream": "not valid YAML: the quote that opens in this line is never closed",
    "but found another document": "a second document starts here; a spec is one document",
}


def _step(target: Any, part: str, path: Path, what: str) -> Any:
    """The key or index by which `part` of a dotted key leads into `target`."""
    if isinstance(target, dict):
        return part
    where = ".".join(map(str, path))
    if not isinstance(target, list):
        raise SpecError(f"{what}: {shorten(where)} is {shorten(target)}, which has no keys")
    if re.fullmatch("[0-9]{1,9}", part) and int(part) < len(target):
        return int(part)
    raise SpecError(f"{what}: {shorten(where)} is a list of {len(target)}, so its entries are 0 to {len(target) - 1}")


def _too_many(when: str) -> str:
    return f"more than {MAX_VALUES:,} values{when}; a spec has far fewer"
