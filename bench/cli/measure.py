"""`bench measure`: what the contenders of a results folder cost to use."""

from pathlib import Path

from bench.cli.catalogue import plugin_files
from bench.cli.terminal import console, show_table
from bench.report import rebuild
from bench.results.costs import NOISY, costs_of
from bench.results.lock import held
from bench.results.store import Store
from bench.running import measuring


def measure(folder: Path, plugins: tuple[str, ...]) -> None:
    """Measure, print and store latency, its spread, memory and energy of each; tables and figures follow."""
    files = plugin_files(plugins)
    screen, store = console(), Store(folder)
    given = measuring.contestants(store, store.plan())
    with held(store.root):
        found = measuring.measure(store, given, files, screen.print)
        costs = costs_of(store)
        rebuild.rebuild(store)
    rows = [(name, *map(_text, costs[name].values())) for name in found]
    show_table(screen, ("model", "ms an image", "spread", "peak MB", "Wh per 1,000"), rows)
    if noisy := [name for name, cost in found.items() if cost.spread > NOISY]:
        screen.print(
            f"noisy: {', '.join(noisy)} took more than {100 * NOISY:.0f} % more or less time in half of the "
            "rounds. Close what else runs here, keep the machine from saving power, and measure again",
            style="bold",
        )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
