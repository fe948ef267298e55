"""`test_seed`: another draw of the test noises, with scores of its own, and not a training more."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bench import spec
from bench.core.errors import SpecError
from bench.spec.cells import Scoring
from bench.spec.plan import works_of
from tests.helpers.cli import bench, run
from tests.helpers.results import weights_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
SECOND = ("--set", "test_seed=1")


def scores(results: Path) -> dict[tuple[str, str], float]:
    with (results / "tiny" / "tables" / "results.csv").open() as file:
        return {(row["model"], row["test_noise"]): float(row["psnr"]) for row in csv.DictReader(file)}


def test_another_draw_is_scored_beside_the_first_and_nothing_is_trained(tmp_path: Path) -> None:
    path, results = write_spec(tmp_path), tmp_path / "results"
    assert run(path, results).exit_code == 0
    first, weights = scores(results), weights_of(results)
    again = run(path, results, *SECOND)
    assert again.exit_code == 0 and "0 epochs" in again.output
    second = scores(results)
    assert weights_of(results) == weights and second.keys() == first.keys()
    assert all(0 < abs(second[key] - value) < 1.5 for key, value in first.items())
    assert "test noise drawn with seed 1" in (results / "tiny" / "tables" / "summary.md").read_text()
    back = run(path, results)
    assert "nothing to run" in back.output and scores(results) == first
    assert "drawn with seed" not in (results / "tiny" / "tables" / "summary.md").read_text()


def test_results_of_two_draws_are_not_comparable(tmp_path: Path) -> None:
    path = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", "[identity, median]"))
    assert run(path, tmp_path / "a").exit_code == run(path, tmp_path / "b", *SECOND).exit_code == 0
    assert bench("compare", tmp_path / "a" / "tiny", tmp_path / "b" / "tiny").exit_code == 2


def test_images_for_others_are_of_the_same_draw(tmp_path: Path) -> None:
    path = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", "[identity]"))
    results = tmp_path / "results"
    assert run(path, results, *SECOND).exit_code == 0
    assert bench("noise", path, "-o", tmp_path / "noisy", *SECOND).exit_code == 0
    scored = bench("score", path, "--results", results, "--outputs", tmp_path / "noisy", "--no-figures", *SECOND)
    assert scored.exit_code == 0, scored.output
    found = scores(results)
    for (model, noise), value in found.items():
        if model.startswith("noisy("):
            assert value == pytest.approx(found["identity", noise], abs=1e-9)
    assert bench("noise", path, "-o", tmp_path / "first").exit_code == 0
    one, other = (np.load(tmp_path / name / "gaussian_sigma_0.1" / "00.png.npy") for name in ("first", "noisy"))
    assert not np.array_equal(one, other)


def test_zero_keeps_every_id(tmp_path: Path) -> None:
    path = write_spec(tmp_path)
    usual, zero, one = (spec.load(path, [*given]) for given in ([], ["test_seed=0"], ["test_seed=1"]))
    ids = [[test.id(work.cell.data) for work in works_of(found) for test in work.tests] for found in (usual, zero, one)]
    assert ids[0] == ids[1] and not set(ids[0]) & set(ids[2])
    assert [work.cell.id for work in works_of(usual)] == [work.cell.id for work in works_of(one)]
    assert usual.node()["test_seed"] == 0 and one.node()["test_seed"] == 1
    assert Scoring(usual.noises[0]).seed == 0
    with pytest.raises(SpecError, match="test_seed: a seed is a whole number"):
        spec.load(path, ["test_seed=-1"])
