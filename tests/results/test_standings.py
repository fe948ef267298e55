"""Who can't be told from the best: planted gaps, and what is kept of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.noises import Noise
from bench.report import rebuild
from bench.report.rebuild import read
from bench.results.standings import standing
from bench.results.summary import Standing
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
IMAGES = np.random.default_rng(0).normal(25, 3, 10)
GAINS = {4: 0.0, 8: 3.0, 16: 3.05}  # in dB, by the width of conv; filters lose 5 dB


def planted(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    width = work.cell.model.params().get("width")
    if width is None:
        psnr = IMAGES - 5
    else:
        draw = np.random.default_rng([width, work.cell.seed or 0])
        psnr = IMAGES + GAINS[width] + 0.15 * draw.standard_normal() + 0.05 * draw.standard_normal(10)
    return {"psnr": psnr, "mse": 10 ** (-psnr / 10), "ssim": psnr / 60}


def standings(folder: Path, seeds: str = "[0, 1, 2, 3, 4]", *changes: tuple[str, str]) -> dict[str, Standing | None]:
    models = ("[{conv: {width: 4}}, identity]", "[{conv: {width: [4, 8, 16]}}, identity, median]")
    one_noise = ("  - masking: {p: 0.25}\n", "")
    spec = write_spec(folder, models, one_noise, ("device: cpu}", f"device: cpu}}\nseeds: {seeds}"), *changes)
    store = store_of(folder / "results", spec, planted)
    return {str(summary.contender.model): summary.standing for summary in read(store).summaries}


def test_the_best_and_what_cant_be_told_from_it_share_their_ranks(tmp_path: Path) -> None:
    found = standings(tmp_path)
    assert found["conv(width=8)"] == found["conv(width=16)"] == Standing("psnr", 1, 2, True)
    assert found["conv(width=4)"] == Standing("psnr", 3, 3, False)
    assert found["identity"] == found["median(size=3)"] == Standing("psnr", 4, 5, False), "equal in every image"


def test_weights_of_one_seed_are_told_apart_by_images(tmp_path: Path) -> None:
    found = standings(tmp_path, "[0]")
    first = found["conv(width=8)"]
    assert first and first.last <= 2
    assert found["conv(width=4)"] == Standing("psnr", 3, 3, False)


def test_on_photographs_single_weights_differ_exactly(tmp_path: Path) -> None:
    found = standings(tmp_path, "[0]", (f"name: folder, root: {tmp_path / 'images'}", "name: photos"))
    trained = [place for name, place in found.items() if name.startswith("conv") and place]
    assert sorted(place.first for place in trained) == [1, 2, 3] and sum(place.tied for place in trained) == 1


def test_the_tied_are_marked_in_tables_and_figures_and_it_is_said(tmp_path: Path) -> None:
    standings(tmp_path)
    store = store_of(tmp_path / "results", tmp_path / "spec.yaml", planted)
    rebuild.rebuild(store)
    lines = (store.root / "tables" / "summary.md").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("|")]
    place = rows[0].index("PSNR (dB) ↑")
    marks = {row[1]: row[place].count("*") // 2 for row in rows[2:]}
    assert {name: mark for name, mark in marks.items() if mark} == {"conv(width=8)": 1, "conv(width=16)": 2}
    paper = (store.root / "tables" / "summary.tex").read_text()
    assert "Bold: the best of each test noise; italic: what can't be told from it by PSNR (all" in paper
    assert (paper.count(r"\textbf{"), paper.count(r"\textit{")) == (2, 1), "SSIM has no ties"
    assert "which can&#39;t be told apart" in (store.root / "report.html").read_text()
    assert (store.root / "figures" / "psnr_ranks.png").exists()


def test_standings_are_kept_until_a_score_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = standings(tmp_path)
    store = store_of(tmp_path / "results", tmp_path / "spec.yaml", planted)
    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "standing", lambda *rest: pytest.fail("computed again"))
        assert {str(s.contender.model): s.standing for s in read(store).summaries} == before
    monkeypatch.setitem(GAINS, 4, 6.0)
    store = store_of(tmp_path / "results", tmp_path / "spec.yaml", planted)
    after = {str(s.contender.model): s.standing for s in read(store).summaries}
    assert after["conv(width=4)"] == Standing("psnr", 1, 1, True)


def test_damaged_values_leave_no_standings(tmp_path: Path) -> None:
    standings(tmp_path)
    store = store_of(tmp_path / "results", tmp_path / "spec.yaml", planted)
    (store.root / "tables" / rebuild.STANDINGS).unlink()
    next(store.root.rglob("*.parquet")).write_bytes(b"0" * next(store.root.rglob("*.parquet")).stat().st_size)
    assert {summary.standing for summary in read(store).summaries} == {None}


def test_rows_that_failed_in_part_have_no_standing(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("device: cpu}", "device: cpu}\nseeds: [0, 1]"))
    store = store_of(
        tmp_path / "results", spec, lambda work, noise: "no" if work.cell.seed == 1 else planted(work, noise)
    )
    plan = store.plan()
    found = standing(store, plan, read(store).summaries, plan.leading)
    assert [bool(summary.standing) for summary in found if summary.contender.trained] == [False, False]


def test_nobody_has_a_standing_while_a_contender_is_to_be_run(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("device: cpu}", "device: cpu}\nseeds: [0, 1]"))
    store = store_of(
        tmp_path / "results", spec, lambda work, noise: None if work.cell.seed == 1 else planted(work, noise)
    )
    assert {summary.standing for summary in read(store).summaries} == {None}
