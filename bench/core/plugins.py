"""Plug-ins: users' own classes, from installed packages (entry-point group `bench.plugins`) and from files."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import BenchError, shorten

GROUP = "bench.plugins"
SKIPPED = "NOISE_BENCH_NO_PLUGINS"  # an environment variable, since worker processes inherit those


@dataclass(frozen=True)
class Plugin:
    """A plug-in as results record it.

    name: of its entry point or its file. package, version: what provides it, empty for a file.
    sha256: checksum of the file, empty for an installed one.
    """

    name: str
    package: str = ""
    version: str = ""
    sha256: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it was given as a file, with `--plugin`."""
        return self.sha256 != ""

    def __str__(self) -> str:
        if self.is_file:
            return f"{self.name} (SHA-256 {self.sha256[:12]}...)"
        return f"{self.name} of {self.package} {self.version}".rstrip()


class Loaded(NamedTuple):
    """The plug-ins that were imported, and why each broken one was not."""

    plugins: tuple[Plugin, ...] = ()
    broken: tuple[str, ...] = ()


def load_plugins(files: Iterable[str]) -> Loaded:
    """Import every installed plug-in and each file, once, in that order.

    An installed plug-in that fails is left out: what was asked for may do without it.
    Raises BenchError with the file and line that fail.
    """
    installed = _load_installed() if uses_installed() else Loaded()
    given = tuple(_load_file(Path(file).resolve()) for file in files)
    return Loaded((*installed.plugins, *given), installed.broken)


def load_function(given: str) -> tuple[Plugin, Callable[..., Any]]:
    """A function of a file, named as FILE.py:NAME, and the file as a plug-in. Raises BenchError where there is none.

    Whatever the function raises becomes a BenchError that names its line.
    """
    file, _, name = given.rpartition(":")
    if not file or not name.isidentifier():
        raise BenchError(f"--function {given}: expected a file and a function in it, as in my_filter.py:denoise")
    path = Path(file).resolve()
    plugin, module = _load_file(path), sys.modules[module_of(file)]
    found = getattr(module, name, None)
    if not callable(found):
        own = (key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
        raise BenchError(f"--function {given}: {file} has no function {name}; it has {', '.join(own) or 'none'}")
    return plugin, lambda *given_to: _run(f"--function {given}", path, lambda: found(*given_to))


def uses_installed() -> bool:
    """Whether plug-ins of installed packages are loaded."""
    return not os.environ.get(SKIPPED)


@cache
def _load_installed() -> Loaded:
    found = {entry: _failure(entry) for entry in entry_points(group=GROUP)}
    working = [entry for entry, failure in found.items() if not failure]
    return Loaded(tuple(map(_installed, working)), tuple(filter(None, found.values())))


def _installed(entry: EntryPoint) -> Plugin:
    return Plugin(entry.name, _package(entry), entry.dist.version if entry.dist else "")


def _package(entry: EntryPoint) -> str:
    return (entry.dist and entry.dist.name) or "an unknown package"


def _failure(entry: EntryPoint) -> str:
    """Import a plug-in. Returns why that failed, or nothing."""
    try:
        _run(f"plug-in {entry.name!r} of {_package(entry)} ({entry.value})", None, entry.load)
    except BenchError as error:
        return str(error)
    return ""


def module_of(file: str) -> str:
    """The name of the module that a plug-in's file is; two files of one name in different folders are two modules."""
    path = Path(file).resolve()
    place = hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:8]
    return f"bench_plugin_{path.stem}_{place}"


@cache
def _load_file(path: Path) -> Plugin:
    name = module_of(str(path))
    what = f"--plugin {path}"
    if not path.is_file():
        raise BenchError(f"{what}: there is no such file")
    plugin = Plugin(path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"{what}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    loader = spec.loader
    try:
        _run(what, path, lambda: loader.exec_module(module))
    except BenchError:
        del sys.modules[name]
        raise
    return plugin


def _run(what: str, path: Path | None, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (Exception, SystemExit) as error:  # a plug-in may fail in any way
        text = str(error.msg if isinstance(error, SyntaxError) else error)  # without the line, which _line names
        first, *_ = text.strip().splitlines() or ["no message"]
        reason = first if len(first) <= 500 else shorten(first, 500)
        raise BenchError(f"{what}{_line(error, path)}: {type(error).__name__}: {reason}") from error


def _line(error: BaseException, path: Path | None) -> str:
    """The last line of the plug-in's own file in the traceback; where it has none, the line that raised the error."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}" if error.lineno else ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path is not None and frame.filename == str(path)]
    if own:
        return f", line {own[-1].lineno}"
    return f", at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
