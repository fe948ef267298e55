"""The command line, in this process or in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from bench.cli.main import main

# Whoever runs the tests in the background of a shell lets them start with signals ignored.
HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
HEEDING += "[signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, getattr(signal, 'SIGHUP', 15))]"

PATIENCE = 900  # seconds until a command counts as one that hangs, however much else this machine has to do


def bench(*words: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def run(spec: Path, results: Path, *options: object) -> Result:
    """`bench run` in this process, without figures, which take seconds."""
    return bench("run", spec, "--results", results, "--no-figures", *options)


def run_command(spec: Path, results: Path, *options: object) -> list[str]:
    """The same for a process of its own."""
    words = ["run", spec, "--results", results, "--no-figures", *options]
    return [sys.executable, "-c", f"{HEEDING}; from bench.cli.main import entry; entry()", *map(str, words)]


def run_apart(spec: Path, results: Path, *options: object, cache: Path) -> "subprocess.CompletedProcess[str]":
    """`bench run` in a process of its own, without figures."""
    command = run_command(spec, results, *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment(cache))


def family(leader: int) -> list[int]:
    """The processes of a process group that are still alive, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == leader and state != "Z":
                found.append(int(entry.name))
    return found


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "NOISE_BENCH_CACHE": str(cache)}
