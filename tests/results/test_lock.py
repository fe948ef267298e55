"""One writer per results folder."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.results import lock
from bench.results.lock import held
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of a folder until its input ends."""
    program = f"from pathlib import Path; from bench.results.lock import held\nwith held(Path({str(tmp_path)!r})): "
    program += "print('held', flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_holds_a_folder_is_named(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    said = f"process {holder.pid} on {platform.node()} has run a spec there since 20"
    with pytest.raises(BenchError, match=said), held(tmp_path):
        pass


def test_a_holder_that_is_killed_holds_nothing(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    with held(tmp_path) as note:
        assert note == ""


def test_the_holder_s_name_goes_with_the_lock(tmp_path: Path) -> None:
    with held(tmp_path):
        assert (tmp_path / lock.HOLDER).is_file()
    assert not (tmp_path / lock.HOLDER).exists()
    with held(tmp_path):
        pass


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_needs_no_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with held(tmp_path) as note:
            assert note == ""
    finally:
        tmp_path.chmod(0o755)


def test_a_drive_without_locks_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(lock, "FileLock", refuse)
    with held(tmp_path) as note:
        assert "without locks" in note


@pytest.mark.usefixtures("cache")
def test_a_second_run_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    spec_path = write_spec(tmp_path)
    with held(root):  # in this process; a run of its own is another client
        refused = run(spec_path, tmp_path)
    assert refused.exit_code == 2 and f"{root} is in use: process {os.getpid()} on" in refused.output
    assert not (root / "plan.json").exists()
    assert run(spec_path, tmp_path).exit_code == 0
    with held(root):
        assert bench("report", root).exit_code == 0
        assert bench("compare", root, root).exit_code == 0
        assert bench("prune", root, "--yes").exit_code == 0  # nothing to remove
