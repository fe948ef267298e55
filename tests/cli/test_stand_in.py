"""Other images in place of those a spec asks for: said loudly, kept in mind, and planned for as they are run."""

import re
from pathlib import Path

import pytest
import yaml

from bench.datasets import cifar10
from bench.results.store import Store
from bench.training.costs import Costs
from tests.helpers.cli import bench, run
from tests.helpers.results import steady_rows

SPEC = """\
name: both
dataset: {name: cifar10, fallback: photos, size: 16, train: 40, validation: 0.2, test: 10}
models: [{conv: {width: 4}}, identity]
noises: [{gaussian: {sigma: 0.1}}]
train: {epochs: 1, batch_size: 16}
"""
BANNER = "STAND-IN IMAGES: photos instead of cifar10"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec of a dataset that isn't on this machine, which is offline."""
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "1")
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this machine has the archive, with pixels that are easy to make."""
    monkeypatch.setattr(cifar10.Cifar10, "find", lambda self, progress=None: Path("archive"))
    monkeypatch.setattr(cifar10.Cifar10, "to_fetch", lambda self: "")
    monkeypatch.setattr(cifar10.Cifar10, "_fill", lambda self, chosen, out: {})


def test_a_reproduced_run_still_says_that_other_images_stand_in(spec: Path, tmp_path: Path) -> None:
    first = run(spec, tmp_path)
    assert first.exit_code == 0 and BANNER in first.output, first.output
    kept = tmp_path / "both" / "experiment.yaml"
    asked = yaml.safe_load(kept.read_text())["dataset"]
    assert asked == {
        "name": "cifar10", "fallback": "photos", "size": 16, "train": 40, "validation": 0.2, "test": 10, "root": None,
        "part": None,
    }  # fmt: skip
    again = run(kept, tmp_path)
    assert again.exit_code == 0 and "nothing to run" in again.output
    assert again.output.count("STAND-IN IMAGES") == first.output.count("STAND-IN IMAGES")
    assert Store(tmp_path / "both").plan().stand_in_for == "cifar10"
    elsewhere = run(kept, tmp_path / "elsewhere")
    assert BANNER in elsewhere.output
    tables = [folder / "both" / "tables" / "results.csv" for folder in (tmp_path, tmp_path / "elsewhere")]
    assert steady_rows(tables[0]) == steady_rows(tables[1])


def test_stand_in_results_are_never_passed_for_those_of_the_real_images(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(spec, tmp_path)
    before = Store(tmp_path / "both").plan()
    arrive(monkeypatch)
    found = run(tmp_path / "both" / "experiment.yaml", tmp_path)
    assert found.exit_code == 0, found.output
    assert "STAND-IN" not in found.output and "2 of 2 cells to run" in found.output
    now = Store(tmp_path / "both").plan()
    assert now.stand_in_for == "" and now.dataset == "cifar10"
    assert not {cell.id for cell in now.cells} & {cell.id for cell in before.cells}


def test_a_folder_of_an_older_version_keeps_its_warning(spec: Path, tmp_path: Path) -> None:
    """It holds the stand-in where the dataset that was asked for belongs."""
    run(spec, tmp_path)
    kept = tmp_path / "both" / "experiment.yaml"
    kept.write_text(
        kept.read_text()
        .replace("name: cifar10", "name: photos")
        .replace("  root: null\n", "")
        .replace("  part: null\n", "")
    )
    found = run(kept, tmp_path)
    assert "nothing to run" in found.output and BANNER in found.output
    assert Store(tmp_path / "both").plan().stand_in_for == "cifar10"


def test_what_auto_became_is_kept(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that arrives later doesn't change what the folder's own spec trains."""
    run(spec, tmp_path)
    train = yaml.safe_load((tmp_path / "both" / "experiment.yaml").read_text())["train"]
    assert (train["device"], train["compile"]) == ("cpu", "off") and train["precision"] in ("float32", "bfloat16")
    monkeypatch.setattr(Costs, "compiling_pays", lambda self, cell: True)
    assert "nothing to run" in run(tmp_path / "both" / "experiment.yaml", tmp_path).output


def cells_to_run(output: str) -> list[str]:
    return re.findall("^([0-9a-f]{12}) .*to do$", output, re.MULTILINE)


def test_plan_and_run_agree_on_the_images(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench("plan", spec, "--results", tmp_path)
    assert BANNER in before.output and "2 cells: 0 finished, 2 to run (1 epoch, 2 tests)" in before.output
    assert "2 of 2 cells to run (0 finished): 1 epoch and 2 tests" in run(spec, tmp_path).output
    assert set(cells_to_run(before.output)) == {path.name for path in (tmp_path / "both" / "cells").iterdir()}
    after = bench("plan", spec, "--results", tmp_path)
    assert BANNER in after.output and "2 cells: 2 finished, 0 to run" in after.output
    assert "nothing to run" in run(spec, tmp_path).output
    arrive(monkeypatch)
    there = bench("plan", spec, "--results", tmp_path)
    assert "STAND-IN" not in there.output and "2 cells: 0 finished, 2 to run" in there.output
    assert "2 of 2 cells to run" in run(spec, tmp_path).output


def test_plan_says_what_run_would_fetch(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "answering", lambda archive, folder: "example.org")
    found = bench("plan", spec, "--results", tmp_path)
    assert "cifar10 is not on this machine: `bench run` fetches 170 MB from example.org" in found.output
    assert "STAND-IN" not in found.output


def test_plan_refuses_images_that_run_would_refuse(spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace(", fallback: photos", ""))
    planned, ran = bench("plan", spec, "--results", tmp_path), run(spec, tmp_path)
    assert (planned.exit_code, planned.stderr) == (ran.exit_code, ran.stderr)
    assert ran.exit_code == 3


def test_plan_and_run_count_a_search_alike(spec: Path, tmp_path: Path) -> None:
    search = ("--set", "train.lr={search: [1e-3, 2e-3]}")
    assert "2 to run (2 epochs, 2 tests)" in bench("plan", spec, "--results", tmp_path, *search).output
    assert ": 2 epochs and 2 tests" in run(spec, tmp_path, *search).output
