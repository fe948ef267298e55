"""Plug-ins: users' own classes, from installed packages (entry-point group `bench.plugins`) and from files."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from bench.core.errors import BenchError, shorten

GROUP = "bench.plugins"
SKIPPED = "NOISE_BENCH_NO_PLUGINS"  # an environment variable, since worker processes inherit those


def load_plugins(files: Iterable[str]) -> tuple[str, ...]:
    """Import every installed plug-in and each file, once.

    Returns a line for each installed plug-in that fails: what was asked for may do without it.
    Raises BenchError with the file and line that fail.
    """
    broken = () if os.environ.get(SKIPPED) else _load_installed()
    for file in files:
        _load_file(Path(file).resolve())
    return broken


@cache
def _load_installed() -> tuple[str, ...]:
    return tuple(failure for entry in entry_points(group=GROUP) if (failure := _failure(entry)))


def _failure(entry: EntryPoint) -> str:
    """Import a plug-in. Returns why that failed, or nothing."""
    package = (entry.dist and entry.dist.name) or "an unknown package"
    try:
        _run(f"plug-in {entry.name!r} of {package} ({entry.value})", None, entry.load)
    except BenchError as error:
        return str(error)
    return ""


def _load_file(path: Path) -> None:
    # Two files of one name in different folders are two modules.
    name = f"bench_plugin_{path.stem}_{hashlib.sha256(str(path).encode(errors='surrogateescape')).hexdigest()[:8]}"
    if name in sys.modules:
        return
    what = f"--plugin {path}"
    if not path.is_file():
        raise BenchError(f"{what}: there is no such file")
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


def _run(what: str, path: Path | None, load: Callable[[], object]) -> None:
    try:
        load()
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
