"""Functions run in processes of their own, so that threads, caches and memory of one measurement never reach another.

`python -m tests.perf.fresh MODULE:FUNCTION OUT` reads arguments as JSON and writes what the function returns to OUT.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Failed(Exception):
    """A measurement that ended with an error; the text holds the end of what it said."""


def call(function: str, **arguments: Any) -> Any:
    """What MODULE:FUNCTION of this package returns, run in a new process. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "tests.perf.fresh", function, str(out)]
        done = subprocess.run(
            command,
            input=json.dumps(arguments),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(),
            check=False,
        )
        if done.returncode:
            raise Failed(f"{function} {arguments}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return json.loads(out.read_text())


def bench(*words: str) -> tuple[float, str]:
    """Seconds that the `bench` command takes with these arguments, and what it printed. Raises Failed."""
    started = time.perf_counter()
    done = subprocess.run(
        [*product(), *words], capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise Failed(f"bench {' '.join(words)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    return seconds, done.stdout


def product() -> list[str]:
    """The `bench` command of this environment."""
    installed = Path(sys.executable).with_name("bench")
    return (
        [str(installed)] if installed.exists() else [sys.executable, "-c", "from bench.cli.main import entry; entry()"]
    )


def environment() -> dict[str, str]:
    """The environment without what would fix numbers of threads: each side chooses as it would for a user."""
    return {key: value for key, value in os.environ.items() if key not in THREADS}


def _main() -> None:
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(f"tests.perf.{module}"), name)
    Path(sys.argv[2]).write_text(json.dumps(function(**json.load(sys.stdin))))


if __name__ == "__main__":
    _main()
