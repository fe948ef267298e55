"""Tables from stored results: order, columns, seeds, what failed, what readers see."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.metrics import metrics
from bench.noises import Noise
from bench.report import rebuild
from bench.results import tables
from bench.results.store import Store
from bench.spec import load
from bench.spec.cells import Work
from bench.spec.plan import works_of
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("cache")
MSE, PSNR, SSIM = CHOSEN = [metrics.parse(name) for name in ("mse", "psnr", "ssim")]
SEEDS = ("lr: 2.0e-3, device: cpu}", "lr: 2.0e-3, device: cpu}\nseeds: [3, 1, 2]")
GAUSSIAN, MASKING = "gaussian(sigma=0.1)", "masking(p=0.25, fill=0.0, per=element)"


def values(psnr: float, count: int = 10) -> dict[str, np.ndarray]:
    """Scores of some images around a PSNR."""
    found = psnr + np.linspace(-1, 1, count)
    return {"mse": 10 ** (-found / 10), "psnr": found, "ssim": np.full(count, 0.5)}


def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    return values((20 if work.cell.train else 18) + (work.cell.seed or 0) + (5 if noise.name == "masking" else 0))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and cards only: figures take seconds, and have tests of their own."""
    monkeypatch.setattr(rebuild, "_figures_and_report", lambda *arguments: None)


def results_of(folder: Path, *changes: tuple[str, str], scores: object = score) -> tuple[Store, pd.DataFrame]:
    store = runs.stored(folder / "results", runs.spec(folder, *changes), scores)  # type: ignore[arg-type]
    return store, tables.results(store)


def test_rows_are_in_the_plans_order(tmp_path: Path) -> None:
    _, rows = results_of(tmp_path, SEEDS)
    found = [tuple(row) for row in rows[["model", "train_noise", "test_noise", "seed"]].to_numpy()]
    trained = [("conv(width=4)", noise, noise, seed) for noise in (GAUSSIAN, MASKING) for seed in (3, 1, 2)]
    assert found == [*trained, ("identity", "", GAUSSIAN, ""), ("identity", "", MASKING, "")]


def test_columns_are_those_the_readme_names(tmp_path: Path, plain: None) -> None:
    store, rows = results_of(tmp_path, ("epochs: 2", "epochs: [2, 3]"))
    assert list(rows) == [
        *("cell", "dataset", "model", "objective", "train_noise", "test_noise", "seed", "train.epochs", "n_images"),
        *("mse", "psnr", "ssim", "mse_sd", "psnr_sd", "ssim_sd", "perfect_images", "parameters", "macs"),
        *("train_seconds", "evaluate_seconds", "latency_ms", "error"),
    ]
    assert rows["train.epochs"].tolist() == [2, 3, 2, 3, "", ""]
    first = rows.iloc[0]
    assert first["psnr"] == pytest.approx(20) and first["n_images"] == 10 and first["parameters"] == 7
    assert first["psnr_sd"] == pytest.approx(np.std(np.linspace(-1, 1, 10), ddof=1))
    assert (first["train_seconds"], first["evaluate_seconds"], first["latency_ms"]) == (2.0, 3.0, 4.0)
    assert rows["train_seconds"].isna().tolist() == [False] * 4 + [True] * 2
    assert set(tables.VOLATILE) < set(rows)
    rebuild.rebuild(store)


def test_the_csv_of_a_table_reads_back(tmp_path: Path, plain: None) -> None:
    store, rows = results_of(tmp_path, SEEDS)
    rebuild.rebuild(store)
    text = (tmp_path / "results" / "tables" / "results.csv").read_text()
    again = pd.read_csv(tmp_path / "results" / "tables" / "results.csv")
    assert again["psnr"].tolist() == rows["psnr"].tolist(), "digits were lost"
    assert text.splitlines()[-1].split(",")[6] != "nan"
    assert "," + "10," in text.splitlines()[1], "whole numbers are written as such"


def test_rows_not_yet_run_are_left_out_and_counted(tmp_path: Path, plain: None) -> None:
    store, rows = results_of(tmp_path, scores=lambda work, noise: score(work, noise) if work.cell.train else None)
    assert rows["model"].tolist() == ["conv(width=4)"] * 2
    rebuild.rebuild(store)
    assert "UNFINISHED: 2 of 4 rows are still to be run" in (store.root / "tables" / "summary.md").read_text()


def test_a_folder_with_nothing_scored_yet_has_empty_tables(tmp_path: Path) -> None:
    store, rows = results_of(tmp_path, scores=lambda work, noise: None)
    assert rows.empty
    rebuild.rebuild(store)
    assert (store.root / "report.html").exists()


def test_failed_rows_say_why(tmp_path: Path, plain: None) -> None:
    def some(work: Work, noise: Noise) -> Mapping[str, np.ndarray] | str:
        return "no <luck> | at all" if work.cell.seed == 1 else score(work, noise)

    store, rows = results_of(tmp_path, SEEDS, scores=some)
    assert rows["error"].tolist() == ["", "no <luck> | at all", ""] * 2 + ["", ""]
    assert rows["psnr"].isna().tolist() == [False, True, False] * 2 + [False, False]
    table = tables.summary(rows, CHOSEN, [])
    assert table["seeds"].tolist() == [2, 2, 0, 0]
    assert table["failed"].tolist() == [1, 1, 0, 0]
    assert table["psnr"].tolist()[0] == pytest.approx(22.5)
    readable = tables.for_readers(table, CHOSEN, [])
    assert readable["seeds"].tolist() == ["2, 1 failed", "-", "2, 1 failed", "-"]
    rebuild.rebuild(store)
    assert " 2 of 8 rows failed." in (store.root / "tables" / "summary.md").read_text()


def test_what_failed_with_every_seed_is_said_to_have_failed(tmp_path: Path) -> None:
    _, rows = results_of(tmp_path, scores=lambda work, noise: "no" if work.cell.train else score(work, noise))
    readable = tables.for_readers(tables.summary(rows, CHOSEN, []), CHOSEN, [])
    assert readable["PSNR (dB) ↑"].tolist() == ["failed", "**18.00 ± 0.42**", "failed", "**23.00 ± 0.42**"]


def test_the_summary_over_seeds_is_a_mean_with_students_interval(tmp_path: Path) -> None:
    _, rows = results_of(tmp_path, SEEDS)
    table = tables.summary(rows, CHOSEN, [])
    psnr = [23.0, 21.0, 22.0]
    low, high = stats.t.interval(0.95, 2, loc=22, scale=stats.sem(psnr))
    first = table.iloc[0]
    assert (first["psnr"], first["psnr_low"], first["psnr_high"]) == pytest.approx((22, low, high))
    assert (first["seeds"], first["interval_over"], first["n_images"]) == (3, "seeds", 10)
    assert first["train_seconds"] == 2.0
    untrained = table.iloc[2]
    half = stats.norm.ppf(0.975) * np.std(np.linspace(-1, 1, 10), ddof=1) / math.sqrt(10)
    assert (untrained["seeds"], untrained["interval_over"]) == (0, "images")
    assert untrained["psnr_high"] - untrained["psnr"] == pytest.approx(half)


def test_one_seed_has_an_interval_over_images(tmp_path: Path) -> None:
    table = tables.summary(results_of(tmp_path)[1], CHOSEN, [])
    assert table["interval_over"].tolist() == ["images"] * 4
    assert table["seeds"].tolist() == [1, 1, 0, 0]


def test_varied_settings_are_rows_of_their_own(tmp_path: Path) -> None:
    _, rows = results_of(tmp_path, ("lr: 2.0e-3", "lr: [2.0e-3, 1.0e-3]"))
    table = tables.summary(rows, CHOSEN, ["train.lr"])
    assert table["train.lr"].tolist() == [0.002, 0.001, 0.002, 0.001, "", ""]
    assert tables.for_readers(table, CHOSEN, ["train.lr"])["train.lr"].tolist()[:2] == ["0.002", "0.001"]


def summary_of(**columns: list[float]) -> pd.DataFrame:
    """A summary of one test noise with the given means."""
    count = len(next(iter(columns.values())))
    table = pd.DataFrame(
        {
            "dataset": "d", "model": [f"m{i}" for i in range(count)], "objective": "denoise", "train_noise": "n",
            "test_noise": "n", "seeds": 1, "failed": 0, "n_images": 10, "perfect_images": 0.0, **columns,
        }
    )  # fmt: skip
    for column in columns:
        if f"{column}_low" not in columns:
            table[f"{column}_low"], table[f"{column}_high"] = table[column] - 0.1, table[column] + 0.1
    return table


def test_the_best_of_each_test_noise_is_marked() -> None:
    table = pd.concat([summary_of(psnr=[20.0, 21.0]), summary_of(psnr=[30.0, 29.0]).assign(test_noise="other")])
    assert tables.best(table, PSNR) == [False, True, True, False]
    assert tables.best(summary_of(mse=[0.002, 0.001, 0.003]), MSE) == [False, True, False]


def test_values_that_read_the_same_are_marked_the_same() -> None:
    assert tables.best(summary_of(psnr=[25.001, 25.004, 24.9]), PSNR) == [True, True, False]
    assert tables.best(summary_of(psnr=[25.004, 25.006]), PSNR) == [False, True]
    assert tables.best(summary_of(mse=[0.0021, 0.00212]), MSE) == [True, False]


def test_nothing_is_best_where_there_is_no_value() -> None:
    assert tables.best(summary_of(psnr=[math.nan, math.nan]), PSNR) == [False, False]
    assert tables.best(summary_of(psnr=[math.nan, 1.0]), PSNR) == [False, True]


def test_perfect_images_beat_every_number() -> None:
    table = summary_of(psnr=[math.nan, 50.0]).assign(perfect_images=[10.0, 0.0])
    assert tables.best(table, PSNR) == [True, False]
    assert tables.for_readers(table, [PSNR], [])["PSNR (dB) ↑"].tolist() == ["**perfect**", "50.00 ± 0.10"]


def test_small_values_keep_three_digits() -> None:
    table = summary_of(mse=[0.00213, 0.0456])
    assert tables.for_readers(table, [MSE], [])["MSE ↓"].tolist() == ["**0.00213 ± 0.10000**", "0.04560 ± 0.10000"]


def test_tests_stay_together() -> None:
    table = pd.concat([summary_of(psnr=[20.0, 21.0]).assign(test_noise=["a", "b"]) for _ in range(2)])
    assert tables.for_readers(table.reset_index(drop=True), [PSNR], [])["test noise"].tolist() == ["a", "a", "b", "b"]


def test_readers_are_told_what_clean_training_is() -> None:
    table = summary_of(psnr=[20.0, 21.0, 22.0])
    table["objective"], table["train_noise"] = ["autoencode", "", "denoise"], ["", "", "n"]
    text = tables.for_readers(table, [PSNR], [])
    assert text["model"].tolist() == ["m0 [autoencode]", "m1", "m2"]
    assert text["trained on"].tolist() == ["clean images", "-", "n"]


def test_markdown_stays_a_table_whatever_the_cells_hold() -> None:
    text = pd.DataFrame({"a|b": ["x | y", "<script>", "two\nlines"], "c": ["**1**", "", "ü"]})
    lines = tables.to_markdown(text, "conditions").splitlines()
    assert lines[:5] == [
        r"| a\|b | c |",
        "| --- | --- |",
        r"| x \| y | **1** |",
        "| &lt;script> |  |",
        "| two lines | ü |",
    ]
    assert lines[-1] == "conditions"


def test_latex_stays_a_table_whatever_the_cells_hold() -> None:
    text = pd.DataFrame({"PSNR (dB) ↑": [r"a_b & 5% $x$ {y} # ~ ^ \z <", "**1.0 ± 0.1**"]})
    lines = tables.to_latex(text, "one\ntwo").splitlines()
    assert lines[2] == r"PSNR (dB) $\uparrow$ \\"
    escaped = r"a\_b \& 5\% \$x\$ \{y\} \# \textasciitilde{} \textasciicircum{} \textbackslash{}z \textless{} \\"
    assert lines[4] == escaped
    assert lines[5] == r"\textbf{1.0 $\pm$ 0.1} \\"
    assert lines[-2:] == ["% one", "% two"]


def test_a_stand_in_is_named_in_the_dataset_column(tmp_path: Path) -> None:
    experiment = load(runs.spec(tmp_path))
    described = tables.describe(experiment, works_of(experiment), "cifar10")
    assert described["dataset"] == "folder:images (stand-in for cifar10)"


def test_figures_and_report_are_drawn_anew_only_where_their_tables_changed(tmp_path: Path) -> None:
    store, _ = results_of(tmp_path)
    store.write_figure("samples_07_gone.png", b"of an earlier plan")
    rebuild.rebuild(store)
    figures = {path.name for path in (store.root / "figures").iterdir()}
    assert {"psnr_by_noise.png", "psnr_by_noise.svg", "loss_curves.png", "shown.json"} <= figures
    assert "samples_07_gone.png" not in figures
    shown = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    rebuild.rebuild(store, force=False)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == shown


def test_missing_figures_are_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: None) -> None:
    store, _ = results_of(tmp_path)
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
    store, rows = results_of(tmp_path)
    rebuild.rebuild(store)
    cards = sorted(path.parent.name for path in store.root.rglob("card.md"))
    trained = rows[rows["objective"] == "denoise"]
    assert cards == sorted(trained["cell"])
    text = (store.root / "cells" / trained["cell"].iloc[0] / "card.md").read_text()
    for said in ("# conv(width=4)", f"trained on {GAUSSIAN}, seed 0", "7 parameters", "SHA-256", "bench denoise", "20"):
        assert said in text
