"""What contenders cost to use: measured in turn, in a process of its own, and shown where the machine tells."""

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.core import meters
from bench.core.meters import EnergyMeter
from bench.results.costs import NOISY
from bench.results.store import Store
from bench.running import measuring
from bench.training import inference
from bench.training.inference import Subject, interleaved
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec


class Sleeping(nn.Module):
    """Does nothing, for some milliseconds an image; a list hears of each pass."""

    def __init__(self, name: str, ms: float, passes: list[tuple[str, int]]) -> None:
        super().__init__()
        self.name, self.ms, self.passes = name, ms, passes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes.append((self.name, len(images)))
        time.sleep(self.ms * len(images) / 1000)
        return images


def test_latencies_are_measured_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "SECONDS", 0.02)
    passes: list[tuple[str, int]] = []
    subjects = [Subject(Sleeping("a", 0.1, passes), 8), Subject(Sleeping("b", 5.0, passes), 8, ensemble=8)]
    rounds: list[int] = []
    fast, slow = interleaved(subjects, 3, rounds.append)
    assert rounds == [1, 2, 3]
    measured = [name for name, _ in passes[-3 * 9 :]]
    assert measured == [*"a", *"b" * 8] * 3, "one pass of each in a round; eight views of an image in one"
    assert slow.images < fast.images <= 128
    assert 0.1 <= fast.latency_ms < 5 and 40 <= slow.latency_ms < 120


def test_the_spread_is_between_quartiles_and_a_busy_machine_is_noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 1.0, 1.0, 1.0, 1.2, 1.4])

    def taken(subject: Subject, images: torch.Tensor) -> float:
        return next(times)

    monkeypatch.setattr(inference, "_pass", taken)
    (found,) = interleaved([Subject(nn.Identity(), 8)], 4)
    assert found.latency_ms == pytest.approx(1000 * 1.1 / 128)
    assert found.spread == pytest.approx((1.25 - 1.0) / 1.1)
    assert found.spread > NOISY


def counters(folder: Path, *microjoules: int) -> Path:
    for package, value in enumerate(microjoules):
        place = folder / f"intel-rapl:{package}"
        (place / f"intel-rapl:{package}:0").mkdir(parents=True, exist_ok=True)
        (place / "energy_uj").write_text(f"{value}\n")
        (place / "max_energy_range_uj").write_text("9000000\n")
    return folder


def test_energy_is_that_of_all_packages_and_goes_on_where_a_counter_starts_again(tmp_path: Path) -> None:
    meter = EnergyMeter("cpu", counters(tmp_path, 1_000_000, 8_000_000))
    counters(tmp_path, 3_000_000, 8_500_000)
    assert meter.read() == pytest.approx(2.5)
    counters(tmp_path, 3_000_000, 500_000)
    assert meter.read() == pytest.approx(1.0)


def test_where_the_machine_tells_no_energy_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EnergyMeter("cpu", tmp_path / "nowhere").read() is None
    monkeypatch.setattr(meters, "_nvml", lambda: None)
    assert EnergyMeter("cuda", counters(tmp_path, 1, 2)).read() is None, "a part of it is not all of it"
    monkeypatch.setattr(meters, "_nvml", lambda: iter([10.0, 14.0]).__next__)
    assert EnergyMeter("cuda", counters(tmp_path, 1, 2)).read() == pytest.approx(4.0)


def test_peak_memory_grows_with_what_is_held() -> None:
    before = meters.peak_memory()
    assert before and before > 50
    held = np.ones((40, 1024, 1024))
    after = meters.peak_memory()
    assert after and after >= before and held.sum() > 0


@pytest.fixture
def ran(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models = "[{conv: {width: 4}}, {conv: {width: 4, ensemble: 8}}, {median: {size: null}}, {pca: {patch: 4, code: 5}}]"
    spec = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", models))
    assert run(spec, tmp_path / "results").exit_code == 0
    monkeypatch.setattr(inference, "ROUNDS", 2)
    return tmp_path / "results" / "tiny"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "tables" / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_was_measured_stands_in_the_tables_of_every_noise_and_stays(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(ran)
    assert "latency_spread" not in before[0]
    monkeypatch.setattr(measuring, "_apart", lambda one, plugins: 100.0 * one.ensemble)
    result = bench("measure", ran)
    assert result.exit_code == 0, result.output
    assert "peak MB" in result.output
    for found in (rows(ran), (bench("report", ran), rows(ran))[1]):
        by_model: dict[str, set[Any]] = {}
        for row in found:
            by_model.setdefault(row["model"], set()).add((row["latency_ms"], row["latency_spread"]))
            assert row["peak_memory_mb"] == ("800.0" if "ensemble" in row["model"] else "100.0")
        assert len(by_model) == 4 and all(len(values) == 1 for values in by_model.values())
        assert float(found[0]["latency_spread"]) >= 0
    keys = [key for key in before[0] if key not in ("latency_ms", "train_seconds", "evaluate_seconds")]
    assert [[row[key] for key in keys] for row in rows(ran)] == [[row[key] for key in keys] for row in before]


def test_memory_is_that_of_a_process_of_its_own(ran: Path) -> None:
    store = Store(ran)
    one, *_ = measuring.contestants(store, store.plan())
    found = measuring._apart(one, ())
    assert found and found > 50


def test_a_folder_without_a_finished_cell_has_nothing_to_measure(tmp_path: Path) -> None:
    assert bench("measure", tmp_path).exit_code != 0
