"""What is derived from a results folder shows what is stored there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from bench.noises import Noise
from bench.report import figures, rebuild
from bench.report.figures.view import View
from bench.report.rebuild import read
from bench.report.sheets import sheets
from bench.results.readable import for_readers
from bench.results.records import History, PlannedCell, RunPlan
from bench.results.store import Store
from bench.spec.cells import Work
from bench.training.state import Epoch
from tests.helpers.html import Page
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("cache")


def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    """Scores that no picture would give: what is shown can only be what was stored."""
    psnr = (30.0 if work.cell.train else 20.0) + np.arange(10)
    return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": np.full(10, 0.5)}


def test_samples_show_the_stored_values_of_their_images(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    found = list(sheets(store, read(store).plan))
    assert [sheet.noise.name for sheet in found] == ["gaussian", "masking"]
    for sheet in found:
        conv, identity = sheet.restored
        assert conv.values is not None and identity.values is not None and sheet.noisy.values is not None
        shown = len(sheet.original.pictures)
        assert conv.values.tolist() == [30.0 + image for image in range(len(conv.values))]
        assert len(conv.values) >= shown
        assert identity.values.tolist() == sheet.noisy.values.tolist(), "the noisy image is what identity gives"


def test_on_photographs_single_trainings_have_no_interval(tmp_path: Path) -> None:
    photos = (f"name: folder, root: {tmp_path / 'images'}", "name: photos")
    found = read(store_of(tmp_path / "results", write_spec(tmp_path, photos), score))
    assert {interval.over for summary in found.summaries for interval in summary.intervals.values()} == {""}
    assert "±" not in str(found.conditions)


def test_noisy_images_have_no_value_where_nothing_was_scored_on_them(tmp_path: Path) -> None:
    change = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}]")
    store = store_of(tmp_path / "results", write_spec(tmp_path, change), score)
    assert all(sheet.noisy.values is None for sheet in sheets(store, read(store).plan))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds, and have tests of their own."""
    monkeypatch.setattr(rebuild, "_figures_and_report", lambda *arguments: None)


def test_figures_and_report_are_drawn_anew_only_where_their_tables_changed(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    store.write_figure("samples_07_gone.png", b"of an earlier plan")
    rebuild.rebuild(store)
    figures = {path.name for path in (store.root / "figures").iterdir()}
    assert {"psnr_by_noise.png", "psnr_by_noise.svg", "loss_curves.png", "shown.json"} <= figures
    assert "samples_07_gone.png" not in figures
    shown = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    rebuild.rebuild(store, force=False)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == shown


def test_missing_figures_are_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: None) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    drawn: list[object] = []
    monkeypatch.setattr(rebuild, "_figures_and_report", lambda *arguments: drawn.append(arguments))
    rebuild.rebuild(store, force=False)
    rebuild.rebuild(store, force=False)
    assert len(drawn) == 1
    (store.root / "figures" / "shown.json").unlink()
    rebuild.rebuild(store, force=False)
    rebuild.rebuild(store)
    assert len(drawn) == 3


def test_cards_say_what_weights_are(tmp_path: Path, plain: None) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    rebuild.rebuild(store)
    cards = [path.parent.name for path in store.root.rglob("card.md")]
    assert sorted(cards) == sorted(cell.id for cell in store.plan().cells if cell.contender.objective)
    text = (store.root / "cells" / store.plan().cells[0].id / "card.md").read_text()
    noise = "trained on gaussian(sigma=0.1), seed 0"
    for said in ("# conv(width=4)", noise, "7 parameters", "SHA-256", "bench denoise", "34.50"):
        assert said in text


def partly(work: Work, noise: Noise) -> Mapping[str, np.ndarray] | None:
    """Scores of all but the trained model under masking, which is still to be run."""
    return None if work.cell.train and noise.name == "masking" else score(work, noise)


def test_nobody_is_best_while_a_contender_is_still_to_be_run(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), partly)
    found = read(store)
    summary = for_readers(found.summaries, found.plan)
    psnr = dict(zip(zip(summary["test noise"], summary["model"], strict=True), summary["PSNR (dB) ↑"], strict=True))
    masking = "masking(p=0.25, fill=0.0, per=element)"
    assert psnr["gaussian(sigma=0.1)", "conv(width=4)"].startswith("**")
    assert psnr[masking, "conv(width=4)"] == "to run"
    assert not psnr[masking, "identity"].startswith("**")
    view = View(found.plan.leading, tuple(found.summaries))
    names = {str(test.label): name for name, test in view.noises.items()}
    assert view.best(names["gaussian(sigma=0.1)"]) and not view.best(names[masking])


def drawn(store: Store, plan: RunPlan) -> list[str]:
    """The notes of each samples figure."""
    return [
        " ".join(" ".join(text.get_text() for text in figure.texts).split()) for figure in sample_figures(store, plan)
    ]


def sample_figures(store: Store, plan: RunPlan) -> "list[Figure]":
    return [figures.samples(sheet, read(store).conditions) for sheet in sheets(store, plan)]


def test_samples_of_before_their_order_was_right_are_not_shown(tmp_path: Path) -> None:
    """Such a version stored outputs scrambled, and marked no version of its samples."""
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    plan = read(store).plan
    *trained, identity = plan.cells

    def age(cell: PlannedCell) -> None:
        for marker in (store.root / "cells" / cell.id / "scores").glob("*.json"):
            record = json.loads(marker.read_text())
            del record["samples"]
            marker.write_text(json.dumps(record))

    for cell in trained:
        age(cell)
    first = next(iter(sheets(store, plan)))
    assert [column.head for column in first.restored] == ["identity"]
    assert "Not shown: conv (older: run the spec again to draw them anew)." in drawn(store, plan)[0]
    age(identity)
    assert all("nothing to show" in texts_of(figure) for figure in sample_figures(store, plan))
    assert all("Not shown: conv, identity (older: run the spec again" in note for note in drawn(store, plan))
    rebuild.rebuild(store)
    assert (store.root / "figures" / "samples_01_gaussian.png").exists()


def texts_of(figure: "Figure") -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_pictures_of_what_is_open_failed_or_damaged_are_named(tmp_path: Path) -> None:
    def mixed(work: Work, noise: Noise) -> Mapping[str, np.ndarray] | str | None:
        if noise.name == "masking" and work.cell.train:
            return None
        return "no room" if noise.name == "gaussian" and work.cell.train else score(work, noise)

    store = store_of(tmp_path / "results", write_spec(tmp_path), mixed)
    plan = read(store).plan
    gaussian, masking = drawn(store, plan)
    assert "black on white: the best of its row. Not shown: conv (failed)." in gaussian
    assert "Not shown: conv (to run)." in masking and "best" not in masking.split("Not shown")[0]
    for path in store.root.rglob("*.samples.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert all("identity (damaged)" in note for note in drawn(store, plan))


def test_the_page_of_an_unfinished_folder_names_no_winner(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), partly)
    rebuild.rebuild(store)
    page = Page((store.root / "report.html").read_text())
    text = page.text()
    note = "UNFINISHED: 1 of 4 rows are still to be run"
    assert text.index(note) < text.index("on which noise")
    assert "masking(p=0.25): no winner yet : still to be run: conv." in text
    (head, gaussian, masking), *_ = page.tables
    assert head == ["test noise", "conv", "identity"]
    assert "(best)" in gaussian[1] and masking[1] == "to run" and "(best)" not in masking[2]
    assert "Still to be run" in text
    found = read(store)
    figure = figures.quality(found.summaries, found.plan.leading, found.conditions)
    shown = " ".join(texts_of(figure))
    assert shown.count("best:") == 1 and "to run" in shown.lower()


def test_a_noise_has_one_name_in_page_and_figures(tmp_path: Path) -> None:
    """Tests alone tell masking per element and per pixel apart; then its training is called by both keys, too."""
    tests = "test_noises: [{masking: {p: 0.25}}, {masking: {p: 0.25, per: pixel}}]\ntrain: {epochs"
    store = store_of(tmp_path / "results", write_spec(tmp_path, ("train: {epochs", tests)), score)
    rebuild.rebuild(store)
    found = read(store)
    page = Page((store.root / "report.html").read_text())
    noises = {
        row[position]
        for table in page.tables
        for row in table[1:]
        for position, head in enumerate(table[0])
        if head in ("test noise", "test_noise", "train_noise", "trained on") and "masking" in row[position]
    }
    assert noises == {"masking(p=0.25, per=element)", "masking(p=0.25, per=pixel)"}
    assert "masking(p=0.25, per=element): masking(p=0.25, fill=0.0, per=element)" in page.text()
    view = View(found.plan.leading, tuple(found.summaries))
    assert noises == set(view.tests)
    assert [str(sheet.noise) for sheet in sheets(store, found.plan)] == view.tests
    histories = [History(cell.contender, cell.seed, (Epoch(1, 0.5, 0.25, 2.0),)) for cell in found.plan.cells[:2]]
    curves = figures.loss_curves(histories, found.conditions, found.plan.tests)
    assert [axes.get_title() for axes in curves.axes] == ["gaussian(sigma=0.1)", "masking(p=0.25, per=element)"]
    tradeoff = figures.tradeoff(found.summaries, found.plan.leading, found.conditions)
    assert {axes.get_title() for axes in tradeoff.axes} <= noises


def test_groups_of_images_are_what_single_trainings_have_intervals_over(tmp_path: Path) -> None:
    """Two groups whose means are 22 and 27 dB have a standard error of 2.5 dB and one degree of freedom."""
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    path = store.root / "plan.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps({**plan, "notes": {"groups": [0] * 5 + [1] * 5}}))
    (found,) = {s.intervals["psnr"].half for s in read(store).summaries}
    assert found == pytest.approx(stats.t.ppf(0.975, 1) * 2.5)
