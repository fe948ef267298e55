"""Results without some test images: means of the others, in a folder of their own, by names that are known."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from bench import spec
from bench.core.errors import BenchError, SpecError
from bench.noises import Noise
from bench.report import rebuild
from bench.results.compare import NotComparable, compare
from bench.results.store import Store
from bench.results.without import left_out
from bench.spec.cells import Work
from tests.helpers.cli import bench, run
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
OWN_TESTS = (
    "train: {epochs",
    "test_noises: [gaussian, {gaussian: {sigma: 0.2, split: validation}}]\ntrain: {epochs",
)


def psnr_of(work: Work, noise: Noise) -> dict[str, np.ndarray]:
    """Values by which images can be told apart; image 3 is exact."""
    psnr = 20.0 + np.arange(10)
    psnr[3] = np.inf
    return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": np.linspace(0, 0.9, 10)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path / "tiny", write_spec(tmp_path, OWN_TESTS), psnr_of)


def naming(folder: Path, text: str, name: str = "twins.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("twins.txt", "c\n\nh\nc\n"),
        ("twins.csv", "train,test,by\n0001.png,c,0.9\n0002.png,h,0.8\n0002.png,h,0.7\n"),
        ("twins.csv", "\ufefftest\nc\nh\n"),
    ],
)
def test_means_are_those_of_the_other_images(name: str, text: str, store: Store, tmp_path: Path) -> None:
    store.name_images(list("abcdefghij"))
    found = left_out(store, naming(tmp_path, text, name))
    assert (found.positions, found.total) == ((2, 7), 10)
    kept = [0, 1, 3, 4, 5, 6, 8, 9]
    psnr = [60.0 if place == 3 else 20.0 + place for place in kept]
    results = rebuild.read(store, found)
    tested = [row for row in results.rows if "split" not in str(row.test.label)]
    others = [row for row in results.rows if row not in tested]
    assert tested and others
    for row in tested:
        average = row.averages["psnr"]
        assert (row.n_images, average.n, average.exact) == (8, 8, 1)
        assert average.mean == pytest.approx(np.mean(psnr))
        assert average.deviation == pytest.approx(np.std(psnr, ddof=1))
    assert others == [row for row in rebuild.read(store).rows if "split" in str(row.test.label)]
    assert "8 test images; 2 of 10 test images left out" in str(results.conditions)


def test_groups_follow_the_images_that_are_left(store: Store, tmp_path: Path) -> None:
    """Intervals are over the groups of the images that are left; groups are those of test images alone."""
    store.name_images(list("abcdefghij"))
    path = store.root / "plan.json"
    plan = json.loads(path.read_text())
    plan["notes"]["groups"] = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    path.write_text(json.dumps(plan))
    psnr = np.array([60.0 if place == 3 else 20.0 + place for place in (0, 1, 3, 4, 5, 6, 8, 9)])
    residuals = psnr - psnr.mean()
    sums = np.array([residuals[:2].sum(), residuals[2], residuals[3:5].sum(), residuals[5], residuals[6:].sum()])
    half = stats.t.ppf(0.975, 4) * np.sqrt(5 / 4 * (sums**2).sum()) / 8
    found = rebuild.read(store, left_out(store, naming(tmp_path, "c\nh\n")))
    (row,) = [s for s in found.summaries if s.contender.model.name == "identity" and s.test.on_test_images]
    interval = row.intervals["psnr"]
    assert interval.mean == pytest.approx(psnr.mean())
    assert interval.high - interval.mean == pytest.approx(half, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c\nz\ny\n", r"no test image is called 'z', 'y'; the first of 10 is 'a'"),
        ("", "names none of the 10"),
        ("\n".join("abcdefghij"), "names all of the 10"),
        (None, "can't be read"),
    ],
)
def test_names_that_make_no_sense_are_refused(text: str | None, message: str, store: Store, tmp_path: Path) -> None:
    store.name_images(list("abcdefghij"))
    file = tmp_path / "nothing" if text is None else naming(tmp_path, text)
    with pytest.raises(SpecError, match=message):
        left_out(store, file)


def test_a_folder_of_before_names_were_stored_gets_them_from_its_dataset(store: Store, tmp_path: Path) -> None:
    file = naming(tmp_path, "04.png")
    assert store.image_names() is None
    assert left_out(store, file).positions == (store_names(store).index("04.png"),)
    (tmp_path / "images/test/04.png").write_bytes((tmp_path / "images/train/04.png").read_bytes())
    with pytest.raises(BenchError, match="doesn't say what its test images are called"):
        left_out(store, file)


def store_names(store: Store) -> list[str]:
    return spec.load(store.root / "experiment.yaml").dataset.test_names()


def test_the_command_writes_beside_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    assert run(write_spec(tmp_path), tmp_path / "results").exit_code == 0
    root = tmp_path / "results" / "tiny"
    names = json.loads((root / "images.json").read_text())["test"]
    assert sorted(names) == [f"{i:02}.png" for i in range(10)]
    file = naming(tmp_path, "05.png\n08.png\n")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    found = bench("report", root, "--without", file)
    assert found.exit_code == 0, found.output
    assert {path: path.read_bytes() for path in before} == before
    beside = root / "without-twins"
    rows = list(csv.DictReader((beside / "tables/results.csv").open()))
    whole = list(csv.DictReader((root / "tables/results.csv").open()))
    assert [row["n_images"] for row in rows] == ["8"] * 4
    assert all(row["psnr"] != of_all["psnr"] for row, of_all in zip(rows, whole, strict=True))
    page = (beside / "report.html").read_text()
    assert "2 of 10 test images left out: those that twins.txt names" in page
    assert (beside / "figures/psnr_by_noise.png").is_file()
    refused = bench("report", root, "--without", naming(tmp_path, "99.png", "other.txt"))
    assert refused.exit_code == 2 and "99.png" in refused.output and not (root / "without-other").exists()


def test_the_same_images_in_other_files_are_the_same_data_to_compare(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("png", "bmp"))
    for folder in (first, second):
        folder.mkdir()
    assert run(write_spec(first), first / "results").exit_code == 0
    for path in (first / "images").rglob("*.png"):
        target = second / path.relative_to(first).with_suffix(".bmp")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    assert run(write_spec(second), second / "results").exit_code == 0
    stores = [Store(folder / "results" / "tiny") for folder in (first, second)]
    one, other = (store.plan() for store in stores)
    assert one.data != other.data and one.same_images(other)
    found = compare(stores[0], stores[1], 0.0)
    assert found.exit_code == 0 and {row.verdict for row in found.differences} == {"same"}
    plan = json.loads((stores[1].root / "plan.json").read_text())
    for digests in ({}, {**plan["digests"], "train": "0"}):
        (stores[1].root / "plan.json").write_text(json.dumps({**plan, "digests": digests}))
        with pytest.raises(NotComparable, match=r"data\.source"):
            compare(stores[0], stores[1], 0.0)
