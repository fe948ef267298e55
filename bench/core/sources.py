"""What code a class consists of: of our own classes the revision, of others a digest of the files they come from."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

OURS = __name__.partition(".")[0]
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages that have nothing to do with each other
DIGITS = 16  # of a digest


class Module(NamedTuple):
    """The code of a module. content: of its file. package: whether others may lie below it."""

    name: str
    content: bytes
    package: bool


def code_of(cls: type) -> str:
    """What changes with the code of a class; empty where it comes from no file.

    A class of others consists of its file, of all that this imports from its folder or its package, and of what it
    derives from of ours.
    """
    if _package(cls.__module__) == OURS:
        return _revision(cls)
    contents = sorted(hashlib.sha256(module.content).hexdigest() for module in modules_of(cls.__module__))
    ours = [f"{base.__name__} {_revision(base)}" for base in cls.__mro__ if _package(base.__module__) == OURS]
    return hashlib.sha256(" ".join([*contents, *ours]).encode()).hexdigest()[:DIGITS] if contents else ""


def _revision(cls: type) -> str:
    return str(getattr(cls, "revision", 1))


def _package(module: str) -> str:
    return module.partition(".")[0]


@cache
def of_this_package() -> str:
    """A digest of all code of noise-bench: versions that are still in the making have one number."""
    home, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        found.update(f"{path.relative_to(home).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()[:DIGITS]


@cache
def modules_of(start: str) -> tuple[Module, ...]:
    """A module that was imported, and all that belongs to it; none where it comes from no file."""
    home, waiting = _path(start), [start]
    found: dict[str, Module] = {}
    while home and waiting:
        name = waiting.pop()
        path = None if name in found or _package(name) == OURS else _path(name)
        if path is None or not (_package(name) == _package(start) or _beside(home.parent, path)):
            continue
        found[name] = Module(name, path.read_bytes(), path.name == "__init__.py")
        waiting += _imported(found[name].content, sys.modules[name].__package__ or "")
    return tuple(found.values())


def _path(module: str) -> Path | None:
    """The file of a module that was imported from a file in Python."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return Path(file) if file.endswith(".py") and Path(file).is_file() else None


def _beside(home: Path, path: Path) -> bool:
    """Whether a file is one of a folder's own, not of a package that is installed somewhere below."""
    inside = path.is_relative_to(home) and home.name not in INSTALLED
    return inside and not INSTALLED & set(path.relative_to(home).parts)


def _imported(content: bytes, package: str) -> Iterator[str]:
    """The names of modules, and of what may be modules, that a file imports."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            module = resolve_name("." * node.level + module, package) if node.level and package else module
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))
