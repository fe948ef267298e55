"""Tables of a docs page from a results folder, between the page's marks, and beside it what they are derived from.

`python -m tests.perf.tables PAGE FOLDER [--second FOLDER] [--without FILE]` takes the results, those under a second
draw of the test noise (`test_seed: 1`), and a file that names test images to leave out. The whole tables of these two
are put beside, the latter where `bench report FOLDER --without FILE` has made them.
"""

import argparse
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

from bench.metrics import Measure, half_text
from bench.report.published import METRIC, beside
from bench.report.rebuild import Results, read, rebuild
from bench.results.names import brief, contender_names, short_noises
from bench.results.ranking import rank
from bench.results.remarks import marks
from bench.results.store import Store
from bench.results.summary import Summary
from bench.results.without import left_out

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
FIRST = "gaussian 0.1"  # the noise that rows are sorted by


@dataclass(frozen=True)
class Table:
    """What a folder holds by names of contenders, without their budgets, and of test noises.

    Raises ValueError where rows are missing.
    """

    results: Results

    def __post_init__(self) -> None:
        if missing := self.results.conditions.missing:
            raise ValueError(missing)

    @cached_property
    def cells(self) -> dict[str, dict[str, Summary]]:
        """Summaries by contender and noise, the best under the first noise on top."""
        found = self.results.summaries
        bare = {one.contender: replace(one.contender, settings=()) for one in found}
        names = contender_names(bare.values(), by_train_noise=False)
        noises = short_noises((), self.results.plan.tests)
        cells: dict[str, dict[str, Summary]] = {}
        for one in found:
            cells.setdefault(names[bare[one.contender]], {})[brief(noises[one.test.label])] = one
        return dict(sorted(cells.items(), key=lambda row: -self.psnr(row[1][FIRST])))

    @property
    def noises(self) -> list[str]:
        return list(next(iter(self.cells.values())))

    def metric(self, column: str) -> Measure:
        return next(metric for metric in self.results.plan.metrics if metric.column == column)

    def psnr(self, one: Summary) -> float:
        return one.mean(self.metric(METRIC))

    def pooled(self, one: Summary) -> float:
        """PSNR of the mean squared error of all images and seeds."""
        return -10 * math.log10(one.error(self.metric(METRIC)))


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ("",)) -> str:
    """A table in Markdown. words: the heads of columns that hold words, where the others hold numbers."""
    lines = [head, ["---" if name in words else "---:" for name in head], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quality(table: Table, column: str, digits: int) -> str:
    """Means with half their intervals, the best in bold, and in italics what can't be told from it."""
    rankings = rank(table.results.summaries, table.metric(column))

    def text(one: Summary) -> str:
        span = one.intervals[column]
        ranking, value = rankings[one.test.id], f"{span.mean:.{digits}f}"
        value = f"**{value}**" if one in ranking.ahead else f"*{value}*" if one in ranking.tied else value
        half = "" if math.isnan(span.half) else f" ± {half_text(span.half, digits)}"
        return value + half + marks(one.scored)

    return grid(["", *table.noises], ([name, *map(text, row.values())] for name, row in table.cells.items()))


def costs(table: Table) -> str:
    """What each contender costs, and the pooled PSNR of Gaussian noise with its distance to the published limit."""
    limits = {one.test.id: one for one in beside(table.results.plan) if one.figure.kind == "limit"}
    near = [noise for noise in table.noises if next(iter(table.cells.values()))[noise].test.id in limits]

    def line(name: str, row: dict[str, Summary]) -> list[str]:
        one, (first, *_) = row[FIRST], row[FIRST].scored
        budget = next((f"{value:,}" for _, value in one.contender.settings if value), "")
        seconds = [each.cost("train_seconds") for each in row.values()]
        trained = "" if math.isnan(seconds[0]) else "-".join(dict.fromkeys(f"{of(seconds):.0f}" for of in (min, max)))
        shown = [f"{first.parameters:,}" if first.parameters else "", f"{first.macs / 1e6:.1f}" if first.macs else ""]
        pooled = [table.pooled(row[noise]) for noise in near]
        distances = [
            f"{value:.2f} ({value - limits[row[noise].test.id].psnr:+.2f})"
            for value, noise in zip(pooled, near, strict=True)
        ]
        latency = first.latency_ms or math.nan
        each = "" if math.isnan(latency) else f"{latency:.0f}" if latency >= 10 else f"{latency:.2g}"
        return [name, budget, trained, *shown, each, *distances]

    head = ["", "images trained on", "s to train", "parameters", "MMACs", "ms an image"]
    return grid([*head, *(f"{noise}, pooled" for noise in near)], (line(*row) for row in table.cells.items()))


def ranks(table: Table) -> str:
    """The ranks that each contender may have on each noise by PSNR, the best first, where trained rows have seeds."""

    def text(one: Summary) -> str:
        if one.standing is None:
            return ""
        first, last = one.standing.first, one.standing.last
        return str(first) if first == last else f"{first} to {last}"

    return grid(["", *table.noises], ([name, *map(text, row.values())] for name, row in table.cells.items()))


def others(table: Table) -> str:
    """Published figures of the noises tested, each beside our best row in its own way of averaging."""
    short = short_noises((), table.results.plan.tests)
    known = [(brief(short[one.test.label]), one) for one in beside(table.results.plan)]
    lines = []
    for noise, one in sorted(known, key=lambda each: (table.noises.index(each[0]), -each[1].psnr)):
        found = {name: row[noise] for name, row in table.cells.items()}
        ours = {name: table.pooled(row) if one.figure.pooled else table.psnr(row) for name, row in found.items()}
        best = max(ours, key=ours.__getitem__)
        averaged = {True: "pooled", False: "mean over images", None: "unknown, held against the mean over images"}
        differs = ", ".join(difference for difference in one.differs if difference not in ("pooled", "mean unknown"))
        figure = [one.name, f"{one.psnr:.2f}", f"{ours[best]:.2f} ({best})", averaged[one.figure.pooled]]
        lines.append([noise, *figure, differs, one.figure.trust, one.figure.source])
    said = ["averaged", "otherwise measured", "how far to trust it", "source"]
    return grid(["", "method", "PSNR", "our best", *said], lines, words=("", "method", *said))


def changes(table: Table, other: Table, what: str) -> str:
    """What another choice of test images or noise changes: the means, and which rows stand in another order."""
    lines = []
    for noise in table.noises:
        moved = [table.psnr(other.cells[name][noise]) - table.psnr(row[noise]) for name, row in table.cells.items()]
        turned = [
            f"{a} and {b} ({_gap(table, noise, a, b)}, then {_gap(other, noise, a, b)} dB)"
            for a, b in combinations(table.cells, 2)
            if _gap(table, noise, a, b)[0] != _gap(other, noise, a, b)[0]
        ]
        lines.append([noise, f"{min(moved):+.2f} to {max(moved):+.2f}", "; ".join(turned) or "none"])
    return grid(["", f"PSNR {what} minus PSNR, dB", "rows in another order"], lines)


def _gap(table: Table, noise: str, a: str, b: str) -> str:
    return f"{table.psnr(table.cells[a][noise]) - table.psnr(table.cells[b][noise]):+.3f}"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("page", "folder", "--second", "--without"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(words)
    store = Store(given.folder)
    table = Table(rebuild(store, draw=False))
    parts = {
        "PSNR": quality(table, METRIC, 2),
        "SSIM": quality(table, "ssim", 3),
        "Ranks": ranks(table),
        "Costs, and distance to the limit": costs(table),
        "Published figures beside": others(table),
    }
    if given.without:
        without = Table(read(store, left_out(store, given.without)))
        parts["Without near-duplicates"] = changes(table, without, "without them")
    if given.second:
        again = Table(read(Store(given.second)))
        parts["Another draw of the test noise"] = changes(table, again, "of the second draw")
    derived = given.page.with_suffix("")
    derived.mkdir(exist_ok=True)
    for path in given.folder.glob("tables/*.csv"):
        shutil.copy(path, derived / path.name)
    for path in given.folder.glob("without-*/tables/summary.csv"):
        shutil.copy(path, derived / f"{path.parents[1].name}.csv")
    if given.second:
        shutil.copy(given.second / "tables" / "summary.csv", derived / "second-draw.csv")
    head, _, rest = given.page.read_text(encoding="utf-8").partition(BEGIN)
    block = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items() if text.count("\n") > 1)
    conditions = f"Conditions: {table.results.conditions}"
    text = f"{head}{BEGIN}\n{block}\n\n{conditions}\n{END}{rest.partition(END)[2]}"
    given.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
