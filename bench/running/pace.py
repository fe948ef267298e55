"""Units of work, how long they take, and by that how they are given to processes: alone, together, others waiting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

BRIEF = 0.5  # seconds of a task behind which the next one should be waiting at its process already
TASK = 0.25  # seconds of work that are worth a task of their own: briefer units travel together
TOGETHER = 32  # units at most, or one process would have all that is left
UNDER_WAY = 1000  # units at most that wait for company: each belongs to a cell that is held in memory


@dataclass(frozen=True)
class Unit:
    """A function and its arguments, to be run by a worker. seconds: what it should take, None where that is unknown."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float | None = None


class Pace:
    """What the units that ended last have taken.

    depth: tasks that a process should have at once. together: units of the last task's length that make a task.
    """

    def __init__(self) -> None:
        self.depth = self.together = 1
        self.took: dict[Callable[..., Any], float] = {}
        self.under_way: set[int] = set()
        self.long: set[int] = set()  # those under way that are not known to be brief

    def begin(self, tag: int, unit: Unit) -> None:
        """A unit is under way, by the tag it goes by."""
        self.under_way.add(tag)
        if self._expected(unit) >= TASK:
            self.long.add(tag)

    def end(self, tag: int) -> None:
        """What a unit has brought is taken."""
        self.under_way.discard(tag)
        self.long.discard(tag)

    def hungry(self, tasks: int) -> bool:
        """Whether there should be another unit for so many tasks: there are too few, and not for want of long ones.

        Each belongs to a cell that has begun: with a long one for each task more of them would only wait.
        """
        return len(self.long) < tasks and len(self.under_way) < self._slots(tasks)

    def note(self, units: Sequence[Unit], seconds: Sequence[float]) -> None:
        """Take in a task that ended: its units, and what each has taken."""
        known = zip(units, seconds, strict=True)
        self.took |= {unit.function: took for unit, took in known if unit.seconds is None}
        brief = sum(seconds) < BRIEF
        mean = sum(seconds) / len(seconds)
        self.depth = 2 if brief else 1
        self.together = max(1, int(TASK / max(mean, TASK / TOGETHER))) if brief else 1

    def _slots(self, tasks: int) -> int:
        """How many units to have under way for so many tasks, where they are brief."""
        return max(tasks, min(tasks * self.together, UNDER_WAY))

    def first(self, units: Sequence[Unit]) -> int:
        """How many of some waiting units, the first ones, make a task: one at least, of an unknown length only one."""
        seconds = 0.0
        for number, unit in enumerate(units[:TOGETHER]):
            seconds += self._expected(unit)
            if number and seconds > TASK:
                return number
        return min(len(units), TOGETHER)

    def _expected(self, unit: Unit) -> float:
        """Seconds that a unit should take; a task's where nothing is known of it."""
        return self.took.get(unit.function, TASK) if unit.seconds is None else unit.seconds
