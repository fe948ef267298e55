"""Local processes: nothing around a run leaks into them, and a limit of the machine is a message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import environment
from tests.helpers.specs import write_spec

pytestmark = [
    pytest.mark.usefixtures("cache"),
    pytest.mark.skipif(os.name != "posix", reason="needs a fork server and limits"),
]


def apart(folder: Path, cache: Path, *, setup: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """A run of two processes from within a folder, by a script elsewhere, as installed, after some shell commands."""
    script = folder / "bin" / "script.py"
    script.parent.mkdir()
    script.write_text("from bench.cli.main import entry\n\nif __name__ == '__main__':\n    entry()\n")
    words = ["run", write_spec(folder), "--results", folder / "results", "--workers", 2, "--no-figures"]
    return subprocess.run(
        ["bash", "-c", f'{setup}\nexec "$@"', "bash", sys.executable, str(script), *map(str, words)],
        cwd=folder,
        env={**environment(cache), "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_files_in_the_current_folder_are_never_executed(tmp_path: Path, cache: Path) -> None:
    for name in ("random.py", "bench.py", "torch.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nraise SystemExit(1)\n")
    found = apart(tmp_path, cache)
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "executed").exists()


def test_a_long_name_of_the_folder_for_temporary_files_is_no_obstacle(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    found = apart(tmp_path, cache, TMPDIR=str(folder))
    assert found.returncode == 0, found.stderr


def test_settings_for_other_clusters_are_left_aside(tmp_path: Path, cache: Path) -> None:
    settings = tmp_path / "dask"
    settings.mkdir()
    (settings / "mine.yaml").write_text("distributed: {comm: {require-encryption: true}}\n")
    found = apart(tmp_path, cache, DASK_CONFIG=str(settings), DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="no")
    assert found.returncode == 0, found.stderr


def test_a_limit_on_open_files_is_a_message(tmp_path: Path, cache: Path) -> None:
    found = apart(tmp_path, cache, setup="ulimit -n 30")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "Too many open files" in found.stderr and "--workers 1" in found.stderr
