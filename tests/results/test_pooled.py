"""Metrics whose mean is of errors, not of decibels: their intervals are about that mean."""

from pathlib import Path

import numpy as np
import pytest

from bench.metrics import metrics
from bench.noises import Noise
from bench.report.rebuild import read
from bench.results.compare import compare, compare_within
from bench.results.statistics.means import student
from bench.results.store import Store
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
POOLED = metrics.parse({"psnr": {"like": "torchmetrics"}})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Rows whose images differ much: what is pooled lies dBs below the mean over images."""

    def scores(work: Work, noise: Noise) -> dict[str, np.ndarray]:
        own = np.linspace(2, 5, 10) if work.cell.train else np.zeros(10)
        psnr = np.geomspace(15, 40, 10) + own + 0.01 * (work.cell.seed or 0)
        return {"psnr": psnr, POOLED.column: psnr}

    text = ("\ntrain: {", "\nmetrics: [psnr, {psnr: {like: torchmetrics}}]\nseeds: [0, 1, 2]\ntrain: {")
    return store_of(tmp_path / "results", write_spec(tmp_path, text), scores)


def test_the_interval_of_a_pooled_mean_is_that_of_its_images_errors(store: Store) -> None:
    row = next(one for one in read(store).summaries if not one.contender.trained)
    values = np.geomspace(15, 40, 10)
    without = np.array([POOLED.summary(np.delete(values, image)).mean for image in range(10)])
    jackknife = np.sqrt(9 / 10 * np.square(without - without.mean()).sum())
    found = row.intervals[POOLED.column]
    assert found.mean == pytest.approx(POOLED.summary(values).mean) and found.over == "images"
    assert found.half == pytest.approx(student(9) * jackknife, rel=0.1)
    assert row.intervals["psnr"].half == pytest.approx(student(9) * values.std(ddof=1) / np.sqrt(10))


@pytest.mark.parametrize("metric", ["psnr", POOLED.column])
def test_a_change_lies_in_the_middle_of_its_interval(store: Store, metric: str) -> None:
    found = compare_within(store, gate=metric)
    assert found.differences
    for difference in found.differences:
        for change in difference.changes.values():
            assert (change.low + change.high) / 2 == pytest.approx(change.change)
        decided = difference.decision
        assert (decided.low + decided.high) / 2 == pytest.approx(difference.changes[metric].change)
    apart = {column: change.change for column, change in found.differences[0].changes.items()}
    assert abs(apart["psnr"] - apart[POOLED.column]) > 0.5


def test_ranks_by_a_pooled_metric_are_of_its_images_errors(tmp_path: Path) -> None:
    """Nine images are 10 dB better and one 15 dB worse: better by the mean over images, and not by the mean error."""

    def scores(work: Work, noise: Noise) -> dict[str, np.ndarray]:
        return {POOLED.column: np.array([40.0] * 9 + [15.0]) if work.cell.train else np.linspace(29.9, 30.1, 10)}

    text = ("\ntrain: {", "\nmetrics: [{psnr: {like: torchmetrics}}]\ntrain: {")
    found = read(store_of(tmp_path / "results", write_spec(tmp_path, text), scores)).summaries
    assert [(one.standing.first, one.standing.last) for one in found if one.standing] == [(1, 2)] * 4


def test_a_result_is_no_worse_than_itself_by_a_pooled_metric(store: Store) -> None:
    assert {one.verdict for one in compare(store, store, gate=POOLED.column).differences} == {"same"}
