"""Two results side by side: matched, refused, judged."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.noises import Noise
from bench.results.compare import NotComparable, compare
from bench.results.comparison import Comparison
from bench.results.store import Store
from bench.spec.cells import Work
from tests.helpers.cli import bench
from tests.helpers.results import Scores, store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
CONV = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}]")
PLAIN = ("  - masking: {p: 0.25}\n", "")
SEEDS = ("device: cpu}", "device: cpu}\nseeds: [0, 1, 2]")


def level(psnr: float, **others: float) -> dict[str, np.ndarray]:
    return {column: np.full(10, value) for column, value in {"mse": 0.01, "psnr": psnr, "ssim": 0.5, **others}.items()}


def flat(psnr: float) -> Scores:
    return lambda work, noise: level(psnr)


FLAT = flat(25)


def stored(folder: Path, name: str, *changes: tuple[str, str], scores: Scores = FLAT) -> Store:
    return store_of(folder / name, write_spec(folder, *changes), scores)


def judged(folder: Path, a: Scores, b: Scores, max_drop: float = 0.1) -> Comparison:
    before, after = (stored(folder, name, CONV, PLAIN, SEEDS, scores=scores) for name, scores in (("a", a), ("b", b)))
    return compare(before, after, max_drop)


def test_a_result_is_no_worse_than_itself(tmp_path: Path) -> None:
    store = stored(tmp_path, "a")
    found = compare(store, store, 0.0)
    assert found.exit_code == 0
    assert found.frame()["verdict"].tolist() == ["same"] * 4
    assert found.frame()["psnr_change"].tolist() == [0.0] * 4
    assert found.only_in_a == found.only_in_b == ()


@pytest.mark.parametrize(
    ("change", "verdict", "code"),
    [(-1.0, "worse", 1), (-0.25, "same", 0), (-0.26, "worse", 1), (0.0, "same", 0), (0.25, "better", 0)],
)
def test_the_tolerance_decides(change: float, verdict: str, code: int, tmp_path: Path) -> None:
    found = judged(tmp_path, flat(25), flat(25 + change), max_drop=0.25)
    row = found.frame().iloc[0]
    assert (row["psnr_a"], row["psnr_b"], row["psnr_change"]) == pytest.approx((25, 25 + change, change))
    assert row["verdict"] == verdict
    assert found.exit_code == code


def test_psnr_decides_and_every_metric_is_shown(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda *_: level(25, ssim=0.9), lambda *_: level(25, ssim=0.1))
    assert found.exit_code == 0
    assert found.frame()["ssim_change"].tolist() == pytest.approx([-0.8])
    assert list(found.frame()) == [
        *("model", "objective", "train_noise", "test_noise", "seeds_a", "seeds_b"),
        *(f"{column}_{end}" for column in ("mse", "psnr", "ssim") for end in ("a", "b", "change", "low", "high")),
        *("decides_low", "decides_high", "decides_level", "moderated_low", "moderated_high"),
        *("verdict", "reason"),
    ]


def test_the_order_of_seeds_changes_nothing(tmp_path: Path) -> None:
    """Added up in these two orders, their floating-point sums differ."""
    psnr = {0: 25.1, 1: 25.3, 2: 24.7, 3: 26.1}

    def scores(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        return level(psnr[work.cell.seed or 0])

    orders = [("a", "[0, 1, 2, 3]"), ("b", "[3, 2, 1, 0]")]
    seeds = [[CONV, PLAIN, ("device: cpu}", f"device: cpu}}\nseeds: {order}")] for _, order in orders]
    before, after = (
        stored(tmp_path, name, *changes, scores=scores) for (name, _), changes in zip(orders, seeds, strict=True)
    )
    assert [row.changes["psnr"].change for row in compare(before, after, 0.0).differences] == [0.0]


def test_seeds_are_averaged(tmp_path: Path) -> None:
    seeds = ("cpu}", "cpu}\nseeds: [1, 2]"), ("cpu}", "cpu}\nseeds: [3, 5, 7]")
    a, b = (
        stored(tmp_path, name, CONV, PLAIN, change, scores=lambda work, noise: level(20 + (work.cell.seed or 0)))
        for name, change in zip("ab", seeds, strict=True)
    )
    row = compare(a, b, 0.1).frame().iloc[0]
    assert (row["seeds_a"], row["seeds_b"]) == (2, 3)
    assert (row["psnr_a"], row["psnr_b"], row["psnr_change"]) == pytest.approx((21.5, 25, 3.5))


def test_rows_without_a_partner_are_listed(tmp_path: Path) -> None:
    a = stored(tmp_path, "a", ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}, identity, median]"))
    b = stored(tmp_path, "b", ("width: 4", "width: 8"), ("p: 0.25", "p: 0.5"))
    found = compare(a, b, 0.1)
    masking = "masking(p=0.25, fill=0.0, per=element)"
    assert [row for row in found.only_in_a if "median" not in row] == [
        "conv(width=4), trained on gaussian(sigma=0.1), tested on gaussian(sigma=0.1)",
        f"conv(width=4), trained on {masking}, tested on {masking}",
        f"identity, tested on {masking}",
    ]
    assert len(found.only_in_a) == 5 and len(found.only_in_b) == 3
    assert found.frame()["model"].tolist() == ["identity"]
    assert found.exit_code == 1


def test_metrics_of_one_result_only_are_listed(tmp_path: Path) -> None:
    a = stored(tmp_path, "a", ("cpu}", "cpu}\nmetrics: [psnr, mse]"), CONV)
    b = stored(tmp_path, "b", ("cpu}", "cpu}\nmetrics: [psnr, ssim]"), CONV)
    found = compare(a, b, 0.1)
    assert (found.only_in_a, found.only_in_b) == (("metric mse",), ("metric ssim",))
    assert [column for column in found.frame() if str(column).endswith("_change")] == ["psnr_change"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("sigma: 0.1", "sigma: 0.1, clip: false"), ["clip: true in A, false in B"]),
        (("sigma: 0.1", "sigma: 0.1, quantize: true"), ["quantize: false in A, true in B"]),
        (("size: 16, train", "size: 20, train"), ["data.size: 16 in A, 20 in B"]),
        (("test: 10", "test: 9"), ["data.test: 10 in A, 9 in B"]),
        (("train: 40", "train: 30"), ["data.train: 32 in A, 24 in B", "data.validation: 8 in A, 6 in B"]),
    ],
)
def test_results_of_another_protocol_are_refused_by_the_part(
    change: tuple[str, str], parts: list[str], tmp_path: Path
) -> None:
    a, b = stored(tmp_path, "a"), stored(tmp_path, "b", change)
    with pytest.raises(NotComparable, match="measured under different protocols") as raised:
        compare(a, b, 0.1)
    assert raised.value.exit_code == 2
    for part in parts:
        assert part in str(raised.value)


def test_results_of_other_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_spec(tmp_path / name)
    a = stored(tmp_path / "one", "a")
    changed = tmp_path / "two" / "images" / "test" / "00.png"
    Image.open(changed).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(changed)
    b = stored(tmp_path / "two", "b")
    with pytest.raises(NotComparable, match=r"data\.source\.test"):
        compare(a, b, 0.1)


def test_both_ways_of_clipping_in_one_result_are_two_rows(tmp_path: Path) -> None:
    both = ("  - gaussian: {sigma: 0.1}", "  - gaussian: {sigma: 0.1, clip: [true, false]}")

    def scores(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        return level(25 if noise.clip else 20)

    a, b = stored(tmp_path, "a", both, CONV, PLAIN, scores=scores), stored(tmp_path, "b", CONV, PLAIN, scores=flat(25))
    found = compare(a, b, 0.1)
    assert found.frame()["psnr_a"].tolist() == [25.0]
    assert len(found.only_in_a) == 1 and "clip=false" in found.only_in_a[0]
    assert compare(a, a, 0.0).frame()["psnr_a"].tolist() == [25.0, 20.0]


def test_varied_settings_are_matched_not_averaged(tmp_path: Path) -> None:
    rate = ("lr: 2.0e-3", "lr: [1.0e-3, 2.0e-3]")

    def scores(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        assert work.cell.train is not None
        return level(20 + 1000 * work.cell.train.lr)

    a, b = (stored(tmp_path, name, *change, CONV, PLAIN, scores=scores) for name, change in (("a", [rate]), ("b", [])))
    found = compare(a, b, 0.1)
    assert found.frame()["train.lr"].tolist() == [0.002]
    assert (found.frame()["psnr_a"].tolist(), found.frame()["psnr_b"].tolist()) == ([22.0], [22.0])
    (only,) = found.only_in_a
    assert only == "conv(width=4), lr=0.001, trained on gaussian(sigma=0.1), tested on gaussian(sigma=0.1)"
    assert "train.lr" in found.for_readers()


def test_another_training_is_what_one_compares(tmp_path: Path) -> None:
    slow = ("lr: 2.0e-3", "lr: 1.0e-7")
    a, b = stored(tmp_path, "a", CONV, SEEDS), stored(tmp_path, "b", CONV, SEEDS, slow, scores=flat(12))
    found = compare(a, b, 0.1)
    assert found.exit_code == 1
    assert found.frame()["verdict"].tolist() == ["worse"] * 2


def test_a_failure_is_worse_than_any_number(tmp_path: Path) -> None:
    found = judged(tmp_path, flat(5), lambda *_: "diverged")
    assert found.exit_code == 1
    assert found.frame()["verdict"].tolist() == ["worse"]
    assert found.frame()["reason"].tolist() == ["diverged"]
    assert found.for_readers()["verdict"].tolist() == ["worse (diverged)"]


def test_a_failure_that_is_gone_is_better(tmp_path: Path) -> None:
    assert judged(tmp_path, lambda *_: "diverged", flat(5)).frame()["verdict"].tolist() == ["better"]


def test_failures_on_both_sides_are_neither(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda *_: "diverged", lambda *_: "diverged")
    assert found.frame()["verdict"].tolist() == ["both failed"] and found.exit_code == 0


def test_one_failed_seed_is_worse(tmp_path: Path) -> None:
    seeds = ("cpu}", "cpu}\nseeds: [1, 2]")
    a = stored(tmp_path, "a", CONV, PLAIN, seeds)
    b = stored(tmp_path, "b", CONV, PLAIN, seeds, scores=lambda work, _: "no" if work.cell.seed == 2 else level(30))
    assert compare(a, b, 0.1).frame()["verdict"].tolist() == ["worse"]


@pytest.mark.parametrize(
    ("a", "b", "verdict"), [(np.inf, 50, "worse"), (50, np.inf, "better"), (np.inf, np.inf, "same")]
)
def test_perfect_images_beat_every_number(a: float, b: float, verdict: str, tmp_path: Path) -> None:
    assert judged(tmp_path, flat(a), flat(b)).frame()["verdict"].tolist() == [verdict]


def test_an_unfinished_result_is_refused(tmp_path: Path) -> None:
    a = stored(tmp_path, "a")
    b = stored(tmp_path, "b", scores=lambda work, noise: None if noise.name == "masking" else level(25))
    with pytest.raises(NotComparable, match=r"b is unfinished: 2 of its rows are not scored, the first is conv"):
        compare(a, b, 0.1)
    with pytest.raises(NotComparable, match="b is unfinished"):
        compare(b, a, 0.1)


ONE = ("[{conv: {width: 4}}, identity]", "[identity]")
MORE = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}, identity, median]")
NO_MSE = ("cpu}", "cpu}\nmetrics: [psnr, ssim]")


@pytest.mark.parametrize(
    ("a", "b", "codes"),
    [
        ((), (ONE,), (1, 0)),  # a model is gone
        ((), (PLAIN,), (1, 0)),  # a noise is gone
        ((), (NO_MSE,), (1, 0)),  # a metric is gone
        ((), (MORE,), (0, 0)),
        ((NO_MSE,), (), (0, 0)),
    ],
    ids=["model", "noise", "metric", "new model", "new metric"],
)
def test_what_is_missing_counts_as_worse_and_what_is_new_does_not(
    a: Sequence[tuple[str, str]], b: Sequence[tuple[str, str]], codes: tuple[int, int], tmp_path: Path
) -> None:
    stores = stored(tmp_path, "a", *a), stored(tmp_path, "b", *b)
    assert (compare(*stores, 0.1).exit_code, compare(*stores, 0.1, allow_missing=True).exit_code) == codes


def test_being_worse_is_worse_also_where_rows_may_be_missing(tmp_path: Path) -> None:
    a, b = stored(tmp_path, "a"), stored(tmp_path, "b", ONE, scores=flat(20))
    assert compare(a, b, 0.1, allow_missing=True).exit_code == 1


def test_unfinished_rows_and_other_protocols_win_over_missing_and_worse_ones(tmp_path: Path) -> None:
    a = stored(tmp_path, "a", MORE)
    open_row = stored(tmp_path, "b", ONE, scores=lambda work, noise: None if noise.name == "masking" else level(5))
    clipped = stored(tmp_path, "c", ONE, ("sigma: 0.1", "sigma: 0.1, clip: false"), scores=flat(5))
    for other, reason in ((open_row, "unfinished"), (clipped, "different protocols")):
        for allow in (False, True):
            with pytest.raises(NotComparable, match=reason):
                compare(a, other, 0.1, allow)


def test_a_row_to_be_run_that_the_other_result_lacks_is_unfinished_and_not_missing(tmp_path: Path) -> None:
    a = stored(tmp_path, "a", MORE, scores=lambda work, _: None if work.cell.model.name == "median" else level(25))
    with pytest.raises(NotComparable, match="a is unfinished: 2 of its rows are not scored, the first is median"):
        compare(a, stored(tmp_path, "b"), 0.1)


def test_scores_of_before_a_metric_was_asked_for_are_unfinished(tmp_path: Path) -> None:
    """Else a row without a PSNR would be the same as any."""
    a = stored(tmp_path, "a", CONV)
    b = stored(tmp_path, "b", CONV, scores=lambda *_: {"mse": np.full(10, 0.01), "ssim": np.full(10, 0.5)})
    with pytest.raises(NotComparable, match="b is unfinished"):
        compare(a, b, 0.1)


@pytest.mark.parametrize(("a", "b", "verdict"), [(25, np.nan, "worse"), (np.nan, 25, "better")])
def test_a_psnr_that_is_no_number_is_a_failure(a: float, b: float, verdict: str, tmp_path: Path) -> None:
    found = judged(tmp_path, flat(a), flat(b))
    assert [(row.verdict, row.reason) for row in found.differences] == [(verdict, "psnr is not a number")]


def test_the_command_says_what_is_missing_and_how_to_allow_it(tmp_path: Path) -> None:
    stored(tmp_path, "a", MORE)
    stored(tmp_path, "b")
    words = ("compare", tmp_path / "a", tmp_path / "b", "--markdown", tmp_path / "diff.md")
    found = bench(*words)
    assert found.exit_code == 1
    assert "missing in B: median(size=3), tested on gaussian(sigma=0.1)" in found.output
    assert "2 missing in B, which counts as worse; --allow-missing accepts it." in found.output
    assert "- missing in B: median(size=3), tested on gaussian(sigma=0.1)" in (tmp_path / "diff.md").read_text()
    assert bench(*words, "--allow-missing").exit_code == 0
    assert "new in B: median" in bench("compare", tmp_path / "b", tmp_path / "a").output


def test_results_without_a_common_row_are_refused(tmp_path: Path) -> None:
    a, b = stored(tmp_path, "a", CONV), stored(tmp_path, "b", ("[{conv: {width: 4}}, identity]", "[unet]"))
    with pytest.raises(NotComparable, match=r"nothing to compare.*A has conv.*B has unet"):
        compare(a, b, 0.1)


def test_results_without_psnr_are_refused(tmp_path: Path) -> None:
    a, b = stored(tmp_path, "a"), stored(tmp_path, "b", ("cpu}", "cpu}\nmetrics: [mse]"))
    with pytest.raises(NotComparable, match="need the metric psnr"):
        compare(a, b, 0.1)


def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    stored(tmp_path, "a", CONV, SEEDS)
    stored(tmp_path, "b", CONV, SEEDS, scores=flat(24))
    out = tmp_path / "new" / "diff.csv", tmp_path / "diff.md"
    found = bench("compare", tmp_path / "a", tmp_path / "b", "--csv", out[0], "--markdown", out[1])
    assert found.exit_code == 1
    assert "2 worse" in found.output
    table = pd.read_csv(out[0])
    assert table["psnr_change"].tolist() == [-1.0, -1.0]
    assert "| conv(width=4) | denoise | gaussian(sigma=0.1) | gaussian(sigma=0.1) |" in out[1].read_text()
    assert bench("compare", tmp_path / "a", tmp_path / "b", "--max-drop", "1").exit_code == 0


def test_a_folder_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    stored(tmp_path, "a")
    found = bench("compare", tmp_path / "a", tmp_path / "missing")
    assert found.exit_code == 2
    assert found.stderr.startswith("Error:") and "missing holds no results: plan.json is missing" in found.stderr
