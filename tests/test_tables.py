"""Tables of docs pages: what they say is what two results folders and a list of images hold."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.noises import Noise
from bench.report import published
from bench.report.rebuild import read, rebuild, rebuild_without
from bench.results.store import Store
from bench.results.summary import Standing
from bench.results.without import left_out
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec
from tests.perf import tables

pytestmark = pytest.mark.usefixtures("cache")
NOISE = "gaussian 0.1"


def folder(root: Path, spec: Path, lead: float) -> Store:
    """Results in which `conv` is `lead` dB ahead of `identity` on half of the images, and 1 dB behind on the others."""

    def scores(work: Work, noise: Noise) -> dict[str, np.ndarray]:
        own = np.array([lead, -1.0] * 5) if work.cell.train else np.zeros(10)
        psnr = 25.001 + own + np.arange(10) / 50 + 0.01 * (work.cell.seed or 0)
        return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": psnr / 40}

    return store_of(root, spec, scores)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    models = ("models: [{conv: {width: 4}}, identity]", "models: [{conv: {width: 4, train: {images: 1234}}}, identity]")
    return write_spec(tmp_path, models, ("\ntrain: {", "\nseeds: [0, 1, 2]\ntrain: {"))


def test_rows_are_sorted_and_hold_means_and_intervals(tmp_path: Path, spec: Path) -> None:
    table = tables.Table(rebuild(folder(tmp_path / "results", spec, 3.0), draw=False))
    assert list(table.cells) == ["conv", "identity"] and table.noises[0] == NOISE
    conv, identity = tables.quality(table, "psnr", 2).splitlines()[2:]
    assert conv.startswith("| conv | **26.10** ± 0.02 |")
    assert identity.startswith("| identity | *25.09* ± 0.04 |"), "with ten images it can't be told from the best"
    assert tables.quality(table, "ssim", 3).splitlines()[2].startswith("| conv | **0.653** ± 0.001 |")


def test_costs_and_the_distance_to_the_published_limit(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (limit,) = [one for one in published.published() if one.kind == "limit"]
    results = rebuild(folder(tmp_path / "results", spec, 3.0), draw=False)
    tested = next(test for test in results.plan.tests if test.level == 0.1)
    monkeypatch.setattr(tables, "beside", lambda plan: (published.Beside(tested, limit, 29.38, ()),))
    conv, identity = tables.costs(tables.Table(results)).splitlines()[2:]
    psnr = np.array([25.001 + own + image / 50 + 0.01 * seed for seed in range(3) for image, own in _images()])
    pooled = -10 * math.log10(np.mean(10 ** (-psnr / 10)))
    assert conv.startswith("| conv | 1,234 | 2 | 7 | 0.0 |") and conv.endswith(
        f"{pooled:.2f} ({pooled - 29.38:+.2f}) |"
    )
    assert identity.startswith("| identity |  |  | 7 | 0.0 |")


def test_results_that_are_not_whole_make_no_table(tmp_path: Path, spec: Path) -> None:
    open_rows = store_of(tmp_path / "results", spec, lambda work, noise: None)
    with pytest.raises(ValueError, match="UNFINISHED"):
        tables.Table(read(open_rows))


def test_ranks_are_those_that_a_row_may_have(tmp_path: Path, spec: Path) -> None:
    results = rebuild(folder(tmp_path / "results", spec, 3.0), draw=False)
    assert tables.ranks(tables.Table(results)).splitlines()[2:] == [
        "| conv | 1 to 2 | 1 to 2 |", "| identity | 1 to 2 | 1 to 2 |",
    ]  # fmt: skip
    standings = {True: Standing("psnr", 1, 1, True), False: None}
    told = [replace(one, standing=standings[one.contender.trained]) for one in results.summaries]
    table = tables.Table(replace(results, summaries=told))
    assert tables.ranks(table).splitlines()[2:] == ["| conv | 1 | 1 |", "| identity |  |  |"]


def test_published_figures_stand_beside_our_best_as_they_are_averaged(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = rebuild(folder(tmp_path / "results", spec, 3.0), draw=False)
    table = tables.Table(results)
    tested = next(test for test in results.plan.tests if test.level == 0.1)
    pooled, mean = (
        next(one for one in published.published() if one.kind == "network" and one.pooled is how)
        for how in (True, False)
    )
    known = [
        published.Beside(tested, pooled, 27.0, ("noise unclipped", "pooled")),
        published.Beside(tested, mean, 28.0, ()),
    ]
    monkeypatch.setattr(tables, "beside", lambda plan: known)
    first, second = tables.others(table).splitlines()[2:]
    best = table.cells["conv"][NOISE]
    assert first.startswith(
        f"| {NOISE} | {mean.method} | 28.00 | {table.psnr(best):.2f} (conv) | mean over images |  |"
    )
    assert second.startswith(
        f"| {NOISE} | {pooled.method} | 27.00 | {table.pooled(best):.2f} (conv) | pooled | noise unclipped |"
    )
    assert table.psnr(best) - table.pooled(best) > 0.005


def _images() -> list[tuple[int, float]]:
    return list(enumerate([3.0, -1.0] * 5))


def test_rows_in_another_order_are_named_with_both_differences(tmp_path: Path, spec: Path) -> None:
    store = folder(tmp_path / "results", spec, 3.0)
    table = tables.Table(read(store))
    names = tmp_path / "names.csv"
    every = [f"image-{number}" for number in range(10)]
    store.name_images(every)
    names.write_text("\n".join(["test", *every[::2]]))
    without = tables.Table(read(store, left_out(store, names)))
    line = tables.changes(table, without, "without them").splitlines()[2]
    assert line == f"| {NOISE} | -1.99 to +0.01 | conv and identity (+1.010, then -0.990 dB) |"
    again = tables.Table(read(folder(tmp_path / "second", spec, 3.5)))
    assert tables.changes(table, again, "of the second draw").splitlines()[2].endswith("| +0.00 to +0.25 | none |")


def test_a_page_gets_its_tables_and_what_they_are_derived_from(tmp_path: Path, spec: Path) -> None:
    page, store = tmp_path / "page.md", folder(tmp_path / "results", spec, 3.0)
    store.name_images([f"image-{number}" for number in range(10)])
    (tmp_path / "out.txt").write_text("image-3\n")
    second = folder(tmp_path / "second", spec, 3.5)
    rebuild(second, draw=False)
    rebuild_without(store, left_out(store, tmp_path / "out.txt"))
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    asked = ["--second", second.root, "--without", tmp_path / "out.txt"]
    tables.main([str(word) for word in (page, store.root, *asked)])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "\nold\n" not in text
    assert text.count("\n## ") == 6 and "| conv | **26.10** ± 0.02 |" in text and "Conditions: Data:" in text
    for name in ("results.csv", "summary.csv"):
        assert (tmp_path / "page" / name).read_bytes() == (store.root / "tables" / name).read_bytes()
    apart = (tmp_path / "page" / "second-draw.csv", second.root / "tables" / "summary.csv")
    assert apart[0].read_bytes() == apart[1].read_bytes()
    assert (tmp_path / "page" / "without-out.csv").is_file()
