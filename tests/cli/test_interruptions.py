"""Runs that are interrupted or killed, once or again and again: nothing is lost, nothing keeps running."""

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from bench.results.store import Store
from tests.helpers.cli import PATIENCE, environment, family, run, run_command
from tests.helpers.results import rows_of, weights_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs signals and process groups")
ENDS = [(130, "Interrupted: everything that was finished is kept; the same command goes on from there.\n"), (0, "")]
Run = subprocess.Popen[str]
KILLS = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with a spec that takes seconds, and its uninterrupted run in `whole/tiny`."""
    folder = tmp_path_factory.mktemp("whole")
    spec = write_spec(
        folder, ("epochs: 2", "epochs: 40"), ("{conv: {width: 4}}", "{unet: {width: 12, train: {optimizer: muon}}}")
    )
    found = run(spec, folder / "whole", "--workers", 1)
    assert found.exit_code == 0, found.output
    return folder


def start(spec: Path, results: Path, workers: int, cache: Path) -> Run:
    words = run_command(spec, results, "--workers", workers)
    return subprocess.Popen(
        words,
        text=True,
        start_new_session=True,
        env=environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_until_it_trains(running: Run, results: Path) -> None:
    """Until the first state of a training is stored."""
    deadline = time.monotonic() + 120
    while not list(results.glob("tiny/cells/*/state.safetensors")):
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.01)


def gone(leader: int, within: float) -> bool:
    """Whether all processes of a run end in time."""
    deadline = time.monotonic() + within
    while family(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not family(leader)


def same(results: Path, whole: Path) -> None:
    assert rows_of(results) == rows_of(whole / "whole")
    assert weights_of(results) == weights_of(whole / "whole")


@POSIX
@pytest.mark.parametrize(
    ("workers", "name", "send"),
    [(1, "SIGINT", "group"), (2, "SIGINT", "group"), (2, "SIGTERM", "leader"), (2, "SIGHUP", "group")],
)
def test_an_interrupted_run_keeps_what_it_has_and_ends_where_a_whole_one_ends(
    workers: int, name: str, send: str, whole: Path, tmp_path: Path, cache: Path
) -> None:
    """Ctrl-C and the loss of a terminal reach every process of the group, what `kill` sends the leader alone."""
    number = signal.Signals[name]
    spec = whole / "spec.yaml"
    running = start(spec, tmp_path, workers, cache)
    wait_until_it_trains(running, tmp_path)
    sockets = Path(tempfile.gettempdir()) / f"noise-bench-{running.pid}-"
    (os.killpg if send == "group" else os.kill)(running.pid, number)
    started = time.monotonic()
    output, errors = running.communicate(timeout=60)  # a second or two; more where other work is under way
    assert running.returncode == 128 + number, errors
    assert errors == "Interrupted: everything that was finished is kept; the same command goes on from there.\n"
    assert "Traceback" not in output
    while family(running.pid) and time.monotonic() < started + 60:
        time.sleep(0.05)
    assert family(running.pid) == []
    assert not list(sockets.parent.glob(f"{sockets.name}*"))
    assert list(tmp_path.glob("tiny/cells/*/state.safetensors"))
    resumed = run(spec, tmp_path, "--workers", 1)
    assert resumed.exit_code == 0, resumed.output
    same(tmp_path, whole)


@pytest.mark.long
@POSIX
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_again_and_again_ends_where_a_whole_one_ends(
    workers: int, whole: Path, tmp_path: Path, cache: Path
) -> None:
    """The power switch: no chance to clean up. Nothing keeps running, nothing is lost but the last seconds."""
    moments = random.Random(workers)
    for _ in range(8):
        running = start(whole / "spec.yaml", tmp_path, workers, cache)
        time.sleep(moments.uniform(0.5, 6))
        running.kill()
        _, errors = running.communicate(timeout=30)
        assert "Traceback" not in errors
        assert gone(running.pid, 5), family(running.pid)
    last = start(whole / "spec.yaml", tmp_path, workers, cache)
    output, errors = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output + errors
    same(tmp_path, whole)


@pytest.mark.long
@POSIX
def test_two_hundred_kills_of_client_worker_and_both(whole: Path, tmp_path: Path, cache: Path) -> None:
    """Whatever is stored stays, trainings only go forward, and as many whole runs as it takes end alike."""
    moments, kills, results = random.Random(200), 0, tmp_path / "0"
    while kills < KILLS:
        running, before = start(whole / "spec.yaml", results, 2, cache), progress(results)
        while running.poll() is None and kills < KILLS:
            time.sleep(moments.expovariate(1 / 1.5))
            who = moments.choice(("client", "worker", "both"))
            victims = workers_of(running.pid)[:1] if who != "client" else []
            kills += sum(map(killed, [*victims, *([running.pid] if who != "worker" else [])]))
            now = progress(results)
            assert all(now.get(cell, 0) >= epochs for cell, epochs in before.items()), (before, now)
            before = now
        output, errors = running.communicate(timeout=PATIENCE)
        assert "Traceback" not in output + errors
        assert gone(running.pid, 10), family(running.pid)
        if running.returncode == 0:
            same(results, whole)
            results = tmp_path / str(kills)
    last = run(whole / "spec.yaml", results, "--workers", 1)
    assert last.exit_code == 0, last.output
    same(results, whole)
    assert not [path for path in results.rglob(".*") if path.is_file()], "a temporary file is left"


def progress(results: Path) -> dict[str, int]:
    """The epochs of each cell that a folder has, those of a finished one without end."""
    store = Store(results / "tiny")
    found = {path.name: store.cell(path.name) for path in (store.root / "cells").glob("*")}
    return {name: 10**9 if cell.finished else cell.state().epoch for name, cell in found.items()}


def killed(process: int) -> bool:
    """Whether it was still there to be killed."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.long
@POSIX
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupts_at_any_moment_are_one_line(workers: int, whole: Path, tmp_path: Path, cache: Path) -> None:
    """While it starts, trains, scores or ends; once or twice."""
    moments = random.Random(10 + workers)
    for attempt in range(10):
        running = start(whole / "spec.yaml", tmp_path, workers, cache)
        time.sleep(moments.uniform(1.5, 8))
        for _ in range(1 + attempt % 2):
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGINT)
            time.sleep(0.2)
        _, errors = running.communicate(timeout=60)
        assert (running.returncode, errors) in ENDS
        assert gone(running.pid, 5), family(running.pid)
    last = start(whole / "spec.yaml", tmp_path, workers, cache)
    output, errors = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output + errors
    same(tmp_path, whole)


def workers_of(client: int) -> list[int]:
    """The processes in which a run trains: children of its children."""
    found = []
    for process in family(client):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            if process != client and int(words[1]) != client:
                found.append(process)
    return found


@pytest.mark.long
@POSIX
def test_a_worker_that_is_killed_is_replaced_and_changes_nothing(whole: Path, tmp_path: Path, cache: Path) -> None:
    running = start(whole / "spec.yaml", tmp_path, 2, cache)
    wait_until_it_trains(running, tmp_path)
    victims = workers_of(running.pid)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    output, errors = running.communicate(timeout=PATIENCE)
    assert (running.returncode, errors) == (0, ""), output + errors
    same(tmp_path, whole)


@pytest.mark.long
@POSIX
def test_workers_that_are_stopped_for_a_while_go_on_and_change_nothing(
    whole: Path, tmp_path: Path, cache: Path
) -> None:
    running = start(whole / "spec.yaml", tmp_path, 2, cache)
    wait_until_it_trains(running, tmp_path)
    victims = workers_of(running.pid)
    for victim in victims:
        os.kill(victim, signal.SIGSTOP)
    time.sleep(60)
    assert running.poll() is None, running.communicate()
    for victim in victims:
        os.kill(victim, signal.SIGCONT)
    output, errors = running.communicate(timeout=PATIENCE)
    assert (running.returncode, errors) == (0, ""), output + errors
    same(tmp_path, whole)
