"""The commands of the Makefile, as `make --dry-run` prints them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.cli import PATIENCE

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment seems to be installed, in a folder whose name has a space."""
    home = tmp_path / "my checkout"
    (home / ".venv").mkdir(parents=True)
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, home)
    installed(home)
    return home


def installed(home: Path, python: str = "Python 3.12.1") -> None:
    (home / ".venv/.installed").write_text(f"[{home}] {python}\n")


def commands(checkout: Path, *words: str) -> list[list[str]]:
    """What `make` would run, each command in words."""
    outside = {"PATH": os.environ["PATH"]}  # not what a `make` that runs these tests hands down
    done = subprocess.run(
        ["make", "--dry-run", *words],
        cwd=checkout,
        env=outside,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return [shlex.split(line) for line in done.stdout.splitlines()]


def test_a_spec_s_path_may_have_a_space(checkout: Path) -> None:
    assert commands(checkout, "bench", "SPEC=my spec.yaml") == [[".venv/bin/bench", "run", "my spec.yaml"]]
    assert commands(checkout, "report", "NAME=my run") == [[".venv/bin/bench", "report", "results/my run"]]


def test_the_environment_of_a_moved_checkout_is_made_anew(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    found = commands(moved, "bench")
    assert ["python3", "-m", "venv", "--clear", ".venv"] in found
    assert found[-1][:2] == [".venv/bin/bench", "run"]


def test_another_python_than_that_of_the_environment_makes_it_anew(checkout: Path) -> None:
    anew = [sys.executable, "-m", "venv", "--clear", ".venv"]
    assert anew in commands(checkout, "test", f"PYTHON={sys.executable}")
    installed(checkout, "Python " + sys.version.split()[0])
    assert anew not in commands(checkout, "test", f"PYTHON={sys.executable}")


def test_the_lowest_versions_are_those_of_pyproject(checkout: Path) -> None:
    """Each requirement of the package and its tests is pinned to its minimum, and pip is held to the pins."""
    found = commands(checkout, "test", "VERSIONS=lowest")
    (pick,) = [words for words in found if words[0] == "sed"]
    lowest = subprocess.run(pick[:-2], cwd=checkout, capture_output=True, text=True, check=True).stdout.split()
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["test"]
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", one) for one in required)
    assert lowest == [one.replace(">=", "==") for one in required]
    (install,) = [words for words in found if "pip" in words]
    assert install[install.index("--constraint") + 1] == pick[-1] and ".[test]" in install


def test_what_takes_long_is_announced_and_shown(checkout: Path) -> None:
    (checkout / ".venv/.installed").unlink()
    found = commands(checkout, "install")
    assert any(words[0] == "echo" and "6 GB" in words[1] for words in found)
    assert not any("--quiet" in words for words in found)
