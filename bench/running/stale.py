"""What a run says of results that other code has made: what of it is made anew, and what is taken as it is."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.core import machine
from bench.core.words import counted
from bench.results.code import Code
from bench.results.store import Store
from bench.spec import Experiment
from bench.spec.cells import Work

CELLS, TESTS = "cell", "test"


def notes(experiment: Experiment, works: Sequence[Work], store: Store, keep: bool = False) -> Iterator[str]:
    """A line for each class whose code has changed since, and one for all that was made by code that nobody recorded.

    Others for trainings that were begun with another torch or on another kind of processor and go on here.
    keep: whether what other code has made is taken.
    """
    yield from _code(experiment, works, store, keep)
    yield from _arithmetic(works, store)


def _code(experiment: Experiment, works: Sequence[Work], store: Store, keep: bool) -> Iterator[str]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: {CELLS: 0, TESTS: 0})
    unknown = {CELLS: 0, TESTS: 0}
    code = Code.of(experiment)
    for work in works:
        folder = store.cell(work.cell.id)
        record = folder.record()
        stale = code.stale_cell(record, work.cell)
        _count(record, stale, CELLS, found, unknown)
        for test in work.tests if record else ():
            score = folder.score(test.id(work.cell.data))
            _count(score, () if stale else code.stale_test(score, work.cell, test.noise), TESTS, found, unknown)
    for part, counts in sorted(found.items()):
        yield _taken(part, counts) if keep else _anew(part, counts)
    if any(unknown.values()):
        yield (
            f"{_words(unknown)} of before the code that makes results was recorded: taken as if today's had made them"
        )


def _arithmetic(works: Sequence[Work], store: Store) -> Iterator[str]:
    found = Counter[tuple[str, str]]()
    for cell in (one for work in works for one in (work.cell.trials() or [work.cell])):
        folder = store.cell(cell.id)
        if cell.train and not folder.finished:
            here = machine.arithmetic(cell.train.device)
            begun = folder.state().made_with
            found.update([(" and ".join(begun), here)] if begun and here not in begun else [])
    for (begun_with, here), count in found.items():
        yield (
            f"{counted(count, 'training')} begun with {begun_with} will go on with {here}: weights will differ in "
            "their last digits from those of either; tables mark them"
        )


def _count(
    record: Mapping[str, Any] | None,
    stale: Sequence[str],
    what: str,
    found: Mapping[str, dict[str, int]],
    unknown: dict[str, int],
) -> None:
    """Count a marker among what each class has made, or among those of which nothing is known."""
    for part in stale:
        found[part][what] += 1
    if record is not None and "code" not in record:
        unknown[what] += 1


def _anew(part: str, counts: Mapping[str, int]) -> str:
    doing = [f"{counted(counts[CELLS], CELLS)} trained and scored anew"] if counts[CELLS] else []
    doing += [f"{counted(counts[TESTS], TESTS)} scored anew"] if counts[TESTS] else []
    return (
        f"the code of {part} has changed: {', '.join(doing)}; what it made before stays until the new is whole "
        "(--keep-stale takes it as it is)"
    )


def _taken(part: str, counts: Mapping[str, int]) -> str:
    made = _words(counts)
    return f"the code of {part} has changed: what it made before ({made}) is taken as it is, and marked in every table"


def _words(counts: Mapping[str, int]) -> str:
    return " and ".join(counted(count, what) for what, count in counts.items() if count)
