"""Measures and writes results/perf.json.

`python -m tests.perf [--data DIR] [--only GROUP ...]`; with `--render` it only puts what is there into docs/speed.md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.perf import clusters, costs, pictures, quality, report, speeds
from tests.perf.base import BUDGETS, PROCESSES, Bench, Entry, Settings
from tests.perf.fresh import Failed

GROUPS: dict[str, Callable[[Bench], dict[str, Entry]]] = {
    "training": speeds.training,
    "bare": speeds.bare,
    "evaluation": speeds.evaluation,
    "processes": speeds.processes,
    "small": costs.small,
    "large": costs.large,
    "cluster": clusters.scheduler,
    "quality": quality.quality,
}

QUICK = Settings(
    rounds=1,
    images=256,
    epochs=2,
    cells=2,
    turns=2,
    turn_epochs=1,
    grid_cells=2,
    grid_epochs=1,
    scored=512,
    peer_scored=64,
    growth_cells=(4, 8),
    rerun_cells=8,
    growth_images=((200, 50), (400, 100)),
    help_calls=3,
    cluster_cells=2,
    budgets=dict.fromkeys(BUDGETS, (1,)),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", help="ImageFolder with train and test; default: CIFAR-10 images beside the project")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--quick", action="store_true", help="tiny settings: whether it works, not how fast it is")
    parser.add_argument("--out", type=Path, help="default: results/perf.json; with --quick results/perf-quick.json")
    parser.add_argument("--render", action="store_true", help="only put results/perf.json into docs/speed.md")
    given = parser.parse_args()
    out = given.out or (report.RESULT.with_stem("perf-quick") if given.quick else report.RESULT)
    if given.render:
        report.render(json.loads(out.read_text(encoding="utf-8")))
        return
    _take_two_cores()
    with tempfile.TemporaryDirectory(prefix="noise-bench-perf-") as work:
        os.environ["NOISE_BENCH_CACHE"] = f"{work}/cache"
        data = pictures.find(given.data, Path(work))
        settings = QUICK if given.quick else Settings()
        bench = Bench(data, Path(work), settings, lambda text: print(text, flush=True))
        bench.say(f"measuring on {pictures.describe(data)}")
        found = {"machine": report.machine()}
        for group in given.only:
            started = time.perf_counter()
            bench.say(group)
            try:
                found |= GROUPS[group](bench)
            except Failed as failure:
                raise SystemExit(f"{group}: {failure}") from None
            bench.say(f"  {time.perf_counter() - started:.0f} s")
            report.write(found, out)
    print(report.table(json.loads(out.read_text(encoding="utf-8"))))


def _take_two_cores() -> None:
    """Every process from here on shares two cores, which is what the figures are stated for."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSES])


if __name__ == "__main__":
    main()
