"""What is derived from a results folder shows what is stored there."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.noises import Noise
from bench.report import rebuild
from bench.report.figures.view import View
from bench.report.rebuild import read
from bench.report.sheets import sheets
from bench.results.readable import for_readers
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

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
