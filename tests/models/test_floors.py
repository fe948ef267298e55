"""No bottleneck lies below the linear map that its code allows.

vq_vae and beta_vae, which give up more, are exempt.
"""

from pathlib import Path

import pytest
import torch

from bench.models import ClosedForm, models
from bench.noises import noises
from bench.spec import load
from bench.training.closed_form import Batches
from bench.training.score import score
from tests.helpers.cli import run
from tests.helpers.results import steady_rows

EXACT = Path(__file__).parents[3] / "shared/data/cifar10-exact"
CODES = Path(__file__).parents[2] / "experiments" / "codes.yaml"
SPEC = f"""\
name: floors
dataset: {{name: folder, root: {EXACT}}}
models:
  - conv
  - sparse
  - k_sparse
  - contractive
  - dense: {{code: [64, 128, 256]}}
  - pca: {{code: [64, 128, 256]}}
  - pca: {{patch: 4, code: 48}}
  - linear: {{train: {{images: 120000}}}}
  - patch_gmm
noises: [gaussian: {{sigma: 0.1}}]
metrics: [mse, psnr]
train: {{images: 40000}}
"""


@pytest.mark.long
@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(not EXACT.is_dir(), reason="needs the images of cifar10-exact beside the project")
def test_no_bottleneck_is_below_the_linear_map_of_its_code(tmp_path: Path) -> None:
    """Gaussian noise of 0.1, 6,361 images to train, the first 1,000 of CIFAR-10's test images."""
    path = tmp_path / "floors.yaml"
    path.write_text(SPEC)
    found = run(path, tmp_path)
    assert found.exit_code == 0, found.output
    rows = steady_rows(tmp_path / "floors" / "tables" / "results.csv")
    psnr = {row["model"]: float(row["psnr"]) for row in rows}
    patches = psnr["pca(code=48, patch=4)"]
    for name in ("conv", "sparse", "k_sparse", "contractive"):
        assert next(value for model, value in psnr.items() if model.startswith(f"{name}(")) >= patches, name
    for code in (64, 128, 256):
        assert psnr[f"dense(hidden=128, code={code})"] >= psnr[f"pca(code={code}, patch=null)"] - 0.1, code
    assert psnr["linear(code=64, patch=null)"] >= psnr["pca(code=64, patch=null)"] - 0.1
    assert next(value for model, value in psnr.items() if model.startswith("patch_gmm")) >= 27.7


@pytest.mark.long
@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(not EXACT.is_dir(), reason="needs the images of cifar10-exact beside the project")
def test_a_vae_is_above_the_patches_of_as_many_components_as_it_has_active_channels(tmp_path: Path) -> None:
    """On clean images, trained on them."""
    path = tmp_path / "floors.yaml"
    clean = "models: [vae: {objective: autoencode}]\nnoises: [gaussian]\ntest_noises: [gaussian: {sigma: 0.0}]\n"
    data = f"dataset: {{name: folder, root: {EXACT}}}\n"
    path.write_text(f"name: floors\n{data}{clean}metrics: [mse, psnr]\ntrain: {{images: 60000}}\n")
    found = run(path, tmp_path)
    assert found.exit_code == 0, found.output
    (row,) = steady_rows(tmp_path / "floors" / "tables" / "results.csv")
    active = int(float(row["active_units"]))
    assert active >= 16 and float(row["psnr"]) >= 26
    still = noises.parse({"gaussian": {"sigma": 0.0}})
    principal, images = models.parse({"pca": {"patch": 4, "code": active}}), load(path).dataset.load()
    assert isinstance(principal, ClosedForm)
    with torch.no_grad():
        solved = principal.solve(Batches(images.train, still), 32)
    floor = score(solved, images, still, load(path).metrics).values["psnr"].mean()
    assert float(row["psnr"]) >= floor


@pytest.mark.long
@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(not EXACT.is_dir(), reason="needs the images of cifar10-exact beside the project")
def test_convolutions_around_a_code_are_worth_more_than_its_components_alone(tmp_path: Path) -> None:
    """On clean images, trained on them, by experiments/codes.yaml with one seed."""
    found = run(CODES, tmp_path, "--set", f"dataset={{name: folder, root: {EXACT}}}", "--set", "seeds=[0]")
    assert found.exit_code == 0, found.output
    rows = steady_rows(tmp_path / "codes" / "tables" / "results.csv")
    psnr = {row["model"]: float(row["psnr"]) for row in rows if row["test_noise"] == "gaussian(sigma=0.0)"}
    for code in (64, 128, 256):
        assert psnr[f"conv_pca(width=16, code={code})"] >= psnr[f"pca(code={code}, patch=null)"] + 0.3, code
