"""What is said beside numbers comes from the records that the numbers come from."""

from collections.abc import Sequence

import pytest

from bench.report.conditions import conditions
from bench.results.records import ResultRow, RunPlan
from bench.results.summary import summarise
from tests.helpers import made_up
from tests.helpers.made_up import MODELS, NOISES

DATA = {"size": 32, "train": 9000, "validation": 1000, "test": 1000}
TRAIN = {"epochs": 10, "images": None, "lr": 0.001, "threads": 1}


def text(rows: Sequence[ResultRow], stand_in_for: str = "") -> str:
    plan = made_up.plan(rows)
    settled = RunPlan(**{**vars(plan), "data": DATA, "train": TRAIN, "stand_in_for": stand_in_for})
    return str(conditions(settled, {"noise-bench": "0.1.0"}, rows, summarise(rows, plan.metrics)))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (made_up.rows(plain=()), "confidence interval over seeds"),
        (made_up.rows(seeds=(0,)), "confidence interval over test images: about these weights only"),
        (made_up.rows(), "confidence interval over seeds where a row has several, otherwise over test images"),
        (made_up.rows(models=()), "confidence interval over test images"),
    ],
    ids=["trained, several seeds", "one seed", "trained and untrained", "untrained"],
)
def test_intervals_are_named_by_what_they_are_over(rows: Sequence[ResultRow], words: str) -> None:
    assert words + "." in text(rows) or words + ";" in text(rows)


def test_nothing_is_said_of_intervals_where_there_are_none() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], (0,), (), autoencode=False, failed=1)
    assert "interval" not in text(rows)
    assert "1 of 1 rows failed." in text(rows)


def test_a_stand_in_comes_first() -> None:
    assert text(made_up.rows(), "cifar10").startswith("STAND-IN IMAGES, not cifar10. Data: ")
    assert "STAND-IN" not in text(made_up.rows())
