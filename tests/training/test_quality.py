"""The quality that training must reach."""

from pathlib import Path

import pytest

from tests.helpers.cli import run
from tests.helpers.results import steady_rows

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("cache")]
LOSSLESS = Path(__file__).parents[3] / "shared/data/cifar10-lossless"


@pytest.mark.skipif(not LOSSLESS.is_dir(), reason="needs the images of cifar10-lossless beside the project")
def test_training_reaches_its_quality(tmp_path: Path, cache: Path) -> None:
    """Gaussian noise of 0.1 on exact CIFAR-10 images: 2,250 to train, 500 to test; 40 epochs of batches of 32."""
    spec = tmp_path / "quality.yaml"
    spec.write_text(
        "name: quality\n"
        f"dataset: {{name: folder, root: {LOSSLESS}}}\n"
        "models: [conv, unet, identity]\n"
        "noises: [gaussian: {sigma: 0.1}]\n"
        "train: {epochs: 40, batch_size: 32, lr: 2.0e-3}\n"
    )
    found = run(spec, tmp_path)
    assert found.exit_code == 0, found.output
    rows = steady_rows(tmp_path / "quality" / "tables" / "results.csv")
    psnr = {row["model"].split("(")[0]: float(row["psnr"]) for row in rows}
    assert psnr["identity"] == pytest.approx(20.3, abs=0.05)
    assert psnr["conv"] >= 25.5
    assert psnr["unet"] >= 27.0
