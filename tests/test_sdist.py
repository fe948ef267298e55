"""The source distribution can test itself."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.helpers.cli import PATIENCE

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
FEW = ("tests/test_make.py", "tests/test_docs.py", "tests/core/test_docstrings.py", "tests/spec/test_plan.py")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution, built from a copy, since building leaves files behind."""
    home = tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT, home / "source", ignore=LEFT_OUT)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(home)], cwd=home / "source", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (archive,) = home.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(home / "site", filter="data")
    (folder,) = (home / "site").iterdir()
    return folder


def test_the_source_distribution_holds_tests_specs_and_docs(unpacked: Path) -> None:
    for part in ("bench", "tests", "docs", "experiments"):
        here = {path.relative_to(ROOT) for path in (ROOT / part).rglob("*.*") if path.suffix != ".pyc"}
        there = {path.relative_to(unpacked) for path in (unpacked / part).rglob("*.*")}
        assert here - there == set(), part
    assert not list(unpacked.rglob("*.pyc"))


def test_the_source_distribution_s_tests_run(unpacked: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not walk_throughs", *FEW],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked), "NOISE_BENCH_OFFLINE": "1", "NOISE_BENCH_CACHE": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-3000:]
