"""Classes of the user's own: from installed packages (entry-point group `bench.plugins`) and from files."""

import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from bench.errors import BenchError

GROUP = "bench.plugins"


def load_plugins(files: Iterable[str]) -> None:
    """Import every installed plug-in and each file once. Raises BenchError naming the one that fails."""
    for entry in entry_points(group=GROUP):
        _run(f"plug-in {entry.name!r} ({entry.value})", entry.load)
    for file in files:
        _load_file(Path(file).resolve())


def _load_file(path: Path) -> None:
    name = f"bench_plugin_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path):
        return
    if not path.is_file():
        raise BenchError(f"--plugin {path}: there is no such file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    loader = spec.loader
    try:
        _run(f"--plugin {path}", lambda: loader.exec_module(module))
    except BenchError:
        del sys.modules[name]
        raise


def _run(what: str, load: object) -> None:
    assert callable(load)
    try:
        load()
    except Exception as error:  # a plug-in may fail in any way; the user sees which one and why
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line = f", line {trace.tb_lineno}" if trace is not None else ""
        raise BenchError(f"{what} failed{line}: {type(error).__name__}: {error}") from error
