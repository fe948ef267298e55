"""Another spec under the same name: what it leaves out is said, listed, and removed on request alone."""

from pathlib import Path

import pytest

from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
SEARCH = ("lr: 2.0e-3", "lr: {search: [1.0e-3, 2.0e-3]}")


def cells(results: Path) -> set[str]:
    return {path.name for path in (results / "tiny" / "cells").iterdir()}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of conv and identity, whose spec then asks for identity alone."""
    found = tmp_path / "results"
    assert run(write_spec(tmp_path), found).exit_code == 0
    return found


def test_what_leaves_the_plan_is_said_and_kept(results: Path, tmp_path: Path) -> None:
    before = cells(results)
    again = run(tmp_path / "spec.yaml", results, "--set", "models=[identity]")
    assert again.exit_code == 0
    assert "2 stored cells are not in this plan (conv(width=4), trained on " in again.output
    assert cells(results) == before
    listed = bench("plan", tmp_path / "spec.yaml", "--set", "models=[identity]", "--results", results)
    assert "outside the plan" in listed.output
    assert "not in this plan" not in run(tmp_path / "spec.yaml", results).output


def test_prune_asks_and_removes_nothing_else(results: Path, tmp_path: Path) -> None:
    folder = results / "tiny"
    assert "nothing to remove" in bench("prune", folder).output
    run(tmp_path / "spec.yaml", results, "--set", "models=[identity]")
    before = cells(results)
    refused = bench("prune", folder)
    assert refused.exit_code == 2 and "--yes removes them" in refused.output and cells(results) == before
    assert bench("prune", folder, "--yes").exit_code == 0
    kept = cells(results)
    assert len(kept) == len(before) - 2
    done = run(tmp_path / "spec.yaml", results, "--set", "models=[identity]")
    assert "nothing to run" in done.output


def test_the_rates_of_a_search_belong_to_the_plan(tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert run(write_spec(tmp_path, SEARCH), results).exit_code == 0
    before = cells(results)
    assert "nothing to remove" in bench("prune", results / "tiny", "--yes").output and cells(results) == before


def test_prune_of_no_results_says_so(tmp_path: Path) -> None:
    found = bench("prune", tmp_path)
    assert found.exit_code == 2 and "holds no results" in found.output


def test_what_somebody_put_there_and_links_are_left_alone(results: Path, tmp_path: Path) -> None:
    place, elsewhere = results / "tiny" / "cells", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place / "my notes").mkdir()
    (place / "0123456789ab").symlink_to(elsewhere)
    before = cells(results)
    assert "nothing to remove" in bench("prune", results / "tiny", "--yes").output
    assert cells(results) == before and elsewhere.is_dir()
