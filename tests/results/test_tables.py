"""Tables from stored results: order, columns, seeds, what failed, what readers see."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.metrics import Metric, half_text
from bench.noises import Noise
from bench.report import rebuild
from bench.results import tables
from bench.results.latex import full_table
from bench.results.ranking import rank
from bench.results.readable import for_readers, to_markdown
from bench.results.records import PlannedCell, ResultRow, RunPlan
from bench.results.rows import read_rows
from bench.results.statistics import Interval
from bench.results.store import Store
from bench.results.summary import Summary, summarise
from bench.spec import load
from bench.spec.cells import Work
from bench.spec.plan import works_of
from tests.helpers import made_up
from tests.helpers.made_up import MSE, NOISES, PSNR
from tests.helpers.results import Scores, store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
SEEDS = ("lr: 2.0e-3, device: cpu}", "lr: 2.0e-3, device: cpu}\nseeds: [3, 1, 2]")
GAUSSIAN, MASKING = "gaussian(sigma=0.1)", "masking(p=0.25, fill=0.0, per=element)"


def values(psnr: float, count: int = 10) -> dict[str, np.ndarray]:
    """Scores of some images around a PSNR."""
    found = psnr + np.linspace(-1, 1, count)
    return {"mse": 10 ** (-found / 10), "psnr": found, "ssim": np.full(count, 0.5)}


def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    return values((20 if work.cell.train else 18) + (work.cell.seed or 0) + (5 if noise.name == "masking" else 0))


@dataclasses.dataclass(frozen=True)
class Read:
    """A results folder as it is read."""

    store: Store
    plan: RunPlan
    rows: list[ResultRow]
    summaries: list[Summary]

    @property
    def frame(self) -> pd.DataFrame:
        return tables.results_frame(self.rows, self.plan)

    @property
    def summary(self) -> pd.DataFrame:
        return tables.summary_frame(self.summaries, self.plan)

    @property
    def readable(self) -> pd.DataFrame:
        return for_readers(self.summaries, self.plan)


def results_of(folder: Path, *changes: tuple[str, str], scores: Scores = score) -> Read:
    store = store_of(folder / "results", write_spec(folder, *changes), scores)
    plan = store.plan()
    rows = read_rows(store, plan)
    return Read(store, plan, rows, summarise(rows, plan.metrics))


def test_rows_are_in_the_plans_order(tmp_path: Path) -> None:
    found = results_of(tmp_path, SEEDS)
    shown = [tuple(row) for row in found.frame[["model", "train_noise", "test_noise", "seed"]].to_numpy()]
    trained = [("conv(width=4)", noise, noise, seed) for noise in (GAUSSIAN, MASKING) for seed in (3, 1, 2)]
    assert shown == [*trained, ("identity", "", GAUSSIAN, ""), ("identity", "", MASKING, "")]


@pytest.mark.usefixtures("no_recipes")
def test_columns_are_those_the_readme_names(tmp_path: Path) -> None:
    found = results_of(tmp_path, ("epochs: 2", "epochs: [2, 3]"))
    assert list(found.frame) == [
        *("cell", "dataset", "model", "objective", "train_noise", "test_noise", "seed", "train.epochs", "n_images"),
        *("mse", "psnr", "ssim", "mse_sd", "psnr_sd", "ssim_sd", "perfect_images", "parameters", "macs"),
        *("train_seconds", "evaluate_seconds", "latency_ms", "error"),
    ]
    assert found.frame["train.epochs"].tolist() == [2, 3, 2, 3, "", ""]
    first = found.frame.iloc[0]
    assert first["psnr"] == pytest.approx(20) and first["n_images"] == 10 and first["parameters"] == 7
    assert first["psnr_sd"] == pytest.approx(np.std(np.linspace(-1, 1, 10), ddof=1))
    assert (first["train_seconds"], first["evaluate_seconds"], first["latency_ms"]) == (2.0, 3.0, 4.0)
    assert found.frame["train_seconds"].isna().tolist() == [False] * 4 + [True] * 2
    assert set(tables.VOLATILE) < set(found.frame)
    rebuild.rebuild(found.store, draw=False)


def test_the_csv_of_a_table_reads_back(tmp_path: Path) -> None:
    found = results_of(tmp_path, SEEDS)
    rebuild.rebuild(found.store, draw=False)
    text = (tmp_path / "results" / "tables" / "results.csv").read_text()
    again = pd.read_csv(tmp_path / "results" / "tables" / "results.csv")
    assert again["psnr"].tolist() == found.frame["psnr"].tolist(), "digits were lost"
    assert text.splitlines()[-1].split(",")[6] != "nan"
    assert "," + "10," in text.splitlines()[1], "whole numbers are written as such"


def test_rows_not_yet_run_are_left_out_and_counted(tmp_path: Path) -> None:
    found = results_of(tmp_path, scores=lambda work, noise: score(work, noise) if work.cell.train else None)
    assert found.frame["model"].tolist() == ["conv(width=4)"] * 2
    rebuild.rebuild(found.store, draw=False)
    assert "UNFINISHED: 2 of 4 rows are still to be run" in (found.store.root / "tables" / "summary.md").read_text()


def test_a_folder_with_nothing_scored_yet_has_empty_tables(tmp_path: Path) -> None:
    found = results_of(tmp_path, scores=lambda work, noise: None)
    assert found.frame.empty
    rebuild.rebuild(found.store)
    assert (found.store.root / "report.html").exists()


def test_failed_rows_say_why(tmp_path: Path) -> None:
    def some(work: Work, noise: Noise) -> Mapping[str, np.ndarray] | str:
        return "no <luck> | at all" if work.cell.seed == 1 else score(work, noise)

    found = results_of(tmp_path, SEEDS, scores=some)
    assert found.frame["error"].tolist() == ["", "no <luck> | at all", ""] * 2 + ["", ""]
    assert found.frame["psnr"].isna().tolist() == [False, True, False] * 2 + [False, False]
    table = found.summary
    assert table["seeds"].tolist() == [2, 2, 0, 0]
    assert table["failed"].tolist() == [1, 1, 0, 0]
    assert table["psnr"].tolist()[0] == pytest.approx(22.5)
    readable = found.readable
    assert readable["seeds"].tolist() == ["2, 1 failed", "-", "2, 1 failed", "-"]
    rebuild.rebuild(found.store, draw=False)
    assert " 2 of 8 rows failed." in (found.store.root / "tables" / "summary.md").read_text()


def test_what_failed_with_every_seed_is_said_to_have_failed(tmp_path: Path) -> None:
    found = results_of(tmp_path, scores=lambda work, noise: "no" if work.cell.train else score(work, noise))
    readable = found.readable
    assert readable["PSNR (dB) ↑"].tolist() == ["failed", "**18.00 ± 0.48**", "failed", "**23.00 ± 0.48**"]


def test_the_summary_over_seeds_is_a_mean_with_students_interval(tmp_path: Path) -> None:
    found = results_of(tmp_path, SEEDS)
    table = found.summary
    psnr = [23.0, 21.0, 22.0]
    low, high = stats.t.interval(0.95, 2, loc=22, scale=stats.sem(psnr))
    first = table.iloc[0]
    assert (first["psnr"], first["psnr_low"], first["psnr_high"]) == pytest.approx((22, low, high))
    assert (first["seeds"], first["interval_over"], first["n_images"]) == (3, "seeds", 10)
    assert first["train_seconds"] == 2.0
    untrained = table.iloc[2]
    half = stats.t.ppf(0.975, 9) * np.std(np.linspace(-1, 1, 10), ddof=1) / math.sqrt(10)
    assert (untrained["seeds"], untrained["interval_over"]) == (0, "images")
    assert untrained["psnr_high"] - untrained["psnr"] == pytest.approx(half)


def test_one_seed_has_an_interval_over_images(tmp_path: Path) -> None:
    table = results_of(tmp_path).summary
    assert table["interval_over"].tolist() == ["images"] * 4
    assert table["seeds"].tolist() == [1, 1, 0, 0]


def test_varied_settings_are_rows_of_their_own(tmp_path: Path) -> None:
    found = results_of(tmp_path, ("lr: 2.0e-3", "lr: [2.0e-3, 1.0e-3]"))
    table = found.summary
    assert table["train.lr"].tolist() == [0.002, 0.001, 0.002, 0.001, "", ""]
    assert found.readable["train.lr"].tolist()[:2] == ["0.002", "0.001"]


def summaries_of(
    psnr: Sequence[float] = (), mse: Sequence[float] = (), noise: str = NOISES[0], half: float = 0.1
) -> list[Summary]:
    """Summaries on one test noise with the given means."""
    found = []
    for place, value in enumerate(psnr or mse):
        who = made_up.contender(f"m{place}", "denoise", noise)
        cell = PlannedCell(f"{noise}{place}", who, 0, "", (made_up.noise_test(noise),))
        column, row = "psnr" if psnr else "mse", made_up.scored(cell, 20.0)
        ends = (value - half, value + half) if math.isfinite(value) else (math.nan, math.nan)
        found.append(Summary(who, cell.tests[0], (row,), (), {column: Interval(value, *ends, "images")}))
    return found


def best(summaries: Sequence[Summary], metric: Metric) -> list[bool]:
    """Which of them are shown as the best of their test noise."""
    marked = [summary for ranking in rank(summaries, metric).values() for summary in ranking.ahead]
    return [summary in marked for summary in summaries]


def shown(summaries: Sequence[Summary], metric: Metric) -> list[str]:
    """The column of a metric as readers see it."""
    plan = dataclasses.replace(
        made_up.plan([row for summary in summaries for row in summary.scored]), metrics=(metric,)
    )
    return list(for_readers(summaries, plan).iloc[:, 3])


def test_the_best_of_each_test_noise_is_marked() -> None:
    both = [*summaries_of(psnr=[20.0, 21.0]), *summaries_of(psnr=[30.0, 29.0], noise=NOISES[1])]
    assert best(both, PSNR) == [False, True, True, False]
    assert best(summaries_of(mse=[0.002, 0.001, 0.003]), MSE) == [False, True, False]


def test_values_that_read_the_same_are_marked_the_same() -> None:
    assert best(summaries_of(psnr=[25.001, 25.004, 24.9]), PSNR) == [True, True, False]
    assert best(summaries_of(psnr=[25.004, 25.006]), PSNR) == [False, True]
    assert best(summaries_of(mse=[0.0021, 0.00212]), MSE) == [True, False]


def test_nothing_is_best_where_there_is_no_value() -> None:
    assert best(summaries_of(psnr=[math.nan, math.nan]), PSNR) == [False, False]
    assert best(summaries_of(psnr=[math.nan, 1.0]), PSNR) == [False, True]


def test_perfect_images_beat_every_number() -> None:
    summaries = summaries_of(psnr=[math.inf, 50.0])
    assert best(summaries, PSNR) == [True, False]
    assert shown(summaries, PSNR) == ["**perfect**", "50.00 ± 0.10"]


def test_small_values_keep_three_digits() -> None:
    assert shown(summaries_of(mse=[0.00213, 0.0456]), MSE) == ["**0.00213 ± 0.10000**", "0.04560 ± 0.10000"]


@pytest.mark.parametrize(
    ("half", "text"), [(0.0049, "< 0.01"), (0.0051, "0.01"), (0.0, "0.00"), (1.234, "1.23"), (math.nan, "nan")]
)
def test_a_small_interval_is_not_shown_as_none(half: float, text: str) -> None:
    assert half_text(half, 2) == text


def test_tests_stay_together() -> None:
    a, b = (summaries_of(psnr=[20.0, 21.0], noise=noise) for noise in NOISES[:2])
    mixed = [a[0], b[0], a[1], b[1]]
    plan = made_up.plan([row for summary in mixed for row in summary.scored])
    plan = dataclasses.replace(plan, metrics=(PSNR,))
    assert for_readers(mixed, plan)["test noise"].tolist() == [NOISES[0], NOISES[0], NOISES[1], NOISES[1]]


def test_readers_are_told_what_clean_training_is() -> None:
    contenders = [
        made_up.contender("m0", "autoencode"),
        made_up.contender("m1"),
        made_up.contender("m2", "denoise", "n"),
    ]
    cells = [PlannedCell(str(place), who, 0, "", (made_up.noise_test("n"),)) for place, who in enumerate(contenders)]
    rows = [made_up.scored(cell, 20.0 + place) for place, cell in enumerate(cells)]
    text = for_readers(made_up.summaries(rows), made_up.plan(rows))
    assert text["model"].tolist() == ["m0 [autoencode]", "m1", "m2"]
    assert text["trained on"].tolist() == ["clean images", "-", "n"]


def test_markdown_stays_a_table_whatever_the_cells_hold() -> None:
    text = pd.DataFrame({"a|b": ["x | y", "<script>", "two\nlines"], "c": ["**1**", "", "ü"]})
    lines = to_markdown(text, "conditions").splitlines()
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
    lines = full_table(text, "one\ntwo").splitlines()
    assert lines[2] == r"PSNR (dB) $\uparrow$ \\"
    escaped = r"a\_b \& 5\% \$x\$ \{y\} \# \textasciitilde{} \textasciicircum{} \textbackslash{}z \textless{} \\"
    assert lines[4] == escaped
    assert lines[5] == r"\textbf{1.0 $\pm$ 0.1} \\"
    assert lines[-2:] == ["% one", "% two"]


def test_a_stand_in_is_named_in_the_dataset_column(tmp_path: Path) -> None:
    experiment = load(write_spec(tmp_path))
    plan = RunPlan.of(experiment, works_of(experiment), "cifar10")
    assert plan.dataset == "folder:images (stand-in for cifar10)"
