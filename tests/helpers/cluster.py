"""A Dask cluster as its own commands start it: a scheduler and workers, each in an empty folder of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.cli import PATIENCE

Process = subprocess.Popen[bytes]


class Cluster:
    """A scheduler in a folder, and the workers that were started for it.

    options: for both, as those for TLS.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.file = folder / "scheduler.json"
        self.workers: list[Process] = []
        folder.mkdir()
        self.scheduler = self._start(
            "scheduler", "--scheduler-file", str(self.file), "--port", "0", "--host", "127.0.0.1"
        )
        until = time.monotonic() + PATIENCE
        while not self.file.exists():
            assert self.scheduler.poll() is None and time.monotonic() < until, "the scheduler did not start"
            time.sleep(0.1)

    def join(self, *options: str, **environment: str) -> Process:
        """Start a worker whose cache of images is empty."""
        words = ("--scheduler-file", str(self.file), "--nthreads", "1", "--no-nanny", *options)
        self.workers.append(self._start(f"worker{len(self.workers)}", *words, **environment))
        return self.workers[-1]

    def _start(self, name: str, *words: str, **environment: str) -> Process:
        home = self.folder / name
        home.mkdir()
        command = [sys.executable, "-m", f"distributed.cli.dask_{name.rstrip('0123456789')}", "--no-dashboard"]
        given = {**os.environ, "NOISE_BENCH_CACHE": str(home / "cache"), **environment}
        with (home / "log").open("wb") as log:
            return subprocess.Popen([*command, *words, *self.options], cwd=home, stdout=log, stderr=log, env=given)

    def close(self) -> None:
        """End it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """A cluster without workers, until the end of this block."""
    found = Cluster(folder, *options)
    try:
        yield found
    finally:
        found.close()
