"""Where units run: in this process or in others, which may die, and into which nothing around a run leaks."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.running import pools, sockets, steps
from bench.running.pace import TOGETHER, Unit
from bench.running.pools import Inline, Processes
from bench.training.state import State
from tests.helpers.cli import PATIENCE, environment
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
NEEDED = pools.FILES + 2 * pools.FILES_EACH  # open files, for two processes
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a fork server and limits")


def test_inline_runs_units_in_turn() -> None:
    pool = Inline()
    pool.start(3, Unit(pow, (3, 1)))
    pool.start(4, Unit(int, ("x",)))
    assert pool.finish() == (3, 3, None)
    tag, found, error = pool.finish()
    assert (tag, found) == (4, None) and isinstance(error, ValueError)


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    pool = Processes(2)
    yield pool
    pool.close()


def test_processes_give_each_result_with_its_tag(processes: Processes) -> None:
    for tag in range(6):
        processes.start(tag, Unit(pow, (tag, 2)))
    processes.start(6, Unit(int, ("x",)))
    outcomes = {tag: (found, error) for tag, found, error in (processes.finish() for _ in range(7))}
    assert {tag: found for tag, (found, _) in outcomes.items() if tag < 6} == {tag: tag**2 for tag in range(6)}
    assert isinstance(outcomes[6][1], ValueError)


def test_behind_a_brief_unit_the_next_one_waits_at_its_process_and_behind_a_long_one_none(processes: Processes) -> None:
    for seconds, tasks in ((0.2, 4), (1.2, 2), (0.2, 4)):
        for tag in range(4):
            processes.start(tag, Unit(time.sleep, (seconds,)))
        assert {processes.finish().tag for _ in range(4)} == set(range(4))
        assert processes.tasks == tasks
    for tag in range(5):
        processes.start(tag, Unit(_slowly, (tag,)))
    first = processes.finish().tag
    assert (len(processes.running), len(processes.waiting)) == (3, 1)
    assert {first, *(processes.finish().tag for _ in range(4))} == set(range(5))


def test_brief_units_travel_together_and_longer_ones_alone(processes: Processes) -> None:
    for tag in range(40):
        processes.start(tag, Unit(_after, (0.001, tag)))
    assert sorted(processes.finish().result for _ in range(40)) == list(range(40))
    assert (processes.tasks, processes.pace.together) == (4, TOGETHER) and processes.hungry
    for tag in range(40):
        processes.start(tag, Unit(_after if tag % 2 else _slowly, (0.001, tag) if tag % 2 else (tag,)))
    found, sizes = set(), set()
    for _ in range(40):
        sizes |= {len(units) for units in processes.running.values()}
        outcome = processes.finish()
        assert outcome.tag == outcome.result
        found.add(outcome.tag)
    assert found == set(range(40)) and 1 in sizes


def test_what_can_t_travel_is_the_error_of_that_unit_alone(processes: Processes) -> None:
    """One that raises, and one whose result can't be pickled, among brief units that are put together."""
    for _ in range(2):
        for tag in range(12):
            unit = {3: Unit(_raising, (tag,)), 7: Unit(_lock, (tag,))}.get(tag, Unit(_after, (0.001, tag)))
            processes.start(tag, unit)
        outcomes = {outcome.tag: outcome for outcome in (processes.finish() for _ in range(12))}
        assert isinstance(outcomes.pop(3).error, ZeroDivisionError) and "pickle" in str(outcomes.pop(7).error)
        assert all(outcome.error is None and outcome.result == tag for tag, outcome in outcomes.items())


def _after(seconds: float, value: int) -> int:
    time.sleep(seconds)
    return value


def _raising(value: int) -> float:
    return value / 0


def _lock(value: int) -> Any:
    return threading.Lock()


@pytest.mark.parametrize("part", ["scheduler", "worker", "nanny"])
@pytest.mark.parametrize("keys", [None, "its own"])
def test_no_other_client_is_let_in(processes: Processes, part: str, keys: str | None) -> None:
    """Whoever can reach the ports of a run, as any user of the machine can, may send it nothing."""
    import distributed
    from distributed.comm.core import connect

    nanny = next(iter(processes.cluster.workers.values()))
    address = {"scheduler": processes.cluster.scheduler_address, "worker": nanny.worker_address, "nanny": nanny.address}
    place = address[part].partition("://")[2]
    other = distributed.Security.temporary() if keys else distributed.Security()

    async def ask() -> None:
        stream = await connect(
            ("tls://" if keys else "tcp://") + place, timeout=5, **other.get_connection_args("worker")
        )
        await stream.write({"op": "identity", "reply": True})
        await stream.read()

    with pytest.raises(OSError):
        processes.client.sync(ask)


@pytest.mark.long
def test_a_process_that_dies_is_a_reason_and_is_replaced(processes: Processes) -> None:
    """None but the cause is blamed, however many run beside it or wait behind it."""
    for tag in range(12):
        processes.start(tag, Unit(os._exit, (1,)) if tag in (3, 4) else Unit(_slowly, (tag,)))
    outcomes = {tag: (found, error) for tag, found, error in (processes.finish() for _ in range(12))}
    for tag in (3, 4):
        error = outcomes.pop(tag)[1]
        assert isinstance(error, pools.WorkerDied)
        assert "its process died twice" in steps.reason(error)
    assert outcomes == {tag: (tag, None) for tag in outcomes}


def _slowly(value: int) -> int:
    time.sleep(0.1)
    return value


def test_a_unit_that_takes_too_long_is_ended_and_no_other() -> None:
    pool = Processes(2, timeout=3.0)
    try:
        for tag in range(3):
            pool.start(tag, Unit(time.sleep, (600,)) if tag == 1 else Unit(_slowly, (tag,)))
        outcomes = {tag: (found, error) for tag, found, error in (pool.finish() for _ in range(3))}
        late = outcomes.pop(1)[1]
        assert late and steps.reason(late) == "a unit of its work took longer than --timeout 3 and was ended"
        assert outcomes == {tag: (tag, None) for tag in (0, 2)}
        pool.start(3, Unit(_slowly, (3,)))
        assert pool.finish() == (3, 3, None), "its process was not replaced"
        assert pool.tasks == 2, "what waits behind a unit would be late with it"
    finally:
        pool.close()


class Unreadable(Exception):
    """Can be pickled, but not read again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unreadable, ()


def _unreadable() -> Any:
    raise Unreadable("not to be read")


def test_an_error_that_no_other_process_can_read_is_told_by_its_text(processes: Processes) -> None:
    processes.start(0, Unit(_unreadable, ()))
    error = processes.finish().error
    assert error and steps.reason(error) == "Unreadable: not to be read"


def test_processes_that_are_slow_to_close_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Dask gives up waiting, after all is done."""
    pool = Processes(1)
    for part in (pool.client, pool.cluster):
        close = part.close

        def late(close: Any = close, **settings: Any) -> None:
            close()
            raise TimeoutError("timed out after 2 s.")

        monkeypatch.setattr(part, "close", late)
    pool.close()


def test_no_callback_of_the_garbage_collector_can_swallow_an_interrupt(processes: Processes) -> None:
    assert not [callback for callback in gc.callbacks if "distributed" in getattr(callback, "__module__", "")]


def test_large_states_travel_without_a_word(processes: Processes, recwarn: pytest.WarningsRecorder) -> None:
    state = State(weights={"a": np.zeros(5_000_000)})
    processes.start(1, Unit(_echo, (state,)))
    assert processes.finish()[1].weights["a"].nbytes == 40_000_000
    assert not recwarn.list


def _echo(value: Any) -> Any:
    return value


def test_processes_never_get_interrupts(processes: Processes) -> None:
    processes.start(1, Unit(os.getpid, ()))
    pid = processes.finish()[1]
    os.kill(pid, signal.SIGINT)
    processes.start(2, Unit(os.getpid, ()))
    processes.start(3, Unit(os.getpid, ()))
    assert pid in {processes.finish()[1], processes.finish()[1]}


@pytest.fixture
def heeded() -> Iterator[None]:
    """Interrupts as a terminal's program gets them, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_until_it_is_let_through(heeded: None) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), pools.interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # another thread may be the one that takes it
        done.append(1)
    assert done == [1]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


def test_interrupts_that_are_ignored_stay_ignored(heeded: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pools.interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)


def test_interrupts_can_only_be_held_in_the_main_thread() -> None:
    """Elsewhere the block is run as it is."""
    done: list[int] = []

    def work() -> None:
        with pools.interrupts_held():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


@pytest.mark.long
def test_many_deaths_blame_none_but_their_cause() -> None:
    """Longer than Dask waits, by default, before it gives up a process that it sees missing."""
    pool = Processes(2)
    try:
        for turn in range(30):
            for tag in range(12):
                other = Unit(_slowly, (tag,)) if turn % 2 else Unit(_after, (0.001, tag))  # these are put together
                pool.start(tag, Unit(os._exit, (1,)) if tag in (3, 4) else other)
            outcomes = [pool.finish() for _ in range(12)]
            assert {tag for tag, _, error in outcomes if isinstance(error, pools.WorkerDied)} == {3, 4}
            assert all(tag == found for tag, found, error in outcomes if not error)
    finally:
        pool.close()


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
        timeout=PATIENCE,
        check=False,
    )


@POSIX
def test_files_in_the_current_folder_are_never_executed(tmp_path: Path, cache: Path) -> None:
    for name in ("random.py", "bench.py", "torch.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nraise SystemExit(1)\n")
    found = apart(tmp_path, cache)
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "executed").exists()


@POSIX
def test_a_long_name_of_the_folder_for_temporary_files_is_no_obstacle(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    found = apart(tmp_path, cache, TMPDIR=str(folder))
    assert found.returncode == 0, found.stderr


@POSIX
@POSIX
def test_what_a_killed_run_left_is_removed_by_the_next_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(util, "get_temp_dir", lambda: "")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f"noise-bench-{ended.pid}-x", f"noise-bench-{os.getpid()}-x", "noise-bench-figures"):
        (tmp_path / name / "pymp-y").mkdir(parents=True)
    sockets.place.__wrapped__()
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"noise-bench-{os.getpid()}-x", "noise-bench-figures"} < names and len(names) == 3


def test_settings_for_other_clusters_are_left_aside(tmp_path: Path, cache: Path) -> None:
    settings = tmp_path / "dask"
    settings.mkdir()
    (settings / "mine.yaml").write_text("distributed: {comm: {require-encryption: true}}\n")
    found = apart(tmp_path, cache, DASK_CONFIG=str(settings), DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="no")
    assert found.returncode == 0, found.stderr


@POSIX
@pytest.mark.parametrize("limit", [30, 35, 40, NEEDED - 1])
def test_a_limit_on_open_files_is_a_message(limit: int, tmp_path: Path, cache: Path) -> None:
    found = apart(tmp_path, cache, setup=f"ulimit -n {limit}")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "Too many open files" in found.stderr and "--workers 1" in found.stderr
    assert f"{NEEDED} are needed, the limit is {limit}" in found.stderr


@POSIX
@pytest.mark.parametrize("setup", [f"ulimit -n {NEEDED}", "ulimit -S -n 40"])
def test_as_many_open_files_as_are_needed_are_enough(setup: str, tmp_path: Path, cache: Path) -> None:
    """Within a limit that can be raised, too."""
    found = apart(tmp_path, cache, setup=setup)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
