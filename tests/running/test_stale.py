"""Results of code that has changed since: made anew and said, or taken and marked; never mixed."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import spec
from bench.core import machine, registry, sources
from bench.results.compare import NotComparable, compare
from bench.results.files import as_json, read_json
from bench.results.records import RunPlan
from bench.results.remarks import remarks
from bench.results.revisions import made_before
from bench.results.rows import read_rows
from bench.results.store import WEIGHTS, Store
from bench.running import engine, stale, steps
from bench.running.events import Scored, Trained
from bench.running.pending import pending
from bench.spec import Experiment
from bench.spec.plan import works_of
from bench.training import units
from tests.core.test_plugins import STRIPES
from tests.helpers.cli import PATIENCE
from tests.helpers.plugins import MODEL
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")

Change = Callable[[str], None]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    given = ("  - masking: {p: 0.25}", "test_noises: [poisson, masking: {p: 0.25}]")
    return spec.load(write_spec(tmp_path, given))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results" / "tiny")


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Edits the code of the class of this name, or seems to."""
    real, edited = sources.code_of, list[str]()

    def code_of(cls: Any) -> str:
        return real(cls) + "-" * edited.count(cls.name)

    monkeypatch.setattr(registry, "code_of", code_of)
    return edited.append


def run(experiment: Experiment, store: Store, keep: bool = False) -> tuple[int, int]:
    """Run what is pending; returns how many trainings ended and how many tests were scored."""
    works = works_of(experiment)
    store.begin(experiment.node(), RunPlan.of(experiment, works))
    events = list(engine.run(experiment, works, store, 1, keep_stale=keep))
    trained = {event.cell.id for event in events if isinstance(event, Trained)}
    return len(trained), sum(isinstance(event, Scored) for event in events)


def said(experiment: Experiment, store: Store, keep: bool = False) -> list[str]:
    return list(stale.notes(experiment, works_of(experiment), store, keep))


@pytest.mark.parametrize(
    ("name", "anew", "what"),
    [
        ("conv", (1, 2), "model conv has changed: 1 cell trained and scored anew;"),
        ("gaussian", (1, 2), "noise gaussian has changed: 1 cell trained and scored anew;"),
        ("poisson", (0, 2), "noise poisson has changed: 2 tests scored anew;"),
        ("identity", (0, 2), "model identity has changed: 1 cell trained and scored anew;"),
        ("psnr", (0, 4), "metric psnr has changed: 4 tests scored anew;"),
        ("folder", (1, 4), "dataset folder has changed: 2 cells trained and scored anew;"),
    ],
)
def test_what_a_change_made_stale_is_made_anew_and_nothing_else(
    experiment: Experiment, store: Store, change: Change, name: str, anew: tuple[int, int], what: str
) -> None:
    assert run(experiment, store) == (1, 4) and run(experiment, store) == (0, 0)
    assert said(experiment, store) == []
    change(name)
    (note,) = said(experiment, store)
    assert what in note and "--keep-stale" in note
    assert run(experiment, store) == anew
    assert run(experiment, store) == (0, 0) and said(experiment, store) == []


def test_only_the_metric_that_changed_is_computed_anew(
    experiment: Experiment, store: Store, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, store)
    asked, real = [], units.score_step

    def score_step(*arguments: Any) -> Any:
        asked.append([name for node in arguments[5] for name in node])
        return real(*arguments)

    monkeypatch.setattr(steps, "score_step", score_step)
    change("ssim")
    run(experiment, store)
    change("poisson")
    run(experiment, store)
    assert asked == [["ssim"]] * 4 + [["mse", "psnr", "ssim"]] * 2


def test_stale_results_are_taken_on_request_and_marked(experiment: Experiment, store: Store, change: Change) -> None:
    run(experiment, store)
    change("conv")
    change("poisson")
    assert run(experiment, store, keep=True) == (0, 0)
    assert [note.partition(":")[2] for note in said(experiment, store, keep=True)] == [
        " what it made before (1 cell) is taken as it is, and marked in every table",
        " what it made before (1 test) is taken as it is, and marked in every table",
    ]
    marked = {
        (row.contender.model.name, row.test.label.name): remark.meaning
        for row in read_rows(store, store.plan())
        for remark in remarks(row)
        if remark.mark == "\N{DOUBLE VERTICAL LINE}"
    }
    assert marked == {
        ("conv", "poisson"): "made before the code of model conv, noise poisson changed",
        ("conv", "masking"): "made before the code of model conv changed",
        ("identity", "poisson"): "made before the code of noise poisson changed",
    }


def test_old_results_stay_until_the_new_are_whole_and_states_of_old_code_are_left(
    experiment: Experiment, store: Store, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, store)
    (weights,) = store.root.rglob(WEIGHTS)
    before = weights.read_bytes()
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    for _ in range(2):  # interrupted after one epoch, with new code each time
        change("conv")
        events = engine.run(experiment, works_of(experiment), store, 1)
        for event in events:
            if isinstance(event, Trained):
                assert event.last.epoch == 1
                break
        events.close()
        (left,) = pending(works_of(experiment), store, experiment)
        assert (left.epochs, left.done, left.stale) == (2, 1, True)
        assert weights.read_bytes() == before and store.cell(left.work.cell.id).intact()


def test_results_of_unknown_code_are_accepted_and_it_is_said(
    experiment: Experiment, store: Store, change: Change
) -> None:
    run(experiment, store)
    for path in (*store.root.rglob("cell.json"), *store.root.rglob("scores/*.json")):
        record = read_json(path)
        assert record and record.pop("code")
        path.write_text(as_json(record))
    change("conv")
    (note,) = said(experiment, store)
    assert note.startswith("2 cells and 4 tests of before the code that makes results was recorded")
    assert run(experiment, store) == (0, 0)


@pytest.mark.parametrize(
    ("name", "refused"), [("conv", False), ("poisson", True), ("gaussian", True), ("ssim", True), ("folder", False)]
)
def test_other_code_than_a_models_is_another_protocol(
    experiment: Experiment, store: Store, change: Change, tmp_path: Path, name: str, refused: bool
) -> None:
    """That of a dataset is not where the images are known to be the same."""
    other = Store(tmp_path / "other")
    for folder in (store, other):
        run(experiment, folder)
        plan = RunPlan.of(experiment, works_of(experiment), digests=experiment.dataset.digests())
        folder.begin(experiment.node(), plan)
        change(name)
    if refused:
        with pytest.raises(NotComparable, match=rf"code of \w+ {name}: '1' in A, '1-' in B"):
            compare(store, other)
    else:
        assert compare(store, other).differences


def test_what_was_made_elsewhere_is_marked_and_going_on_is_said(
    experiment: Experiment, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, others = "cpu: torch 1.0, avx2", "cpu: torch 2.0, avx2"
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(machine, "arithmetic", lambda device: one)
    events = engine.run(experiment, works_of(experiment), store, 1)
    next(event for event in events if isinstance(event, Trained))
    events.close()
    monkeypatch.setattr(machine, "arithmetic", lambda device: others)
    (note,) = said(experiment, store)
    assert note.startswith(f"1 training begun with {one} will go on with {others}")
    run(experiment, store)
    rows = read_rows(store, store.plan())
    assert {row.contender.model.name: row.made_with for row in rows} == {"conv": (one, others), "identity": (others,)}
    marked = {row.contender.model.name for row in rows for remark in remarks(row) if one in remark.meaning}
    assert marked == {"conv"}
    assert said(experiment, store) == []


def test_cells_of_another_precision_are_named(experiment: Experiment, store: Store) -> None:
    run(experiment.retrained(lambda train: replace(train, precision="bfloat16")), store)
    works = works_of(experiment.retrained(lambda train: replace(train, precision="float32")))
    (note,) = made_before(works, store)
    assert note.startswith("1 cell stored, or begun, with another device or precision")
    assert not list(made_before(works_of(experiment.retrained(lambda t: replace(t, precision="bfloat16"))), store))


def test_an_edited_plug_in_is_trained_anew_and_an_edited_test_noise_only_scored(tmp_path: Path) -> None:
    changes = ("{conv: {width: 4}}", "shallow"), ("  - masking: {p: 0.25}", "test_noises: [gaussian, stripes]")
    path = write_spec(tmp_path, *changes)
    model, noise = tmp_path / "model.py", tmp_path / "noise.py"
    model.write_text(MODEL)
    noise.write_text(STRIPES)
    first, _ = results_of(path, model, noise)
    model.write_text(MODEL.replace("3, 3, 3, padding=1)", "3, 3, 3, padding=1, bias=False)"))
    second, told = results_of(path, model, noise)
    assert "the code of model shallow has changed: 1 cell trained and scored anew" in told
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, False, True, True]
    noise.write_text(STRIPES.replace("[:, :, ::2]", "[:, :, 1::2]"))
    third, told = results_of(path, model, noise)
    assert "the code of noise stripes has changed: 2 tests scored anew" in told and "trained and" not in told
    assert [a == b for a, b in zip(second, third, strict=True)] == [True, False, True, False]


def results_of(path: Path, *plugins: Path) -> tuple[list[tuple[str, ...]], str]:
    """What the rows of a run in a process of its own have measured, and what it said."""
    words = [word for plugin in plugins for word in ("--plugin", str(plugin))]
    results = path.parent / "results"
    command = [sys.executable, "-m", "bench", "run", str(path), "--results", str(results), "--no-figures", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    with (results / "tiny" / "tables" / "results.csv").open() as file:
        rows = [tuple(row[key] for key in ("model", "test_noise", "parameters", "mse")) for row in csv.DictReader(file)]
    return rows, " ".join(done.stdout.split())
