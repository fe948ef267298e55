"""A run on a cluster that shares nothing with it but the package gives what the same run gives here."""

import os
import pickle
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import pytest

from bench.core.errors import BenchError
from bench.running import cluster as clusters
from bench.running.pace import TOGETHER, Unit
from bench.running.pools import TookTooLong, WorkerDied
from bench.training import shipped
from bench.training.shipped import Facts, Shipment
from tests.core.test_plugins import STRIPES
from tests.helpers.cli import PATIENCE, environment, run_command
from tests.helpers.cluster import cluster
from tests.helpers.results import rows_of
from tests.helpers.specs import write_spec

HELPER = "\nSTRENGTH = 0.5\n"


def given(folder: Path, epochs: int = 2) -> tuple[Path, Path]:
    """A spec, and a plug-in that imports a module beside it."""
    changes = ("  - masking: {p: 0.25}", "  - combs"), ("epochs: 2", f"epochs: {epochs}")
    noise = folder / "combs.py"
    code = STRIPES.replace("stripes", "combs").replace("strength: float = 0.5", "strength: float = STRENGTH")
    noise.write_text(code.replace("from bench.noises", "from combs_strength import STRENGTH\n\nfrom bench.noises"))
    (folder / "combs_strength.py").write_text(HELPER)
    return write_spec(folder, *changes), noise


def started(path: Path, results: Path, noise: Path, *options: object, **variables: str) -> "subprocess.Popen[str]":
    command = run_command(path, results, "--plugin", noise, *options)
    beside = os.pathsep.join([str(noise.parent), os.environ.get("PYTHONPATH", "")])
    env = {**environment(noise.parent / "cache"), "PYTHONPATH": beside, **variables}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def test_a_cluster_gives_the_same_though_a_worker_is_killed(tmp_path: Path) -> None:
    path, noise = given(tmp_path, epochs=200)
    with cluster(tmp_path / "cluster") as there:
        first, _ = there.join(), there.join()
        run = started(path, tmp_path / "far", noise, "--scheduler", there.file)
        until = time.monotonic() + PATIENCE
        while len(list(tmp_path.glob("far/tiny/cells/*/state.safetensors"))) < 2:  # both workers are at work
            assert run.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        first.kill()
        said, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0 and "is gone" in said, said
        assert list((tmp_path / "cluster").glob("worker*/cache/datasets/*/train.npy"))
    here = started(path, tmp_path / "near", noise, "--workers", 1)
    assert here.wait() == 0
    assert rows_of(tmp_path / "far") == rows_of(tmp_path / "near")


def test_a_scheduler_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    with pytest.raises(BenchError, match="no scheduler answers there"):
        clusters.Cluster("tcp://127.0.0.1:1", print)


class FakeFuture:
    """A unit that ended in some way."""

    status = "finished"

    def __init__(self, outcome: Any = None) -> None:
        self.outcome = outcome

    def add_done_callback(self, call: Any) -> None:
        pass

    def cancel(self) -> None:
        pass

    def result(self, timeout: float = 0) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class FakeClient:
    """Workers by address: what each is, or the error that it answers with."""

    def __init__(self, workers: dict[str, Any]) -> None:
        self.workers = workers
        self.given: list[tuple[str, dict[str, Any]]] = []

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.workers, 1)

    def run(self, function: Any, *arguments: Any, workers: list[str], on_error: str) -> dict[str, Any]:
        found = self.workers[workers[0]]
        return {workers[0]: found if function is shipped.greet or isinstance(found, Exception) else None}

    def submit(self, function: Any, *arguments: Any, workers: list[str], **asked: Any) -> FakeFuture:
        self.given.append((workers[0], asked.get("resources", {})))
        return FakeFuture()


def facts(gpus: float = 0, **versions: str) -> Facts:
    return Facts("node7", {**shipped.versions(), **versions}, True, False, gpus)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def made(**workers: Any) -> Any:
        errors = {"KilledWorker": distributed.KilledWorker, "client": distributed.client}
        fakes = SimpleNamespace(Client=lambda **where: FakeClient(workers), **errors)
        monkeypatch.setattr(clusters, "distributed", fakes)
        return clusters.Cluster("tcp://there:8786", said.append)

    said: list[str] = []
    made.said = said  # type: ignore[attr-defined]
    return made


def shipment() -> Shipment:
    return Shipment("run", (), (), False, {}, {}, "", {}, {})


def test_workers_with_other_versions_are_refused_by_name(fake: Any) -> None:
    wrong = {"a": facts(torch="1.0"), "b": ModuleNotFoundError("No module named 'bench'")}
    there = fake(**wrong)
    with pytest.raises(
        BenchError, match=r"no worker of tcp://there:8786 can take part:\n  worker a on node7: it has torch 1"
    ):
        there.ship(shipment(), {})
    there = fake(**wrong, c=facts())
    there.ship(shipment(), {})
    assert list(there.workers) == ["c"]
    assert any(line.startswith("worker b: noise-bench is not installed there") for line in fake.said)


def test_gpus_go_to_those_who_need_them(fake: Any) -> None:
    there = fake(a=facts(gpus=1), b=facts())
    there.ship(shipment(), {})
    on_gpu, anywhere = ({"train": {"device": device}} for device in ("cuda", "cpu"))
    for tag, cell in enumerate([anywhere, on_gpu, on_gpu, anywhere]):
        there.start(tag, Unit(print, (None, cell)))
    assert there.client.given == [("b", {}), ("a", {"GPU": 1.0})]
    assert [task.tag for task in there.waiting] == [2, 3]


def test_a_unit_that_ends_its_workers_is_given_up(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "LOOK", 0.0)
    there = fake(a=facts())
    there.ship(shipment(), {})
    there.start(5, Unit(print, ()))
    for number in range(3):  # another worker each time
        there.client.workers = {f"a{number}": facts()}
        there._look()
        there._assign()
    outcome = there.finish()
    assert outcome.tag == 5 and isinstance(outcome.error, WorkerDied)
    assert sum("is gone" in line for line in fake.said) == 3


def test_a_unit_that_takes_too_long_is_ended(fake: Any) -> None:
    there = fake(a=facts())
    there.timeout, there.pace.depth = 5.0, 2
    there.ship(shipment(), {})
    restarted: list[str] = []
    there.client.restart_workers = lambda workers, timeout: restarted.extend(workers)
    for tag in range(2):
        there.start(tag, Unit(print, ()))
    there._assign()
    there.running = {future: [replace(task, since=task.since - 6)] for future, (task,) in there.running.items()}
    there._end_overdue()
    outcome = there.finish()
    assert outcome.tag == 0 and isinstance(outcome.error, TookTooLong) and restarted == ["a"]
    assert [(task.tag, task.lost) for task in there.waiting] == [(1, 0)], "who waited behind it is not to blame"


def test_brief_units_go_to_a_worker_together_and_alone_once_it_was_lost_with_them(fake: Any) -> None:
    there = fake(a=facts(), b=facts())
    there.ship(shipment(), {})
    there.start(0, Unit(abs, (-1,)))
    (future,) = there.running
    future.outcome = shipped.guarded_each(pickle.dumps([(abs, (-1,))]))
    there._take(future)
    assert there.finish() == (0, 1, None) and there.hungry and (there.pace.depth, there.pace.together) == (2, TOGETHER)
    for tag in range(1, 11):
        there.start(tag, Unit(abs, (-tag,)))
    there._assign()
    assert [[task.tag for task in tasks] for tasks in there.running.values()] == [[1], [2], [3, 4, 5, 6, 7, 8, 9, 10]]
    there.client.workers.pop("b" if there.running[list(there.running)[2]][0].worker == "a" else "a")
    third = list(there.running)[2]
    third.outcome = shipped.guarded_each(pickle.dumps([(abs, (-tag,)) for tag in range(3, 11)]))
    there._take(third)
    assert [outcome.result for outcome in there.done] == list(range(3, 11))
    for number in (11, 12, 13):
        there.start(number, Unit(abs, (-number,)))
    there.done.clear()
    there._look()
    assert any("is gone" in line for line in fake.said)
    lost = [task.tag for task in there.waiting if task.lost]
    there._assign()
    alone = [[task.tag for task in tasks] for tasks in there.running.values()]
    assert lost and all(len(tags) == 1 for tags in alone if set(tags) & set(lost))


def test_what_waits_at_a_worker_that_takes_a_result_away_is_done_elsewhere(fake: Any) -> None:
    """Dask would keep it for that worker for ever."""
    there = fake(a=facts())
    there.pace.depth = 2
    there.ship(shipment(), {})
    for tag in range(2):
        there.start(tag, Unit(print, ()))
    there._assign()
    first, second = there.running
    first.outcome = TimeoutError()
    there.client.workers = {"b": facts()}
    there._take(first)
    assert second not in there.running and not there.done
    assert fake.said[-1] == "worker a on node7 is gone: its 2 units are done again"
    assert [(task.tag, task.lost) for task in there.waiting] == [(0, 1), (1, 0)]
    there._look()
    there._assign()
    assert [(tasks[0].tag, tasks[0].worker) for tasks in there.running.values()] == [(0, "b"), (1, "b")]


def test_a_worker_that_was_started_again_gets_all_anew(fake: Any) -> None:
    there = fake(a=facts())
    there.ship(shipment(), {})
    there.start(0, Unit(print, ()))
    (future,) = there.running
    future.outcome = shipped.NotShipped("run")
    there._take(future)
    assert not there.done and not there.workers
    there._look()
    there._assign()
    assert [address for address, _ in there.client.given] == ["a", "a"]


@pytest.mark.long
@pytest.mark.parametrize("encrypted", [False, True])
def test_the_default_grid_on_a_cluster_whose_workers_come_and_go(tmp_path: Path, encrypted: bool) -> None:
    """The grid of `make bench`, on the photographs and with a small budget, and a noise of one's own."""
    _, noise = given(tmp_path)
    options, settings = tls(tmp_path) if encrypted else ((), {})
    grid = "noises=[gaussian: {sigma: 0.1}, masking: {p: 0.25}, salt_and_pepper: {p: 0.1}, combs]"
    words = ["--set", "name=tiny", "--set", "dataset={name: photos, train: 400, test: 60}"]
    words += ["--set", grid, "--set", "train={images: 1500, device: cpu}"]
    with cluster(tmp_path / "cluster", *options) as there:
        first, _ = there.join(), there.join()
        run = started(Path("default"), tmp_path / "far", noise, *words, "--scheduler", there.file, **settings)
        assert run.stdout
        lines, seen = [], 0
        for line in run.stdout:
            lines.append(line)
            seen += "done:" in line
            if seen == 5 and first.poll() is None:
                first.kill()
                there.join()
        assert run.wait() == 0, "".join(lines)
        assert any("is gone" in line for line in lines)
    here = started(Path("default"), tmp_path / "near", noise, *words, "--workers", 2)
    assert here.wait() == 0
    assert rows_of(tmp_path / "far") == rows_of(tmp_path / "near")


def tls(folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Options of Dask's commands, and environment variables of its clients, for keys of one's own."""
    made = distributed.Security.temporary()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(made.tls_ca_file)
    key.write_text(made.tls_scheduler_key)
    options = ("--protocol", "tls", "--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key)
    start = "DASK_DISTRIBUTED__COMM__TLS"
    settings = {f"{start}__CA_FILE": certificate, f"{start}__CLIENT__CERT": certificate, f"{start}__CLIENT__KEY": key}
    return tuple(map(str, options)), {name: str(path) for name, path in settings.items()}


@pytest.mark.long
def test_what_a_unit_costs_here_hardly_grows_with_the_workers(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two to 200 workers whose units end at once: processor time of this process, a state and Dask's own work apart."""

    def cost(count: int) -> float:
        there = fake(**{f"worker{number}": facts() for number in range(count)})
        there.ship(shipment(), {})
        monkeypatch.setattr(there.client, "submit", lambda *given, **asked: Ended(there))
        while there.hungry:
            there.start(len(there.pace.under_way), Unit(int, ()))
        started = time.process_time()
        for _ in range(2000):
            outcome = there.finish()
            there.start(outcome.tag, Unit(int, ()))
        return (time.process_time() - started) / 2000

    ZERO = pickle.dumps((0, None))

    class Ended(FakeFuture):
        def __init__(self, there: Any) -> None:
            super().__init__([(ZERO, 0.3)])  # too long for company
            self.there = there

        def add_done_callback(self, call: Any) -> None:
            self.there.ended.put(self)

    costs = {count: min(cost(count) for _ in range(3)) for count in (2, 20, 200)}
    print({count: f"{1e6 * seconds:.0f} us" for count, seconds in costs.items()})
    assert costs[200] < 1e-3, costs
