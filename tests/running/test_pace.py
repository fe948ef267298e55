"""How units are put together: brief ones, as many as fill a task, and never one of unknown or greater length."""

import time

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
    assert pace.slots(4) == 4 * TOGETHER and pace.slots(200) == UNDER_WAY and pace.slots(3000) == 3000
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
