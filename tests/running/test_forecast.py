"""Costs: what is measured, remembered and added up, and what `compile: auto` makes of it."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import spec
from bench.datasets import Data
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.results.files import as_json, write
from bench.running import forecast
from bench.running.pending import Pending
from bench.spec import Experiment, cells, plan
from bench.training import costs, measure
from bench.training.costs import Cost, Costs
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

SPECS = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}, {median: {size: null}}, identity]")
times = st.lists(st.floats(0, 1e4), max_size=30)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(tmp_path / "cache"))
    return spec.load(write_spec(tmp_path, SPECS), ["train.epochs=5"])


@given(times, st.integers(1, 8))
def test_the_wall_time_is_between_what_can_be_hoped_and_feared(busy: list[float], workers: int) -> None:
    wall = forecast.wall(busy, workers)
    assert max([*busy, sum(busy) / workers]) <= wall * (1 + 1e-9) + 1e-9
    assert wall <= (sum(busy) / workers + max([0.0, *busy])) * (1 + 1e-9)


def test_the_wall_time_of_one_process_is_the_sum_and_of_many_the_longest() -> None:
    assert forecast.wall([3, 1, 2], 1) == 6
    assert forecast.wall([3, 1, 2], 2) == 3
    assert forecast.wall([3, 1, 2], 9) == 3
    assert forecast.wall([], 2) == 0


def test_every_part_of_a_cell_is_counted(experiment: Experiment) -> None:
    work, _, median, _ = plan.works_of(experiment)
    assert work.cell.train
    size, known = experiment.dataset.size, {}
    known[costs.training_kind(work.cell.model, work.cell.noise, work.cell.train, size)] = Cost(1.0)
    known[costs.scoring_kind(work.cell.model, work.tests[0], experiment.metrics, size)] = Cost(0.01)
    for test in median.tests:
        known[costs.scoring_kind(median.cell.model, test, experiment.metrics, size)] = Cost(0.1)
    trained, validated = 5 * 32 * 1.0, 5 * 8 / 3
    found = forecast.seconds(experiment, Pending(work, 5), Costs(known))
    assert found == pytest.approx(trained + validated + 128 * 0.01 + forecast.CELL)
    assert forecast.seconds(experiment, Pending(work), Costs(known)) == pytest.approx(128 * 0.01 + forecast.CELL)
    fitted = 2 * (10 + 4 * 8) * 0.1  # two noises; four windows tried on eight validation images
    assert forecast.seconds(experiment, Pending(median), Costs(known)) == pytest.approx(fitted + forecast.CELL)
    assert forecast.seconds(experiment, Pending(work, 5), Costs({})) is None


def test_a_search_and_a_budget_of_seconds_are_counted(experiment: Experiment) -> None:
    work = plan.works_of(experiment)[0]
    assert work.cell.train
    known = Costs({costs.training_kind(work.cell.model, work.cell.noise, work.cell.train, 16): Cost(1.0)})

    settings = work.cell.train

    def seconds(done: int = 0, **changes: Any) -> float:
        train = dataclasses.replace(settings, **changes)
        changed = dataclasses.replace(work, cell=dataclasses.replace(work.cell, train=train), tests=())
        epochs = changed.cell.epochs * max(1, len(changed.cell.trials()))
        left = Pending(changed, epochs, done)
        return (forecast.seconds(experiment, left, known) or 0) - forecast.CELL

    assert seconds(lr_search=(0.1, 0.2)) == pytest.approx(2 * seconds())
    assert seconds(seconds=7.0) == pytest.approx(7)
    assert seconds(done=4) == pytest.approx(seconds() / 5), "epochs that are done take no time"
    assert seconds(images=10) == pytest.approx(10 + 8 / 3)


def test_measured_costs_are_those_of_the_work(experiment: Experiment) -> None:
    found = forecast.measure(experiment, plan.works_of(experiment), 1)
    assert all(cost.seconds > 0 for cost in found.known.values())
    left = plan.works_of(experiment)
    assert all((forecast.seconds(experiment, Pending(work, 5), found) or 0) > forecast.CELL for work in left)


def test_a_costlier_model_is_measured_to_be_costlier() -> None:
    noise, chosen = noises.parse("gaussian"), [metrics.parse("mse")]
    small, large = (measure.scoring(models.parse({"dncnn": {"depth": d}}), noise, chosen, 16) for d in (3, 16))
    assert large.seconds > 1.5 * small.seconds


def test_compiling_is_tried_only_where_it_might_pay(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = plan.works_of(experiment)[0].cell
    assert cell.train and cell.train.compile == "off"
    tried: list[str] = []
    real = measure._per_image

    def watched(given: cells.Cell, data: Data) -> tuple[float, float]:
        assert given.train
        tried.append(given.train.compile)
        return real(dataclasses.replace(given, train=dataclasses.replace(given.train, compile="off")), data)

    monkeypatch.setattr(measure, "_per_image", watched)
    assert measure.training(cell, 16, True).compiled is None
    monkeypatch.setattr(measure, "WORTH", 0)
    assert measure.training(cell, 16, False).compiled is None
    assert tried == ["off", "off"]
    assert measure.training(cell, 16, True).compiled is not None
    assert tried[2:] == ["off", "on"]


def test_where_compiling_fails_nothing_is_gained(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(network: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(measure, "WORTH", 0)
    monkeypatch.setattr("torch.compile", fails)
    found = measure.training(plan.works_of(experiment)[0].cell, 16, True)
    assert found.seconds > 0 and found.compiled is None and found.gain(10**9) == 0


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (Cost(0.1, 0.05, 1.0), "on"),  # 160 images: 8 s gained for 1 s
        (Cost(0.1, 0.05, 9.0), "off"),  # 8 s gained for 9 s
        (Cost(0.1, 0.2, 0.0), "off"),
        (Cost(0.1), "off"),
        (None, "off"),
    ],
)
def test_auto_compiles_where_a_recorded_measurement_shows_a_gain(
    cost: Cost | None, expected: str, experiment: Experiment
) -> None:
    first = plan.works_of(experiment)[0].cell
    assert first.train and first.images == 160
    known = Costs()
    if cost:
        kind = costs.training_kind(first.model, first.noise, first.train, 16)
        known = Costs({kind: cost})
    now = plan.works_of(experiment, known.compiling_pays)[0].cell
    assert now.train and now.train.compile == expected
    assert (now.id == first.id) == (expected == "off"), "kernels of another kind round otherwise"
    off = experiment.retrained(lambda train: dataclasses.replace(train, compile="off"))
    fixed = plan.works_of(off, known.compiling_pays)
    assert fixed[0].cell.id == first.id


def test_costs_survive_being_written_down_and_damage_is_none(experiment: Experiment) -> None:
    known = {"a": Cost(1.0), "b": Cost(2.0, 1.0, 30.0)}
    write(forecast.path(), as_json(Costs(known).node()))
    assert forecast.remembered().known == known
    for damaged in ("", "[]", "{", '{"a": 3, "b": {"seconds": 1}}'):
        forecast.path().write_text(damaged)
        assert forecast.remembered().known == {}


def test_costs_of_another_machine_are_not_taken(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    before = costs.start_kind()
    monkeypatch.setattr(costs, "_machine", lambda: {"cpu": "Made Up 9000"})
    assert costs.start_kind() != before


def test_plan_foretells_once_costs_are_measured(experiment: Experiment, tmp_path: Path) -> None:
    text = str(tmp_path / "spec.yaml")
    assert "4 of these cells were never benchmarked on this machine; use --measure" in bench("plan", text).output
    measured = bench("plan", text, "--measure", "--workers", 1).output
    later = bench("plan", text).output
    for said in (measured, later):
        assert re.search(r"time without figures and report, from benchmarks on this machine: \d+ s in 1 process", said)
    assert re.search(r" in 1 process, \d+ s in 2, \d+ s in 4, each", later)
    run(tmp_path / "spec.yaml", tmp_path / "results", "--workers", 1)
    assert "time without" not in bench("plan", text, "--results", tmp_path / "results").output
