"""What the wheel holds, and that it works without a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.cli import PATIENCE

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
PARTS = ("bench", "experiments", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from a copy, since building leaves files behind."""
    home = tmp_path_factory.mktemp("wheel")
    (home / "source").mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, home / "source" / part)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(home)], cwd=home / "source", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = home.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home / "site")
    return home / "site"


def bench(site: Path, folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(site), "NOISE_BENCH_CACHE": str(folder / "cache")},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_wheel_holds_every_file_of_the_package(site: Path) -> None:
    def files(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*.*") if "__pycache__" not in path.parts}

    specs = {path.name: path.read_bytes() for path in (ROOT / "experiments").glob("*.yaml")}
    assert files(site / "bench") == files(ROOT / "bench") | {f"experiments/{name}" for name in specs}
    assert "py.typed" in files(site / "bench")
    assert {path.name: path.read_bytes() for path in (site / "bench/experiments").iterdir()} == specs


def test_specs_of_the_package_are_found_by_name(site: Path, tmp_path: Path) -> None:
    text = bench(site, tmp_path, "plan", "smoke")
    assert "5 cells: 0 finished, 5 to run" in text
    assert not (tmp_path / "results").exists()
    wrong = bench(site, tmp_path, "plan", "smok", code=2)
    assert "Did you mean smoke?" in wrong and "bias_free, cifar10, codes, default" in wrong


def test_a_spec_to_start_from_is_written_anywhere(site: Path, tmp_path: Path) -> None:
    bench(site, tmp_path, "init", "mine.yaml")
    for name in ("mine.yaml", "mine"):
        assert "6 cells: 0 finished, 6 to run" in bench(site, tmp_path, "plan", name)
