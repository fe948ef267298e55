"""The command that a report gives: run as the page says, it finds all done and gives the same tables."""

import html
import re
import shlex
from pathlib import Path

import pytest
import yaml

from bench.datasets.folder import Folder
from bench.datasets.photos import Photos
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


def command_of(page: Path) -> list[str]:
    found = re.search(r"<pre><code>(.+?)</code></pre>", page.read_text())
    assert found
    return shlex.split(html.unescape(found[1]))


@pytest.mark.parametrize("results", ["results", "elsewhere/deep"])
def test_the_command_of_the_page_finds_all_done(results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for pictures in a folder that the spec names relative to where the run began."""
    spec = write_spec(tmp_path, (str(tmp_path / "images"), "images"), ("epochs: 2", "epochs: 1"))
    monkeypatch.chdir(tmp_path)
    assert run(Path(spec.name), Path(results)).exit_code == 0
    folder = tmp_path / results / "tiny"
    assert bench("report", folder).exit_code == 0
    tables = {path.name: path.read_bytes() for path in (folder / "tables").iterdir()}
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    program, *words = command_of(folder / "report.html")
    assert program == "bench"
    monkeypatch.chdir(folder)
    found = bench(*words)
    assert found.exit_code == 0, found.output
    assert "nothing to run: all 3 cells of tiny are finished" in found.output
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
    assert {path.name: path.read_bytes() for path in (folder / "tables").iterdir()} == tables


def test_a_dataset_can_be_named_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = Folder(root=("a", "a", "../b"), test_root="c")
    several = given.absolute()
    assert several.root == (str(tmp_path / "a"), str(tmp_path / "a"), str(tmp_path.parent / "b"))
    assert several.test_root == str(tmp_path / "c")
    assert several.absolute() == several and several.label() == given.label()
    assert Folder(root="~/x").absolute().root == str(Path.home() / "x")
    assert Photos().absolute() == Photos()


def test_a_spec_of_before_may_still_name_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells are the same, so it is enough to run it where it was run."""
    spec = write_spec(tmp_path, (str(tmp_path / "images"), "images"), ("epochs: 2", "epochs: 1"))
    monkeypatch.chdir(tmp_path)
    assert run(spec, tmp_path / "results").exit_code == 0
    stored = tmp_path / "results/tiny/experiment.yaml"
    node = yaml.safe_load(stored.read_text())
    assert node["dataset"]["root"] == str(tmp_path / "images")
    node["dataset"]["root"] = "images"
    stored.write_text(yaml.safe_dump(node))
    assert "nothing to run" in run(stored, tmp_path / "results").output
