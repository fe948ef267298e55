"""What code a class consists of changes with its files, wherever they lie, and with nothing else."""

import sys
from pathlib import Path

import pytest

from bench.core import sources
from bench.core.plugins import load_plugins
from bench.noises import noises

NOISE = '''
from dataclasses import dataclass
from bench.noises import Noise, noises
{imported}

@noises.register("{name}")
@dataclass(frozen=True)
class Own(Noise):
    """A noise.

    Source: a test.
    """

    def corrupt(self, images, draw):
        return images
'''


def own(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, imported: str = "", helper: str = "") -> str:
    """The code of a noise in a file of its own, which may import a module beside it."""
    folder.mkdir()
    (folder / "own.py").write_text(NOISE.format(name=name, imported=imported))
    if helper:
        (folder / f"helper_{name}.py").write_text(helper)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(noises, "_classes", dict(noises._classes))
    load_plugins([str(folder / "own.py")])
    return sources.code_of(noises[name])


def test_our_own_classes_have_their_revision_for_code() -> None:
    assert sources.code_of(noises["gaussian"]) == str(noises["gaussian"].revision)
    assert noises.parse({"compose": {"of": ["gaussian", "poisson"]}}).made_of() == {
        f"noise {name}": str(noises[name].revision) for name in ("compose", "gaussian", "poisson")
    }


def test_the_same_file_elsewhere_is_the_same_code_and_any_other_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own(tmp_path / "a", monkeypatch, "own")
    assert len(first) == sources.DIGITS
    monkeypatch.setattr(noises, "_classes", {key: one for key, one in noises._classes.items() if key != "own"})
    assert own(tmp_path / "b", monkeypatch, "own") == first
    assert own(tmp_path / "c", monkeypatch, "other") != first


def test_what_is_imported_from_beside_belongs_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for folder, sigma in (("a", "0.1"), ("b", "0.2"), ("c", "0.2")):
        sys.modules.pop("helper_own", None)
        imported = "from helper_own import SIGMA\nimport numpy"
        found.append(own(tmp_path / folder, monkeypatch, "own", imported, f"SIGMA = {sigma}\n"))
        monkeypatch.setattr(noises, "_classes", {key: one for key, one in noises._classes.items() if key != "own"})
    sys.modules.pop("helper_own")
    assert found[0] != found[1] == found[2]


def test_what_it_derives_from_of_ours_belongs_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own(tmp_path / "a", monkeypatch, "own")
    monkeypatch.setattr(noises.base, "revision", 9)
    assert sources.code_of(noises["own"]) != before
