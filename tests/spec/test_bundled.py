"""Specs that come with the package, found by their names; a file of the user's own goes first."""

from pathlib import Path

import pytest

from bench import spec
from bench.core.errors import SpecError
from bench.spec.bundled import bundled, spec_path
from tests.helpers.cli import bench
from tests.helpers.specs import GOOD

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_experiment_is_known_by_its_name() -> None:
    assert set(bundled()) == {path.stem for path in (ROOT / "experiments").glob("*.yaml")}
    assert all(spec.load(Path(name)).name == name for name in bundled())


def test_files_of_ones_own_go_first() -> None:
    (Path() / "smoke.yaml").write_text(GOOD)
    assert spec_path(Path("smoke")) == Path("smoke.yaml")
    (Path() / "smoke").write_text(GOOD)
    assert spec_path(Path("smoke")) == Path("smoke")
    assert spec.load(Path("smoke")).name == "good"


def test_a_folder_of_that_name_is_no_spec() -> None:
    (Path() / "smoke").mkdir()
    assert spec.load(Path("smoke")).name == "smoke"


@pytest.mark.parametrize("given", ["smoke.yaml", "./none/smoke", "nothing"])
def test_anything_else_is_a_path(given: str) -> None:
    assert spec_path(Path(given)) == Path(given)
    with pytest.raises(SpecError, match=r"there is no such file.*comes with the package: .*smoke"):
        spec.load(Path(given))


def test_the_nearest_name_is_offered() -> None:
    for given in ("smok", "smoke.yaml", "experiments/smoke.yml"):
        with pytest.raises(SpecError, match=r"Did you mean smoke\?"):
            spec.load(Path(given))


def test_a_spec_to_start_from() -> None:
    found = bench("init")
    assert found.exit_code == 0 and "bench run experiment.yaml" in found.output
    text = Path("experiment.yaml").read_text()
    assert spec.load(Path("experiment.yaml")).name == "experiment"
    assert text.count("#") > 10 and text.replace("name: experiment", "name: starter") == (
        (ROOT / "experiments/starter.yaml").read_text()
    )
    Path("experiment.yaml").write_text("mine")
    found = bench("init")
    assert found.exit_code == 2 and "experiment.yaml exists" in found.stderr
    assert Path("experiment.yaml").read_text() == "mine"
    assert bench("init", "--force").exit_code == 0 and Path("experiment.yaml").read_text() == text
    assert bench("init", "deep/my first.yaml").exit_code == 0
    assert spec.load(Path("deep/my first.yaml")).name == "starter"
