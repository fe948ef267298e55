"""Gates, searches and settings without effect: what must not end in a traceback, a lost table or a wrong verdict."""

import re
import shutil
from pathlib import Path

import pytest

from tests.cases.conftest import Run
from tests.helpers.cli import bench


def test_a_search_beside_a_fixed_rate_has_a_table_with_one_label_each(run_case: Run) -> None:
    case = run_case("rates-in-a-list")
    assert case.result.exit_code == 0, case.result.output
    rates = {row["train.lr"] for row in case.table() if row["model"].startswith("conv")}
    assert len(rates) == 2 and "0.01" in rates
    assert any(re.search(r"search.*0\.001, 0\.003", rate) for rate in rates), rates
    assert bench("report", case.folder).exit_code == 0


def test_a_rate_that_explodes_is_recorded_and_the_others_are_kept(run_case: Run) -> None:
    case = run_case("rate-explodes")
    assert case.result.exit_code == 0, case.result.output
    (trained,) = [row for row in case.table() if row["model"].startswith("unet")]
    assert float(trained["chosen_lr"]) == 1e-3 and not trained["error"]
    assert case.value("identity", "gaussian") > 0
    assert "nothing to run" in run_case("rate-explodes").result.output


def test_epochs_under_images_are_one_training(run_case: Run) -> None:
    case = run_case("epochs-and-images")
    assert case.result.exit_code == 0, case.result.output
    rows = [row for row in case.table() if row["model"].startswith("conv")]
    assert sorted((row["train.epochs"], row["train.images"]) for row in rows) == [("", "96"), ("1", ""), ("2", "")]
    assert len({row["cell"] for row in rows}) == 3


@pytest.mark.parametrize("drop", ["nan", "inf", "-inf"])
def test_a_drop_that_is_no_number_is_refused(drop: str, run_case: Run) -> None:
    case = run_case("one-image")
    assert bench("compare", case.folder, case.folder, "--max-drop", drop).exit_code == 2


def test_a_comparison_of_a_search_with_fixed_rates_is_a_table_or_refused(run_case: Run, tmp_path: Path) -> None:
    before = run_case("rates-in-a-list", "--set", "train.lr={search: [1e-3, 3e-3]}").folder
    shutil.move(before, tmp_path / "before")
    after = run_case("rates-in-a-list", "--set", "train.lr=[1e-3, 3e-3]").folder
    found = bench("compare", tmp_path / "before", after)
    assert "Traceback" not in found.output and found.exit_code in (0, 1, 2)
    assert found.exception is None or isinstance(found.exception, SystemExit)
    if found.exit_code == 1:
        assert "missing in B" in found.output
