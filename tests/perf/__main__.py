"""`python -m tests.perf [--data DIR] [--only GROUP ...]` measures and writes results/perf.json; `--render` shows it in docs."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from . import measures, pictures, report
from .fresh import Failed

QUICK = measures.Settings(
    rounds=1,
    images=256,
    epochs=2,
    cells=2,
    grid_cells=2,
    grid_epochs=1,
    scored=512,
    peer_scored=64,
    growth_cells=(4, 8),
    rerun_cells=8,
    growth_images=((200, 50), (400, 100)),
    help_calls=3,
    recipes={"unet": {"batch_size": 32, "lr": 2e-3, "epochs": [1]}, "conv": {"batch_size": 32, "lr": 2e-3, "epochs": [1]}},
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--data", help="ImageFolder with train and test; default: CIFAR-10 images beside the project")
    parser.add_argument("--only", nargs="+", choices=measures.GROUPS, default=list(measures.GROUPS))
    parser.add_argument("--quick", action="store_true", help="tiny settings: whether it works, not how fast it is")
    parser.add_argument("--out", type=Path, default=report.RESULT)
    parser.add_argument("--render", action="store_true", help="only put results/perf.json into docs/speed.md")
    given = parser.parse_args()
    if given.render:
        report.render(json.loads(given.out.read_text(encoding="utf-8")))
        return
    _take_two_cores()
    with tempfile.TemporaryDirectory(prefix="noise-bench-perf-") as work:
        os.environ["NOISE_BENCH_CACHE"] = f"{work}/cache"
        data = pictures.find(given.data, Path(work))
        settings = QUICK if given.quick else measures.Settings()
        bench = measures.Bench(data, Path(work), settings, lambda text: print(text, flush=True))
        bench.say(f"measuring on {pictures.describe(data)}")
        found = {"machine": report.machine()}
        for group in given.only:
            started = time.perf_counter()
            bench.say(group)
            try:
                found |= measures.GROUPS[group](bench)
            except Failed as failure:
                raise SystemExit(f"{group}: {failure}") from None
            bench.say(f"  {time.perf_counter() - started:.0f} s")
            report.write(found, given.out)
    print(report.table(json.loads(given.out.read_text(encoding="utf-8"))))


def _take_two_cores() -> None:
    """Every process from here on shares two cores, which is what the figures are stated for."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: measures.PROCESSES])


if __name__ == "__main__":
    main()
