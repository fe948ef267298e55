"""What is said beside numbers comes from the records that the numbers come from."""

from collections.abc import Sequence

import pytest

from bench.datasets import Notes
from bench.report import page as report_page
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


def test_settings_and_seeds_are_named_only_where_something_is_trained() -> None:
    assert "Training: epochs 10, lr 0.001. 1 seed. Scores" in text(made_up.rows())
    untrained = text(made_up.rows(models=()))
    assert "1,000 test images. Scores" in untrained and "seed" not in untrained


def test_a_stand_in_comes_first() -> None:
    assert text(made_up.rows(), "cifar10").startswith("STAND-IN IMAGES, not cifar10. Data: ")
    assert "STAND-IN" not in text(made_up.rows())


def test_what_changes_the_numbers_of_the_images_is_beside_them() -> None:
    rows = made_up.rows()
    notes = Notes(("3 of 10 images of a drawn for testing",), ("8 images enlarged to 32 pixels",))
    plan = RunPlan(**{**vars(made_up.plan(rows)), "data": DATA, "train": TRAIN, "notes": notes})
    found = conditions(plan, {}, rows, summarise(rows, plan.metrics))
    assert "1,000 test images; 8 images enlarged to 32 pixels. Training" in str(found)
    page = report_page.page(plan, rows, [], [], found, report_page.Facts({}))
    assert "About the images: 8 images enlarged to 32 pixels." in page
    assert "3 of 10 images of a drawn for testing" in page
    assert RunPlan.from_node(plan.node()).notes == notes
