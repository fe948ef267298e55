"""How units are put together: brief ones, as many as fill a task, and never one of unknown or greater length."""

import time
from itertools import count

import pytest

from bench.running.pace import TASK, TOGETHER, UNDER_WAY, Pace, Unit


def test_brief_units_fill_a_task_and_others_go_alone() -> None:
    pace = Pace()
    brief, unknown = Unit(abs, (1,)), Unit(time.sleep, (1,))
    assert pace.first([brief] * 5) == 1, "nobody knows yet how long it takes"
    pace.note([brief], [TASK / 10])
    assert (pace.depth, pace.together) == (2, 10)
    assert pace.first([brief] * 20) == 10 and pace.first([brief] * 3) == 3
    assert pace.first([brief, brief, unknown, brief]) == 2 and pace.first([unknown, brief]) == 1
    pace.note([brief] * 2, [0.0, 0.0])
    assert pace.first([brief] * 100) == pace.together == TOGETHER
    pace.note([unknown], [3.0])
    assert (pace.depth, pace.together) == (1, 1)


def test_what_a_unit_should_take_counts_and_not_what_others_took() -> None:
    """The first epoch of a training is brief and its next step is not."""
    pace = Pace()
    pace.note([Unit(abs, (1,))], [0.01])
    longer = Unit(abs, (1,), seconds=3.0)
    assert pace.first([longer] * 5) == 1 and pace.first([Unit(abs, (1,)), longer]) == 1
    pace.note([longer], [3.0])
    assert pace.first([Unit(abs, (1,))] * 5) == 5, "a long step says nothing of a first epoch"


def fill(pace: Pace, tasks: int, unit: Unit) -> None:
    """Begin units of a kind until there should be no more."""
    for tag in count(len(pace.under_way)):
        if not pace.hungry(tasks):
            return
        pace.begin(tag, unit)


@pytest.mark.parametrize(("tasks", "most"), [(4, 4 * TOGETHER), (200, UNDER_WAY), (3000, 3000)])
def test_as_many_brief_units_are_under_way_as_fill_the_tasks(tasks: int, most: int) -> None:
    pace, brief = Pace(), Unit(abs, (1,))
    pace.note([brief], [0.0])
    fill(pace, tasks, brief)
    assert len(pace.under_way) == most


def test_no_more_long_units_are_under_way_than_tasks_however_brief_the_last_one_was() -> None:
    """Many trainings would take turns, and none end."""
    pace, test, training = Pace(), Unit(abs, (1,)), Unit(time.sleep, (1,))
    pace.note([test], [0.0])
    fill(pace, 2, training)
    assert len(pace.under_way) == len(pace.long) == 2
    pace.end(1)
    pace.begin(1, test)
    fill(pace, 2, training)
    assert len(pace.under_way) == 3 and len(pace.long) == 2, "a brief one leaves room"
