"""What is said of two results: planted trainings, and the codes of the command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.noises import Noise
from bench.report.conditions import Conditions
from bench.report.figures.changes import changes
from bench.results.compare import NotComparable, compare, compare_within
from bench.results.comparison import Comparison
from bench.results.store import Store
from bench.spec.cells import Work
from tests.helpers.cli import bench
from tests.helpers.results import Scores, store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
MODELS = "[{conv: {width: 4}}, identity]"
MASKING = "  - masking: {p: 0.25}\n"
IMAGES = np.random.default_rng(0).normal(25, 3, 10)  # what single images are worth, the same for everyone


def planted(gain: float = 0.0, seeds: float = 0.0, images: float = 0.0, run: int = 0) -> Scores:
    """Scores of trainings. gain: dB on all. seeds, images: standard deviations in dB. run: another one, other draws."""

    def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        if not work.cell.train:
            return _levels(IMAGES - 5)
        own = np.random.default_rng([run, work.cell.seed or 0, int(1000 * float(noise.level_value or 0))])
        shift = gain + seeds * own.standard_normal() + images * own.standard_normal(10)
        return _levels(IMAGES + shift)

    return score


def _levels(psnr: np.ndarray) -> dict[str, np.ndarray]:
    return {"psnr": psnr, "mse": 10 ** (-psnr / 10), "ssim": np.minimum(psnr, 60) / 60}


def stored(folder: Path, name: str, scores: Scores, *changes: tuple[str, str], seeds: str = "[0, 1, 2]") -> Store:
    chosen = ("device: cpu}", f"device: cpu}}\nseeds: {seeds}")
    return store_of(folder / name, write_spec(folder, chosen, *changes), scores)


def compared(folder: Path, a: Scores, b: Scores, max_drop: float | None = None, seeds: str = "[0, 1, 2]") -> Comparison:
    return compare(stored(folder, "a", a, seeds=seeds), stored(folder, "b", b, seeds=seeds), max_drop)


def verdicts(found: Comparison) -> dict[str, str]:
    """Of the trained model, by the noise it is tested on."""
    return {row.key.test.name: row.verdict for row in found.differences if row.key.contender.trained}


NOISY: dict[str, Any] = {"seeds": 0.15, "images": 0.1}


def test_a_rerun_is_the_same_to_the_byte_and_no_part_of_the_family(tmp_path: Path) -> None:
    found = compared(tmp_path, planted(**NOISY), planted(**NOISY))
    assert {row.verdict for row in found.differences} == {"same"} and found.exit_code == 0
    assert found.frame()["decides_level"].isna().all()


def steady(gain: float, spread: float) -> Scores:
    """Three seeds, the outer ones a spread away from the middle one."""

    def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        trained = work.cell.train is not None
        return _levels(IMAGES + gain + spread * ((work.cell.seed or 0) - 1) if trained else IMAGES)

    return score


@pytest.mark.parametrize(
    ("gain", "spread", "drop", "verdict", "code"),
    [
        (-5, 0.15, 0.1, "worse", 1),
        (5, 0.15, 0.1, "better", 0),
        (0.05, 0.001, 0.1, "better", 0),
        (-0.05, 0.001, 0.1, "same", 0),
        (-0.05, 0.001, 0.0, "worse", 1),
        (-0.3, 0.15, 0.1, "undecided", 3),
        (-0.05, 0.15, 0.1, "undecided", 0),
    ],
)
def test_the_interval_decides(gain: float, spread: float, drop: float, verdict: str, code: int, tmp_path: Path) -> None:
    found = compared(tmp_path, steady(0, spread), steady(gain, spread), drop)
    assert set(verdicts(found).values()) == {verdict}
    assert found.exit_code == code


@pytest.mark.parametrize("gain", [-10, 0, 10])
def test_one_seed_is_undecided_whatever_its_mean(gain: float, tmp_path: Path) -> None:
    a = stored(tmp_path, "a", planted(**NOISY), seeds="[0]")
    for name, seeds in (("b", "[1]"), ("c", "[0, 1, 2]")):
        b = stored(tmp_path, name, planted(gain, run=1, **NOISY), seeds=seeds)
        for found in (compare(a, b), compare(b, a)):
            assert set(verdicts(found).values()) == {"undecided"} and found.exit_code in (0, 3)
            assert all(row.reason.startswith("one seed") for row in found.differences if row.key.contender.trained)


def test_the_level_of_a_row_is_what_holm_leaves_it_and_the_plain_one_stands_beside(tmp_path: Path) -> None:
    found = compared(tmp_path, planted(**NOISY), planted(-2, run=1, **NOISY))
    rows = found.frame().set_index("model").loc["conv(width=4)"]
    assert sorted(rows["decides_level"]) == pytest.approx([0.95, 0.975])
    assert (rows["decides_low"] <= rows["psnr_low"]).all() and (rows["decides_high"] >= rows["psnr_high"]).all()
    text = found.for_readers().set_index("model").loc["conv(width=4)"]
    assert text["psnr B-A, decides"].str.contains(r"\[-.*, -.*\] at 9[57]\.?5? %").all()
    assert text["psnr B-A, 95 %"].str.fullmatch(r"\[-[\d.]+, -[\d.]+\]").all()
    assert "for 2 rows" in found.intervals and "seeds (unpaired) and test images (paired)" in found.intervals


def test_without_the_correction_a_row_of_many_would_be_worse(tmp_path: Path) -> None:
    """Between the plain interval and that of twelve rows lies a drop that only the former takes for worse."""
    grid = ("sigma: 0.1", f"sigma: [{', '.join(f'{0.01 * n:.2f}' for n in range(1, 12))}]")

    def before(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        return _levels(IMAGES + [-0.1, 0, 0.1][work.cell.seed or 0] if work.cell.train else IMAGES)

    def after(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        drop = 0.35 if noise.name == "masking" else 0
        return _levels(IMAGES - drop + [-0.11, 0, 0.11][work.cell.seed or 0] if work.cell.train else IMAGES)

    alone = compare(stored(tmp_path, "a", before, grid), stored(tmp_path, "b", after, grid), 0.1)
    row = next(row for row in alone.differences if row.key.test.name == "masking" and row.key.contender.trained)
    assert row.changes["psnr"].high < -0.1 < row.decision.high and row.verdict == "undecided"
    assert alone.exit_code == 3 and row.decision.level == pytest.approx(1 - 0.05 / 12)


def test_where_lower_is_better_signs_are_turned(tmp_path: Path) -> None:
    a, b = (stored(tmp_path, name, planted(gain, **NOISY)) for name, gain in (("a", 0), ("b", -3)))
    assert set(verdicts(compare(a, b, 1e-5, gate="mse")).values()) == {"worse"}
    assert set(verdicts(compare(b, a, 1e-5, gate="mse")).values()) == {"better"}
    with pytest.raises(NotComparable, match="another unit: say it with --max-drop"):
        compare(a, b, gate="mse")


def test_exact_images_count_as_the_ceiling_on_both_sides(tmp_path: Path) -> None:
    def exact(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
        return _levels(np.where(np.arange(10) < 5, np.inf, IMAGES) if work.cell.train else IMAGES)

    row = compared(tmp_path, planted(), exact).differences[0]
    assert row.images[1] - row.images[0] == pytest.approx(np.where(np.arange(10) < 5, 60 - IMAGES, 0))
    assert row.changes["psnr"].change == pytest.approx(np.diff(row.images, axis=0).mean())


def test_photographs_have_intervals_over_seeds_alone(tmp_path: Path) -> None:
    folder = f"name: folder, root: {tmp_path / 'images'}"
    photos = (folder, "name: photos")
    a, b = (stored(tmp_path, name, steady(gain, 0.15), photos) for name, gain in (("a", 0), ("b", 1)))
    found = compare(a, b)
    assert found.intervals.startswith("These photographs only") and "test images" not in found.intervals
    expected = stats.ttest_ind([0.85, 1, 1.15], [-0.15, 0, 0.15]).confidence_interval(0.95)
    row = next(row for row in found.differences if row.key.contender.trained)
    assert (row.changes["psnr"].low, row.changes["psnr"].high) == pytest.approx(tuple(expected))
    assert not np.isfinite(found.differences[-1].decision.low), "two filters differ exactly"


# The models of one result.

THREE = (MODELS, "[{conv: {width: [4, 8]}}, identity, median]")


def by_model(work: Work, noise: Noise) -> Mapping[str, np.ndarray] | str | None:
    """conv(width=8) is 2 dB better than conv(width=4); filters are 5 dB worse."""
    return planted(2.0 if "width=8" in work.cell.model.label() else 0.0, **NOISY)(work, noise)


def test_models_of_one_folder_are_compared_in_pairs(tmp_path: Path) -> None:
    store = stored(tmp_path, "a", by_model, THREE)
    everyone = compare_within(store)
    assert len(everyone.differences) == 2 * 6
    titles = {row.title: row.verdict for row in everyone.differences}
    assert titles["conv(width=8) against conv(width=4)"] == "better"
    assert titles["identity against conv(width=8)"] == "worse"
    assert titles["median(size=3) against identity"] == "same" and everyone.exit_code == 1
    two = compare_within(store, models=["conv(width=8)", "identity"])
    assert [row.title for row in two.differences] == ["identity against conv(width=8)"] * 2
    assert len(compare_within(store, models=["conv", "median"]).differences) == 2 * 3


def test_against_one_named_beforehand_the_family_is_smaller(tmp_path: Path) -> None:
    store = stored(tmp_path, "a", by_model, THREE)
    found = compare_within(store, against="identity")
    assert {row.title.partition(" against ")[2] for row in found.differences} == {"identity"}
    assert len(found.differences) == 2 * 3 and "for 4 rows" in found.intervals
    frame = found.frame()
    assert set(frame["model"]) == {"identity"} and "conv(width=8)" in set(frame["model_b"])


def test_rows_meet_where_they_were_trained_and_tested_alike(tmp_path: Path) -> None:
    crossed = ("train: {epochs", "test_noises:\n  - gaussian: {sigma: 0.1}\ntrain: {epochs")
    store = stored(tmp_path, "a", by_model, THREE, crossed)
    found = compare_within(store, models=["conv"]).differences
    noises = [(row.key.contender.train_noise, row.other.contender.train_noise) for row in found if row.other]
    assert len(noises) == 2 and all(first == second for first, second in noises)
    assert len(compare_within(store, models=["conv(width=4)", "identity"]).differences) == 2


def test_rows_that_differ_in_their_training_noise_are_told_apart_beside_an_untrained_one(tmp_path: Path) -> None:
    """A figure of 78 such rows drew 18, and the terminal named six of them alike."""
    crossed = ("train: {epochs", "test_noises:\n  - gaussian: {sigma: 0.1}\ntrain: {epochs")
    store = stored(tmp_path, "a", by_model, THREE, crossed)
    found = compare_within(store, models=["conv(width=4)"], against="identity")
    assert len(found.differences) == 2
    assert len({str(row.train_noise) for row in found.differences}) == 2
    (axes,) = changes(found, Conditions("", "made up")).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 2 and sum("trained on masking" in label for label in labels) == 1
    printed = bench("compare", store.root, "--models", "conv(width=4)", "--against", "identity", "--all").output
    assert printed.count("masking(p=0.25") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "convv,identity"], "conv"),
        (["--models", "identity"], "nothing to compare"),
        (["--against", "conv"], "names 2 models"),
    ],
)
def test_models_that_are_none_are_refused(words: list[str], said: str, tmp_path: Path) -> None:
    stored(tmp_path, "a", by_model, THREE)
    found = bench("compare", tmp_path / "a", *words)
    assert found.exit_code == 2 and said in found.stderr
    assert bench("compare", tmp_path / "a", tmp_path / "a", *words).exit_code == 2


# The command.


def test_the_command_has_a_code_for_each_end(tmp_path: Path) -> None:
    a = stored(tmp_path, "a", planted(**NOISY))
    for name, gain in (("same", 0.0), ("crippled", -6), ("doubtful", -0.4)):
        stored(tmp_path, name, planted(gain, run=7 if gain else 0, **NOISY))
    clipped = stored(tmp_path, "clipped", planted(**NOISY), ("sigma: 0.1", "sigma: 0.1, clip: false"))

    def code(other: Path, *words: str) -> int:
        return bench("compare", a.root, other, *words).exit_code

    assert code(tmp_path / "same") == 0 and code(tmp_path / "crippled") == 1 and code(clipped.root) == 2
    assert code(tmp_path / "doubtful") == 3 and code(tmp_path / "doubtful", "--allow-undecided") == 0
    assert code(tmp_path / "crippled", "--allow-undecided") == 1


def test_the_command_says_how_many_seeds_would_settle_it(tmp_path: Path) -> None:
    a, b = stored(tmp_path, "a", planted(**NOISY)), stored(tmp_path, "b", planted(-0.4, run=7, **NOISY))
    found = bench("compare", a.root, b.root, "--csv", tmp_path / "out.csv")
    assert "undecided with a mean below what B may lose, --allow-undecided accepts it" in found.output
    assert (
        "seeds each, the chance to settle it" in found.output and "95 %" in found.output and "decides" in found.output
    )
    table = pd.read_csv(tmp_path / "out.csv")
    assert {"psnr_low", "psnr_high", "decides_low", "decides_high", "decides_level", "moderated_low"} <= set(table)


def test_models_with_several_keys_are_named_whole(tmp_path: Path) -> None:
    stored(tmp_path, "a", by_model, (MODELS, "[{dncnn: {width: 4, depth: [3, 4]}}]"))
    found = bench("compare", tmp_path / "a", "--models", "dncnn(width=4, depth=3),dncnn(width=4, depth=4)")
    assert "2 rows compared" in found.output


def test_figures_go_where_they_are_asked_for(tmp_path: Path) -> None:
    a, b = stored(tmp_path, "a", planted(**NOISY)), stored(tmp_path, "b", planted(-6, **NOISY))
    assert bench("compare", a.root, b.root, "-o", tmp_path / "new" / "figures").exit_code == 1
    names = {path.name for path in (tmp_path / "new" / "figures").iterdir()}
    assert names == {"changes.png", "changes.svg", "images.png", "images.svg"}
