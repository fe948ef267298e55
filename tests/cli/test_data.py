"""`bench data`: what the pictures of a folder are taken as."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.test_datasets import noise, save
from tests.helpers.cli import bench

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for number in range(5):
        save(root / f"Train/{number}.png", noise(number, 8, 8, 3))
        save(root / f"test/{number}.png", noise(10 + number, 8, 8))
    (root / "notes.txt").write_text("x")
    return root


def test_a_folder_says_what_its_pictures_are_taken_as(pictures: Path) -> None:
    found = bench("data", "folder", "--root", pictures)
    assert found.exit_code == 0, found.stderr
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert "train 5 .png 8 x 8 pixels Train/0.png" in lines
    assert "test 5 .png 8 x 8 pixels, converted from grey to RGB test/0.png" in lines
    assert "passed over in pictures: 1 .txt file" in lines
    every = bench("data", "folder", "--root", pictures, "--all").stdout
    assert all(f"{part}/{number}.png" in every for part in ("Train", "test") for number in range(5))


def test_the_dataset_of_a_spec_is_shown(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: x\ndataset: {{name: folder, root: {pictures}, size: 8}}\nmodels: [identity]\nnoises: [blur]\n"
    )
    assert bench("data", path).stdout == bench("data", "folder", "--root", pictures).stdout
    assert "leave --root" in bench("data", path, "--root", pictures).stderr


def test_the_contact_sheet_shows_the_images_of_each_part(pictures: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    found = bench("data", "folder", "--root", pictures, "-o", sheet)
    assert found.exit_code == 0 and str(sheet) in found.stdout.replace("\n", "")
    pixels = np.asarray(Image.open(sheet))
    enlarged = np.asarray(Image.fromarray(noise(12, 8, 8)).resize((32, 32), Image.Resampling.BILINEAR))
    shown = {
        pixels[top : top + 64 : 2, left : left + 64 : 2, 0].tobytes()
        for top in range(len(pixels) - 63)
        for left in (0, 68, 136, 204, 272)
    }
    assert enlarged.tobytes() in shown


def test_what_is_wrong_is_said_beside_what_is_taken(pictures: Path) -> None:
    (pictures / "Train/empty.png").touch()
    (pictures / "Train/text.png").write_text("x")
    found = bench("data", "folder", "--root", pictures)
    assert found.exit_code == 3
    assert "2 files that can't be read passed over" in found.stdout
    assert "empty.png: an empty file" in found.stderr and "text.png: not a picture" in found.stderr
    save(pictures / "test/copy.bmp", noise(0, 8, 8, 3))
    (pictures / "Train/empty.png").unlink()
    (pictures / "Train/text.png").unlink()
    found = bench("data", "folder", "--root", pictures)
    assert found.exit_code == 3 and "1 of 6 test images are training images too" in found.stderr
    assert "left out of the test split" in found.stdout


def test_other_data_need_no_folder(tmp_path: Path) -> None:
    assert bench("data", "photos").stdout.endswith("photos: ready\n")
    assert "needs more than its name: root" in bench("data", "folder").stderr
    assert "unknown dataset 'foldr'" in bench("data", "foldr", "--root", tmp_path).stderr
    assert bench("data", "photos", "--root", tmp_path).exit_code == 2
