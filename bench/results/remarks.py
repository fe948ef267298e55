"""What a value must not be read without: marks behind it in every table, and below what they mean."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench.results.records import ResultRow

NOTHING_LEARNT = 0.98  # of the error of the mean image


class Remark(NamedTuple):
    """A mark and what it means."""

    mark: str
    meaning: str


COLLAPSED = Remark("\N{DOUBLE DAGGER}", "collapsed: no better than the mean of the training images")


def collapsed(diagnostics: Mapping[str, float]) -> bool:
    """Whether a network is no better than the mean of the training images, whatever it is shown."""
    return diagnostics.get("unexplained", 0.0) >= NOTHING_LEARNT


def collapse(diagnostics: Mapping[str, float]) -> str:
    """That a network has collapsed, in words."""
    share = diagnostics["unexplained"]
    return f"{COLLAPSED.meaning}, on validation images ({share:.2f} of its squared error)"


def remarks(row: ResultRow) -> list[Remark]:
    """Those on a row that is scored."""
    if row.state != "scored":
        return []
    found = [COLLAPSED] if collapsed(row.diagnostics) else []
    assumed = row.cell.assumes
    if assumed not in ("", row.test.label.name):
        found.append(Remark("\N{DAGGER}", f"the noise is treated as {assumed.capitalize()}"))
    if row.cell.bits:
        found.append(
            Remark("\N{SECTION SIGN}", f"scored from pictures of {row.cell.bits} bits, which rounds its outputs")
        )
    if row.stale:
        found.append(Remark("\N{DOUBLE VERTICAL LINE}", f"made before the code of {', '.join(row.stale)} changed"))
    if row.elsewhere:
        found.append(Remark("\N{PILCROW SIGN}", f"made with {'; '.join(row.elsewhere)}, and most rows with others"))
    return found


def marks(rows: Iterable[ResultRow]) -> str:
    """What stands behind the value of some rows: the marks of each, with a space before them; or nothing."""
    found = sorted({remark.mark for row in rows for remark in remarks(row)})
    return "".join([" ", *found]) if found else ""


def notes(rows: Iterable[ResultRow]) -> str:
    """What the marks on some rows mean; nothing where there are none."""
    meanings: dict[str, list[str]] = {}
    for mark, meaning in sorted({remark for row in rows for remark in remarks(row)}):
        meanings.setdefault(mark, []).append(meaning)
    return " ".join(f"{mark} {', or '.join(each)}." for mark, each in meanings.items())
