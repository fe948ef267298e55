"""How long what is left to train will take, by what a run has shown."""

from typing import Any

import pytest

from bench.models import Model, models
from bench.noises import noises
from bench.running.pending import Pending
from bench.running.rates import Rates
from bench.spec import Train
from bench.spec.cells import Cell, Work

CONV, UNET, LINEAR = (models.parse(name) for name in ("conv", "unet", "linear"))


def left(model: Model, done: int = 0, seed: int = 0, **train: Any) -> Pending:
    cell = Cell(model, noises.parse("gaussian"), seed, Train(**{"epochs": 4, **train}), {"train": 100})
    return Pending(Work(cell, ()), cell.epochs * max(1, len(cell.trials())), done)


def note(rates: Rates, one: Pending, epochs: int, images_per_second: float) -> None:
    rates.note(one, one.work.cell, epochs, images_per_second)


def test_nothing_is_known_before_something_was_trained() -> None:
    assert Rates([left(CONV)]).left(1) is None


def test_each_model_has_its_own_speed() -> None:
    slow, fast = left(UNET), left(CONV)
    rates = Rates([slow, fast])
    note(rates, slow, 1, 10.0)
    note(rates, fast, 2, 100.0)
    assert rates.left(1) == pytest.approx(300 / 10 + 200 / 100)
    assert rates.left(2) == pytest.approx((300 / 10 + 200 / 100) / 2)
    note(rates, slow, 3, 10.0)
    assert rates.left(1) == pytest.approx(200 / 100)


def test_a_model_that_was_not_seen_is_held_against_those_that_were_by_what_it_computes() -> None:
    seen, other = left(UNET), left(LINEAR)
    rates = Rates([seen, other])
    note(rates, seen, 4, 10.0)
    assert rates.left(1) == pytest.approx(400 / 10), "of two models of unknown size one is as fast as the other"
    rates.macs = {UNET: 16_000_000, LINEAR: 160_000}
    assert rates.left(1) == pytest.approx(400 / 100), "a hundredth to compute takes a tenth of the time"


def test_what_is_done_or_given_up_is_not_left() -> None:
    begun, failed = left(CONV, done=3), left(CONV, seed=1)
    rates = Rates([begun, failed, left(CONV, seed=2)])
    note(rates, failed, 1, 10.0)
    assert rates.left(1) == pytest.approx((100 + 300 + 400) / 10)
    rates.end(failed, 1)
    assert rates.left(1) == pytest.approx((100 + 400) / 10)
    rates.end(begun, 3)
    assert rates.left(1) == pytest.approx(400 / 10)


def test_a_last_epoch_in_part_and_a_search_are_counted_by_their_images() -> None:
    part, search = left(CONV, images=250), left(CONV, lr_search=(0.001, 0.01))
    rates = Rates([part, search])
    note(rates, search, 8, 10.0)
    assert rates.left(1) == pytest.approx(250 / 10)


def test_a_budget_of_seconds_takes_them() -> None:
    timed, other = left(UNET, seconds=60.0), left(CONV)
    rates = Rates([timed, other])
    note(rates, other, 4, 100.0)
    assert rates.left(1) == pytest.approx(60)
    rates.end(timed, 0)
    assert rates.left(1) == pytest.approx(0)
