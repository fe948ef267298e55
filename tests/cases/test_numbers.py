"""Right numbers and right winners, each known from a second computation or by reasoning."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data, restoration

from bench.models._total_variation import total_variation
from tests.cases.conftest import EXACT, HERE, SHARED, Run
from tests.helpers.cli import bench

LITTLE, MORE = "salt_and_pepper(p=0.005", "salt_and_pepper(p=0.02"


def test_the_suite_s_copies_say_what_the_cases_beside_it_say() -> None:
    if not (SHARED / "cases").is_dir():
        pytest.skip("no cases beside the checkout")
    for copy in HERE.glob("*.yaml"):
        original = re.sub(r"(?m)^#.*\n", "", (SHARED / "cases" / copy.name).read_text())
        assert copy.read_text() == original.replace("root: ../data/cifar10-exact, ", ""), copy.name


def test_exact_images_stay_in_the_mean(run_case: Run) -> None:
    case = run_case("perfect")
    assert case.result.exit_code == 0
    assert case.value("identity", LITTLE) == pytest.approx(50.6, abs=0.05)
    assert case.value("identity", LITTLE, "perfect_images") == 44
    assert case.value("median", LITTLE) == pytest.approx(25.18, abs=0.01)
    assert case.value("identity", MORE) == pytest.approx(31.2, abs=0.05)
    (row,) = [
        row
        for row in case.table("summary")
        if row["model"].startswith("identity") and row["test_noise"].startswith(LITTLE)
    ]
    assert (row["psnr_low"], row["psnr_high"]) == ("", ""), "photographs are a sample of no other images"
    page = (case.folder / "tables/summary.md").read_text()
    assert re.search(r"p=0\.005.*\| identity .*\*\*50\.62", page), "identity is the best"
    assert re.search(r"p=0\.02.*\| identity .*\*\*31\.21", page), "the best mean PSNR"
    assert re.search(r"p=0\.02.*\| median.*\*\*0\.00401", page), "the lowest squared error"


def test_a_level_of_zero_is_perfect_and_the_run_goes_on(run_case: Run) -> None:
    case = run_case("level-zero")
    assert case.result.exit_code == 0, case.result.output
    assert len(case.table()) == 9 and not any(row["error"] for row in case.table())
    assert re.search(r"sigma=0\.0.*\| identity .*\*\*perfect\*\*", (case.folder / "tables/summary.md").read_text())


@pytest.mark.long  # it draws every figure
def test_a_level_of_zero_alone_has_one_winner_everywhere(run_case: Run) -> None:
    case = run_case("level-zero", "--set", "noises=[{gaussian: {sigma: 0}}]", figures=True)
    page = (case.folder / "report.html").read_text()
    assert case.result.exit_code == 0
    assert re.search(r"<strong>identity</strong>,\s+perfect", page) and "<strong>median" not in page


def test_one_image_has_no_interval(run_case: Run) -> None:
    case = run_case("one-image")
    assert case.result.exit_code == 0 and "±" not in case.result.output.partition("*")[0]
    assert all(not row["psnr_low"] and not row["psnr_high"] for row in case.table("summary"))
    assert case.value("identity", "gaussian") == pytest.approx(20.07, abs=0.01)


def test_denoise_uses_the_strength_that_was_fitted(run_case: Run, tmp_path: Path) -> None:
    case = run_case("fitted")
    clean = data.chelsea()[50:250, 100:300] / 255.0
    noisy = np.clip(clean + np.random.default_rng(3).normal(0, 0.3, clean.shape), 0, 1)
    Image.fromarray((noisy * 255).round().astype(np.uint8)).save(tmp_path / "noisy.png")
    Image.fromarray((clean * 255).round().astype(np.uint8)).save(tmp_path / "clean.png")
    found = bench("denoise", tmp_path / "noisy.png", "--with", case.folder, "-o", tmp_path / "out.png")
    assert found.exit_code == 0, found.output
    out = np.asarray(Image.open(tmp_path / "out.png")) / 255.0
    stored = np.asarray(Image.open(tmp_path / "noisy.png")) / 255.0
    weight = float(re.findall(r"weight=([\d.]+)", case.table()[0]["fitted"])[0])
    right = total_variation(stored.transpose(2, 0, 1)[None].astype(np.float32), weight)[0].transpose(1, 2, 0)
    assert np.abs(out - right).max() < 2 / 255
    channels = restoration.denoise_tv_chambolle(stored, weight=0.463, channel_axis=-1)  # fitted there: 23.5 dB
    assert ((out - clean) ** 2).mean() < ((channels - clean) ** 2).mean()


@pytest.mark.long
def test_the_default_weight_decay_costs_nothing(run_case: Run) -> None:
    if not EXACT.is_dir():
        pytest.skip("needs CIFAR-10 images beside the project")
    case = run_case("weight-decay", "--set", f"dataset.root={EXACT}")
    found: dict[str, list[float]] = {}
    for row in case.table():
        found.setdefault(row["train.weight_decay"], []).append(float(row["psnr"]))
    decayed, without = (np.mean(values) for _, values in sorted(found.items(), reverse=True))
    assert without > decayed + 0.3 and without == pytest.approx(26.4, abs=0.3)
    left_out = run_case("weight-decay", "--set", f"dataset.root={EXACT}", "--set", "train.weight_decay=0")
    assert "nothing to run" in left_out.result.output


def test_noise2void_without_hidden_pixels_trains(run_case: Run) -> None:
    case = run_case("nothing-hidden")
    assert case.result.exit_code == 0 and "diverged" not in case.result.output
    assert len(case.table()) == 8


def test_a_codebook_without_memory_trains(run_case: Run) -> None:
    case = run_case("level-zero", "--set", "models=[{vq_vae: {decay: 0}}]", "--set", "noises=[gaussian]")
    assert case.result.exit_code == 0 and np.isfinite(case.value("vq_vae", "gaussian"))


def test_labels_that_promise_what_is_not_done_are_refused(run_case: Run) -> None:
    assert run_case("frozen-inside").result.exit_code == 2
    unclipped = run_case("one-image", "--set", "noises=[{gaussian: {clip: false, quantize: true}}]")
    assert unclipped.result.exit_code == 2
