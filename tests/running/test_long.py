"""What takes minutes: runs killed again and again, and the quality that training must reach."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.models import models
from bench.running.pools import Processes, Unit, WorkerDied
from bench.training import train
from bench.training.state import State
from tests.helpers.cli import environment, family, run, run_command
from tests.helpers.images import data_of
from tests.helpers.results import steady_rows
from tests.helpers.specs import cell_of
from tests.running import test_run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("cache")]
LOSSLESS = Path(__file__).parents[3] / "shared/data/cifar10-lossless"
ENDS = [(130, "Interrupted: everything that was finished is kept; the same command goes on from there.\n"), (0, "")]
whole = test_run.whole
Run = subprocess.Popen[str]


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


def gone(leader: int, within: float) -> bool:
    """Whether all processes of a run end in time."""
    deadline = time.monotonic() + within
    while family(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not family(leader)


def same(results: Path, whole: Path) -> None:
    assert test_run.rows_of(results) == test_run.rows_of(whole / "whole")
    assert test_run.weights_of(results) == test_run.weights_of(whole / "whole")


@test_run.POSIX
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
    output, errors = last.communicate(timeout=300)
    assert last.returncode == 0, output + errors
    same(tmp_path, whole)


@test_run.POSIX
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
    output, errors = last.communicate(timeout=300)
    assert last.returncode == 0, output + errors
    same(tmp_path, whole)


def workers_of(client: int) -> list[int]:
    """The processes in which a run trains: children of its children."""
    found = []
    for process in family(client):
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if process != client and int(words[1]) != client:
            found.append(process)
    return found


@test_run.POSIX
def test_a_worker_that_is_killed_is_replaced_and_changes_nothing(whole: Path, tmp_path: Path, cache: Path) -> None:
    running = start(whole / "spec.yaml", tmp_path, 2, cache)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("tiny/cells/*/state.safetensors")):
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.01)
    victims = workers_of(running.pid)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    output, errors = running.communicate(timeout=300)
    assert (running.returncode, errors) == (0, ""), output + errors
    same(tmp_path, whole)


def slowly(value: int) -> int:
    time.sleep(0.1)
    return value


def test_many_deaths_blame_none_but_their_cause() -> None:
    """Longer than Dask waits, by default, before it gives up a process that it sees missing."""
    pool = Processes(2)
    try:
        for _ in range(30):
            for tag in range(12):
                pool.start(tag, Unit(os._exit, (1,)) if tag in (3, 4) else Unit(slowly, (tag,)))
            outcomes = [pool.finish() for _ in range(12)]
            assert {tag for tag, _, error in outcomes if isinstance(error, WorkerDied)} == {3, 4}
            assert all(tag == found for tag, found, error in outcomes if not error)
    finally:
        pool.close()


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", [name for name in models if models[name].trains])
def test_compiled_training_differs_by_rounding_only(name: str) -> None:
    """In the first epoch: from then on training amplifies rounding, by processor and model to several thousandths."""
    plain, compiled = (
        train.advance(cell_of(name, epochs=1, keep="last", compile=choice), data_of(), State(), 1)
        for choice in ("off", "on")
    )
    for before, after in zip(plain.history, compiled.history, strict=True):
        assert after.train_loss == pytest.approx(before.train_loss, rel=1e-3)
        assert after.validation_loss == pytest.approx(before.validation_loss, rel=1e-3)


@pytest.mark.skipif(not LOSSLESS.is_dir(), reason="needs the images of cifar10-lossless beside the project")
def test_training_reaches_its_quality(tmp_path: Path, cache: Path) -> None:
    """Gaussian noise of 0.1 on exact CIFAR-10 images: 2,250 to train, 500 to test; 40 epochs of batches of 32."""
    spec = tmp_path / "quality.yaml"
    spec.write_text(
        "name: quality\n"
        f"dataset: {{name: folder, root: {LOSSLESS}}}\n"
        "models: [conv, unet, identity]\n"
        "noises: [gaussian: {sigma: 0.1}]\n"
        "train: {epochs: 40, batch_size: 32, lr: 2.0e-3}\n"
    )
    found = run(spec, tmp_path)
    assert found.exit_code == 0, found.output
    rows = steady_rows(tmp_path / "quality" / "tables" / "results.csv")
    psnr = {row["model"].split("(")[0]: float(row["psnr"]) for row in rows}
    assert psnr["identity"] == pytest.approx(20.3, abs=0.05)
    assert psnr["conv"] >= 25.5
    assert psnr["unet"] >= 27.0
