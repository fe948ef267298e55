"""Whatever a results folder from a stranger holds: an error in words, or tables without it; nothing else is touched."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.report.rebuild import rebuild
from bench.results.compare import compare
from bench.results.store import Store
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec
from tests.hostile.corpus import CORPUS, HTML, LATEX, TERMINAL, spoil

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A finished results folder, in `results`."""
    folder = tmp_path_factory.mktemp("hostile")
    draw = np.random.default_rng(0)
    store_of(folder / "results", write_spec(folder), lambda work, noise: {
        "mse": draw.uniform(0.01, 0.02, 10), "psnr": draw.uniform(20, 30, 10), "ssim": draw.uniform(0, 1, 10)
    })  # fmt: skip
    rebuild(Store(folder / "results"), draw=False)
    assert (folder / "results/tables/standings.json").exists()
    return folder


def outside(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "results" not in path.parts}


@pytest.mark.parametrize("name", CORPUS)
def test_a_spoilt_folder_is_an_error_in_words_or_shown_without(name: str, home: Path, tmp_path: Path) -> None:
    root = tmp_path / "a" / "results"
    shutil.copytree(home / "results", root)
    spoil(root, CORPUS[name])
    before = outside(tmp_path)
    for act in (lambda: rebuild(Store(root), draw=False), lambda: compare(Store(root), Store(home / "results"))):
        with contextlib.suppress(BenchError, OSError):  # what the command line tells in one line
            act()
    assert outside(tmp_path) == before
    shown = {path.suffix: path.read_text() for path in root.glob("tables/*")}
    assert HTML not in shown.get(".md", "") and LATEX not in shown.get(".tex", "")
    assert TERMINAL not in "".join(shown.values())
