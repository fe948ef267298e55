"""`bench noise` and `bench score`: what others make of the test images joins the tables under the same noise."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import spec
from bench.core.errors import BenchError
from bench.core.plugins import load_function
from bench.report.rebuild import read
from bench.results.store import Store
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
MEDIAN = "median(size=3)"
FILTERS = """\
import numpy as np
from scipy.ndimage import median_filter

def middle(images):
    assert images.dtype == np.float32 and images.shape[1:] == (3, 16, 16) and 0 <= images.min() <= images.max() <= 1
    return median_filter(images, (1, 1, 3, 3), mode="reflect")

def half(images):
    return images[:, :, ::2]

def fails(images):
    raise RuntimeError("no such luck")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small spec that was run, and a file of functions beside it."""
    found = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", "[median, identity]"))
    (tmp_path / "filters.py").write_text(FILTERS)
    assert run(found, tmp_path / "results").exit_code == 0
    return found


def score(path: Path, *words: object) -> str:
    result = bench("score", path, "--results", path.parent / "results", "--no-figures", *words)
    assert result.exit_code == 0, result.output
    return result.output


def rows(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of results.csv by model and kind of test noise."""
    with (path.parent / "results" / "tiny" / "tables" / "results.csv").open() as file:
        return {(row["model"], row["test_noise"].partition("(")[0]): row for row in csv.DictReader(file)}


def psnr(path: Path, model: str, noise: str = "gaussian") -> float:
    return next(float(row["psnr"]) for (name, on), row in rows(path).items() if name.startswith(model) and on == noise)


def outputs(path: Path, restore: Callable[[np.ndarray], np.ndarray], *options: str) -> Path:
    """What a function of one (H, W, C) image makes of all that `bench noise` writes, as a folder of arrays."""
    noisy, restored = path.parent / "noisy", path.parent / "mine"
    result = bench("noise", path, "-o", noisy, *options)
    assert result.exit_code == 0, result.output
    for file in noisy.rglob("*.npy"):
        target = restored / file.relative_to(noisy)
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, restore(np.load(file)))
    return restored


def test_a_function_meets_the_corrupted_images_that_every_denoiser_meets(path: Path) -> None:
    score(path, "--function", f"{path.parent / 'filters.py'}:middle")
    found = rows(path)
    assert len(found) == 6
    for noise in ("gaussian", "masking"):
        for column in ("mse", "psnr", "ssim"):
            ours = next(float(r[column]) for (who, on), r in found.items() if who.startswith("middle(") and on == noise)
            assert ours == pytest.approx(float(found[MEDIAN, noise][column]), rel=1e-6)
    text = (path.parent / "results" / "tiny" / "tables" / "summary.md").read_text()
    assert "middle(" in text


def test_images_written_and_read_back_are_those_that_were_scored(path: Path) -> None:
    score(path, "--outputs", outputs(path, lambda image: image))
    for noise in ("gaussian", "masking"):
        assert psnr(path, "mine(", noise) == pytest.approx(psnr(path, "identity", noise), abs=1e-9)
    names = sorted(file.name for file in (path.parent / "noisy" / "gaussian_sigma_0.1").iterdir())
    assert names == [f"{place:02}.png.npy" for place in range(10)]


def test_contenders_from_elsewhere_stay_through_runs_and_reports_and_are_no_strays(path: Path) -> None:
    score(path, "--outputs", outputs(path, lambda image: image), "--name", "theirs")
    again = bench("run", path, "--results", path.parent / "results", "--no-figures", "--set", "metrics=[psnr]")
    assert again.exit_code == 0 and "not in this plan" not in again.output, again.output
    assert psnr(path, "theirs(") == pytest.approx(psnr(path, "identity"))
    store = Store(path.parent / "results" / "tiny")
    found = read(store)
    assert {str(s.contender.model).partition("(")[0] for s in found.summaries} == {"median", "identity", "theirs"}
    assert all(summary.standing for summary in found.summaries)
    assert "theirs" not in (store.root / "experiment.yaml").read_text(), "a spec never names code to run"
    assert spec.load(store.root / "experiment.yaml").name == "tiny"


def test_one_of_a_name_takes_the_place_of_the_other(path: Path) -> None:
    restored = outputs(path, lambda image: image)
    score(path, "--outputs", restored)
    for file in restored.rglob("*.npy"):
        np.save(file, np.full_like(np.load(file), 0.5))
    before = psnr(path, "mine(")
    score(path, "--outputs", restored)
    assert len(rows(path)) == 6 and psnr(path, "mine(") != pytest.approx(before)


def test_rows_from_pictures_of_8_bits_say_so(path: Path) -> None:
    noisy = path.parent / "noisy"
    result = bench("noise", path, "-o", noisy, "--png")
    assert result.exit_code == 0, result.output
    assert Image.open(noisy / "gaussian_sigma_0.1" / "00.png").size == (16, 16)
    printed = score(path, "--outputs", noisy, "--name", "rounded")
    assert "§ scored from pictures of 8 bits" in printed
    assert next(row["remark"] for (who, _), row in rows(path).items() if who.startswith("rounded")).startswith("scored")
    assert 0 < abs(psnr(path, "rounded(") - psnr(path, "identity")) < 0.01
    tables = path.parent / "results" / "tiny" / "tables"
    assert r"\S{}" in (tables / "summary.tex").read_text()


def test_noises_without_a_folder_are_named_and_have_no_row(path: Path) -> None:
    restored = outputs(path, lambda image: image)
    for file in (restored / "masking_p_0.25_fill_0.0_per_element").iterdir():
        file.unlink()
    (restored / "masking_p_0.25_fill_0.0_per_element").rmdir()
    assert "mine has no images for masking" in score(path, "--outputs", restored)
    assert ("gaussian" in str(rows(path).keys())) and len(rows(path)) == 5


def failure(path: Path, *words: object) -> str:
    result = bench("score", path, "--results", path.parent / "results", *words)
    assert result.exit_code in (1, 2, 3), result.output
    return result.output


def test_what_is_wrong_with_outputs_is_said(path: Path) -> None:
    restored = outputs(path, lambda image: image)
    first = restored / "gaussian_sigma_0.1" / "03.png.npy"
    good = np.load(first)
    for bad, message in (
        (good[:8], "several shapes"),
        (good * 255, "expected values from 0 to 1"),
        (good * np.nan, "expected values from 0 to 1"),
        (good[..., 0], "expected floating-point values"),
    ):
        np.save(first, bad)
        assert message in failure(path, "--outputs", restored)
    first.unlink()
    assert "lacks the test image 03.png" in failure(path, "--outputs", restored)
    empty = path.parent / "empty"
    empty.mkdir()
    assert "they are called gaussian_sigma_0.1, masking" in failure(path, "--outputs", empty)
    assert len(rows(path)) == 4, "nothing was stored"


def test_what_is_wrong_with_a_function_is_said(path: Path) -> None:
    file = path.parent / "filters.py"
    assert "has shape (10, 3, 8, 16)" in failure(path, "--function", f"{file}:half")
    assert "RuntimeError: no such luck" in failure(path, "--function", f"{file}:fails")
    assert "has no function nothing; it has middle, half, fails" in failure(path, "--function", f"{file}:nothing")
    assert "expected a file and a function in it" in failure(path, "--function", str(file))
    assert "otherwise than any model" in failure(path, "--function", f"{file}:middle", "--name", "median")
    assert "give either" in failure(path)


def test_results_of_other_images_are_refused(path: Path) -> None:
    words = ("--function", f"{path.parent / 'filters.py'}:middle", "--set", "dataset.test=9")
    assert "results of other images" in failure(path, *words)


def test_the_code_of_a_function_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def twice(x):\n    return 2 * x\n")
    plugin, twice = load_function(f"{tmp_path / 'f.py'}:twice")
    assert twice(4) == 8 and len(plugin.sha256) == 64
    with pytest.raises(BenchError, match="there is no such file"):
        load_function(f"{tmp_path / 'g.py'}:twice")


def test_pictures_get_noise_of_their_own(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    grey = draw.integers(0, 256, (20, 30), dtype=np.uint8)
    colour = draw.integers(100, 150, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "in" / "grey.png")
    for name in ("a", "b"):
        Image.fromarray(colour).save(tmp_path / "in" / "deep" / f"{name}.png")
    noise = "{gaussian: {sigma: 0.1, clip: false}}"
    result = bench("noise", tmp_path / "in", "--noise", noise, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    one, other = (np.load(tmp_path / "out" / "deep" / f"{name}.png.npy") for name in ("a", "b"))
    assert one.shape == (24, 24, 3) and one.dtype == np.float32
    residuals = [(found - colour / 255).ravel() for found in (one, other)]
    assert all(np.std(residual) == pytest.approx(0.1, rel=0.1) for residual in residuals)
    assert abs(np.corrcoef(*residuals)[0, 1]) < 0.1
    assert np.load(tmp_path / "out" / "grey.png.npy").shape == (20, 30, 1)
    again = bench("noise", tmp_path / "in", "--noise", noise, "-o", tmp_path / "out")
    assert again.exit_code == 2 and "overwrite with --force" in again.output
    png = bench("noise", tmp_path / "in" / "grey.png", "--noise", "gaussian", "-o", tmp_path / "8", "--png")
    assert png.exit_code == 0 and np.asarray(Image.open(tmp_path / "8" / "grey.png")).shape == (20, 30)
    wrong = bench("noise", tmp_path / "in", "--noise", "{gaussian: {sgima: 1}}", "-o", tmp_path / "out")
    assert wrong.exit_code == 2 and "sigma" in wrong.output
