"""Published figures as lines in figures of a run's own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.report.figures.frame import Line
from bench.report.published import Beside, lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, Line] = {
    "linear": {"color": "#a5371f", "linestyle": (0, (1, 2)), "linewidth": 1.2, "zorder": 1},
    "limit": {"color": "#a5371f", "linestyle": (0, (7, 2, 1, 2)), "linewidth": 1.2, "zorder": 1},
}


def among(known: Sequence[Beside], tests: Iterable[str]) -> list[Beside]:
    """Those of some test noises, by their ids: what is not drawn is neither in the legend nor on the scale."""
    shown = set(tests)
    return [one for one in known if one.test.id in shown]


def values(known: Sequence[Beside]) -> list[float]:
    """Where the lines lie, in dB."""
    return [one.psnr for tests in lines(known).values() for one in tests.values()]


def legend(known: Sequence[Beside]) -> dict[str, Line]:
    """The lines by what they are called."""
    return {f"published: {name}": _style(tests) for name, tests in lines(known).items()}


def across(axes: "Axes", known: Sequence[Beside], test: str) -> None:
    """The lines of a test noise, by its id, from side to side."""
    for one in _of(known, test):
        axes.axhline(one.psnr, **STYLES[one.figure.kind])


def upright(axes: "Axes", known: Sequence[Beside], test: str, row: int) -> None:
    """The same in a row of points, as high as the row."""
    for one in _of(known, test):
        axes.plot([one.psnr, one.psnr], [row - 0.45, row + 0.45], **STYLES[one.figure.kind])


def by_level(axes: "Axes", known: Sequence[Beside], tests: Sequence[str]) -> None:
    """The lines through several levels of a noise."""
    for found in lines(known).values():
        mine = sorted((one.test.level or 0.0, one.psnr) for test, one in found.items() if test in tests)
        if mine:
            axes.plot(*zip(*mine, strict=True), marker=".", **_style(found))


def _of(known: Sequence[Beside], test: str) -> list[Beside]:
    return [tests[test] for tests in lines(known).values() if test in tests]


def _style(tests: Mapping[str, Beside]) -> Line:
    return STYLES[next(iter(tests.values())).figure.kind]
