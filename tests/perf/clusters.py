"""The same grid on a Dask cluster of this machine, two workers of one thread, and in two local processes."""

from pathlib import Path
from typing import Any

from tests.helpers.cluster import cluster
from tests.perf import fresh, growth
from tests.perf.base import ADAM, PROCESSES, Bench, Entry, entry, values
from tests.perf.script import SIGMA, SIZE


def scheduler(bench: Bench) -> dict[str, Entry]:
    """Seconds of whole commands, with all that each of them starts; the cluster is there already."""
    chosen = bench.settings
    content: dict[str, Any] = {
        "name": "cluster",
        "dataset": {"name": "folder", "root": str(bench.data), "size": SIZE, "train": chosen.images, "test": 200},
        "models": ["conv"],
        "noises": [{"gaussian": {"sigma": SIGMA}}],
        "train": {**ADAM, "epochs": 2},
        "metrics": ["mse", "psnr"],
        "seeds": list(range(chosen.cluster_cells)),
    }

    def run(*options: str) -> dict[str, float]:
        folder = Path(bench.folder())
        path = growth.spec(folder, content)
        seconds, _ = fresh.bench("run", str(path), "--results", str(folder), "--no-figures", *options)
        return {"seconds": seconds}

    with cluster(Path(bench.folder()) / "dask") as there:
        for _ in range(PROCESSES):
            there.join()
        found = bench.rounds(
            "seconds",
            cluster=lambda: run("--scheduler", str(there.file)),
            processes=lambda: run("--workers", str(PROCESSES)),
        )
    pairs = zip(values(found["cluster"], "seconds"), values(found["processes"], "seconds"), strict=True)
    said = (
        f"`bench run` of {chosen.cluster_cells} trainings of the study's network at {SIZE}x{SIZE}, 2 epochs of "
        f"{chosen.images:,} images each, through --scheduler with {PROCESSES} workers of one thread in empty folders, "
        f"and with --workers {PROCESSES}; whole commands, their start included"
    )
    return {"scheduler_vs_processes": entry([there / here for there, here in pairs], "ratio", said)}
