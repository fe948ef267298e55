"""`bench prune`: remove the cells of a results folder that its plan doesn't name."""

import sys
from pathlib import Path

import click

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.terminal import console, show_table
from bench.core.errors import BenchError, SpecError
from bench.core.words import counted
from bench.results.lock import held
from bench.results.store import Store
from bench.results.strays import strays
from bench.results.taken import taken
from bench.running import forecast
from bench.spec.plan import works_of


def prune(folder: Path, yes: bool, plugins: tuple[str, ...]) -> None:
    """List them, ask, and remove them. Raises SpecError where nobody can be asked."""
    plugin_files(plugins)
    screen, store = console(), Store(folder)
    store.plan()
    path = folder / "experiment.yaml"
    if not path.is_file():
        raise BenchError(f"{path} is missing, so nobody knows which cells belong here: run the spec again")
    works = taken(works_of(spec.load(path), forecast.remembered().compiling_pays), store)
    found = strays(store, works)
    if not found:
        screen.print(f"nothing to remove: every cell in {folder} belongs to its plan")
        return
    show_table(screen, ("cell", "what", "MB"), [(one.id, str(one), f"{one.size / 1e6:.2f}") for one in found])
    what = f"{counted(len(found), 'cell')}, {sum(one.size for one in found) / 1e6:.2f} MB"
    if not yes:
        if not sys.stdin.isatty():
            raise SpecError(f"{what}: not removed, since there is nobody to ask here; --yes removes them")
        click.confirm(f"Remove {what}? They can't be brought back", abort=True)
    with held(folder):
        for one in found:
            store.remove(one.id)
    screen.print(f"removed {what}")
