"""Published figures beside a run's own: when they are shown, where, and what of their protocol differs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from bench import spec
from bench.datasets import datasets
from bench.noises import Noise
from bench.report import figures, published, rebuild
from bench.results.records import RunPlan
from bench.results.store import Store
from bench.spec.cells import Work
from tests.helpers.html import Page
from tests.helpers.results import Scores, store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
Known = Callable[..., Store]
EXACT = Path(__file__).parents[3] / "shared/data/cifar10-exact"
NOISES = """
test_noises:
  - gaussian: {sigma: [0.05, 0.1, 0.2]}
  - gaussian: {sigma: 0.1, clip: false}
  - gaussian: {sigma: 0.1, split: validation}
  - gaussian: {sigma: 0.15}
  - salt_and_pepper: {p: 0.1}
  - salt_and_pepper: {p: 0.1, per: pixel}
"""


def planted(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    psnr = np.array([26.0, 28.0] * 5) + work.cell.model.name.startswith("conv")
    return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": psnr / 40}


@pytest.fixture
def known() -> Known:
    """Makes runs whose test images are CIFAR-10's, as far as their plans tell."""

    def made(folder: Path, change: tuple[str, str], score: Scores = planted) -> Store:
        path = write_spec(folder, change)
        store = store_of(folder / "results", path, score)
        plan, digests = store.plan(), {"test": published._file()["images"][0]}
        data = {**plan.data, "size": 32, "test": 1000}
        store.begin(spec.load(path).node(), replace(plan, data=data, digests=digests))
        return store

    return made


@pytest.fixture
def store(tmp_path: Path, known: Known) -> Store:
    return known(tmp_path, ("  - masking: {p: 0.25}", "  - gaussian: {sigma: 0.1}" + NOISES))


def test_figures_are_known_for_cifar_10s_own_images_at_their_size_alone(store: Store) -> None:
    plan = store.plan()

    def names(plan: RunPlan) -> set[str]:
        return {one.figure.method for one in published.beside(plan)}

    assert {"DnCNN", "diffusion denoiser", "best linear denoiser", "vision transformer"} <= names(plan)
    assert not names(replace(plan, digests={"test": "0" * 64}))
    assert not names(replace(plan, data={**plan.data, "size": 28}))
    by_name = replace(plan, data={**plan.data, "name": "cifar10"}, digests={})
    assert names(by_name) == names(plan) and not names(replace(by_name, stand_in_for="cifar10"))


def test_a_figure_stands_beside_its_noise_and_level_and_says_what_differs(store: Store) -> None:
    found = published.beside(store.plan())
    tests = {str(one.test.label) for one in found}
    assert tests == {
        "gaussian(sigma=0.05)", "gaussian(sigma=0.1)", "gaussian(sigma=0.2)", "gaussian(sigma=0.1, clip=false)",
        "salt_and_pepper(p=0.1, salt=0.5, per=element)",
    }  # fmt: skip
    limits = {str(one.test.label): one for one in found if one.figure.kind == "limit"}
    assert limits["gaussian(sigma=0.2)"].psnr == 25.68
    assert limits["gaussian(sigma=0.1)"].differs == ("noise unclipped", "pooled", "10,000 test images")
    assert limits["gaussian(sigma=0.1, clip=false)"].differs == ("pooled", "10,000 test images")
    drawn = {str(one.test.label): one for one in published.lines(found)["best linear denoiser"].values()}
    assert (drawn["gaussian(sigma=0.1)"].psnr, drawn["gaussian(sigma=0.1)"].differs) == (26.99, ())
    assert drawn["gaussian(sigma=0.1, clip=false)"].psnr == 26.99, "the mean over images differs in clipping alone"
    hints = [one for one in found if one.figure.source.startswith("NiranthS")]
    assert hints and all("not on test images" in one.differs for one in hints)


def test_tables_page_and_figures_show_them(store: Store) -> None:
    found = rebuild.rebuild(store)
    table = pandas.read_csv(store.root / "tables" / "published.csv")
    mine = table[(table["test_noise"] == "gaussian(sigma=0.1)") & (table["source"] == "this run")]
    pooled = -10 * np.log10((10**-2.7 + 10**-2.9) / 2)
    assert mine["pooled_psnr"].max() == pytest.approx(pooled) and mine["psnr"].max() == pytest.approx(28)
    best = table[table["test_noise"] == "gaussian(sigma=0.1)"].iloc[0]
    assert best["method"] == "diffusion denoiser (near the limit)" and np.isnan(best["psnr"])
    text = Page((store.root / "report.html").read_text()).text()
    assert "Published figures beside these" in text and "anushkayadav/Denoising_cifar10" in text
    metrics = [found.plan.leading, *found.plan.metrics]
    drawn = dict(figures.everything(found.summaries, [], [], metrics, found.conditions, found.published))
    for name, held in {
        "psnr_by_noise": "get_xdata",
        "psnr_by_level": "get_ydata",
        "psnr_by_parameters": "get_ydata",
    }.items():
        values = [value for axes in drawn[name].axes for line in axes.lines for value in getattr(line, held)()]
        assert {29.38, 26.99, 25.68} <= set(values), name
        said = " ".join(" ".join(text.get_text() for text in drawn[name].texts).split())
        assert "diffusion denoiser (near the limit) (noise unclipped, pooled, 10,000 test images)" in said, name
    assert not any("Published" in text.get_text() for text in drawn["ssim_by_noise"].texts)


def test_lines_that_are_not_drawn_are_neither_in_the_legend_nor_on_the_scale(tmp_path: Path, known: Known) -> None:
    """Gaussian noise at one level makes no line over levels, masking at three does."""
    tests = "\ntest_noises: [gaussian: {sigma: 0.1}, masking: {p: [0.1, 0.2, 0.3]}]\n"
    store = known(tmp_path, ("  - masking: {p: 0.25}", "  - gaussian: {sigma: 0.1}" + tests))
    found = rebuild.read(store)
    assert found.published
    drawn = dict(figures.everything(found.summaries, [], [], [found.plan.leading], found.conditions, found.published))
    texts = {name: " ".join(text.get_text() for text in drawn[name].texts) for name in drawn}
    assert "Published lines" in texts["psnr_by_noise"] and "Published" not in texts["psnr_by_level"]
    (legend,) = drawn["psnr_by_level"].legends
    assert not any("published" in text.get_text() for text in legend.get_texts())
    assert drawn["psnr_by_level"].axes[0].get_ylim()[1] < 29.3 < drawn["psnr_by_noise"].axes[0].get_xlim()[1]


def test_an_exact_row_stands_first_and_a_table_of_an_earlier_plan_goes(tmp_path: Path, known: Known) -> None:
    changes = ("  - masking: {p: 0.25}", "  - gaussian: {sigma: 0.1}")
    store = known(
        tmp_path, changes, score=lambda *_: {"mse": np.zeros(10), "psnr": np.full(10, np.inf), "ssim": np.ones(10)}
    )
    rebuild.rebuild(store, draw=False)
    path = store.root / "tables" / "published.csv"
    first = pandas.read_csv(path).iloc[0]
    assert first["source"] == "this run" and np.isinf(first["psnr"]) and np.isinf(first["pooled_psnr"])
    store.begin(spec.load(tmp_path / "spec.yaml").node(), replace(store.plan(), digests={}))
    rebuild.rebuild(store, draw=False)
    assert not path.exists()


def test_a_run_on_other_images_has_none(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), planted)
    found = rebuild.rebuild(store, draw=False)
    assert found.published == () and not (store.root / "tables" / "published.csv").exists()


@pytest.mark.skipif(not EXACT.is_dir(), reason="needs the images of cifar10-exact beside the project")
def test_the_known_images_are_those_of_part_exact() -> None:
    digests = datasets.parse({"folder": {"root": str(EXACT), "validation": 0.1}}).digests()
    assert digests["test"] in published._file()["images"]
