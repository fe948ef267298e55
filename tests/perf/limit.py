"""What is left: one network over growing budgets, a power law fitted to it, and published figures beside.

`python -m tests.perf.limit GROWING DEFAULT` takes two results folders with Gaussian noise: of a network under several
`train.images`, and of the default models. It draws docs/img/speed-limit.png and writes the rest into docs/speed.md.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from bench.report.figures import style
from bench.report.published import Published, published
from bench.results.records import ResultRow
from bench.results.rows import read_rows
from bench.results.statistics import CONFIDENCE, student
from bench.results.store import Store
from tests.perf.fresh import ROOT
from tests.perf.report import PAGE

PICTURE = ROOT / "docs/img/speed-limit.png"
BEGIN, END = "<!-- limit: begin -->", "<!-- limit: end -->"
NOISE, LEVEL = "gaussian", 0.1
UNIT = 1000  # images: what the law counts in


@dataclass(frozen=True)
class Law:
    """PSNR after training on n images: limit - scale (n / UNIT) ** -exponent.

    limit, scale: in dB. half: half the width of the 95 % interval of the limit, by the fit's own covariance and
    Student's t: of the scatter of the points around the law, not of whether the law goes on.
    """

    limit: float
    scale: float
    exponent: float
    half: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.limit - self.scale * (images / UNIT) ** -self.exponent


def fitted(images: "Sequence[float] | np.ndarray", psnr: "Sequence[float] | np.ndarray") -> Law:
    """The law through at least four points by least squares."""

    def law(count: np.ndarray, limit: float, scale: float, exponent: float) -> np.ndarray:
        return Law(limit, scale, exponent, 0)(count)

    start = (max(psnr) + 0.2, max(psnr) - min(psnr), 0.5)
    found, covariance = curve_fit(law, np.array(images), np.array(psnr), start, bounds=(0, [100, 100, 3]))
    half = student(len(images) - len(start)) * math.sqrt(covariance[0, 0])
    limit, scale, exponent = map(float, found)
    return Law(limit, scale, exponent, half)


def tested(folder: Path) -> Iterator[ResultRow]:
    """The rows of a results folder under the noise that is looked at."""
    store = Store(folder)
    for row in read_rows(store, store.plan()):
        if row.state == "scored" and row.test.label.name == NOISE and row.test.level == LEVEL:
            yield row


def points(folder: Path) -> list[tuple[int, float, int]]:
    """Training images, PSNR and ensemble of each training, by budget."""
    rows = [row for row in tested(folder) if row.contender.trained]
    found = [(dict(row.contender.settings)["images"], row.averages["psnr"].mean, row.cell.ensemble) for row in rows]
    return sorted(found)


def lines() -> list[Published]:
    """The best linear denoiser, under our protocol, and the reference near the limit."""
    known = [one for one in published() if one.noise == NOISE and one.at(LEVEL) is not None]
    linear = [one for one in known if one.kind == "linear" and one.clipped and not one.pooled]
    return [*linear, *(one for one in known if one.kind == "limit")]


def drawn(found: Sequence[tuple[int, float, int]], law: Law, name: str) -> Figure:
    """PSNR against training images, the law, its limit and the published lines."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for ensemble, marker, label in ((1, "o", name), (8, "^", f"{name}, ensemble: 8")):
        axes.plot(*zip(*[(n, psnr) for n, psnr, by in found if by == ensemble], strict=True), marker, label=label, ms=4)
    counts = np.geomspace(found[0][0], found[-1][0] * 8)
    axes.plot(
        counts, law(counts), color="C0", linewidth=1, label=f"power law, limit {law.limit:.2f} ± {law.half:.2f} dB"
    )
    axes.axhspan(law.limit - law.half, law.limit + law.half, color="C0", alpha=0.15, linewidth=0)
    for one, dash in zip(lines(), (":", "--"), strict=True):
        psnr = one.at(LEVEL) or math.nan
        axes.axhline(psnr, color="0.4", linestyle=dash, linewidth=1, label=f"{one.method}, {psnr} dB ({one.protocol})")
    axes.set(xlabel="training images, counted as often as they are seen", ylabel="PSNR (dB)")
    style.scale(axes.xaxis, (found[0][0], counts[-1]), log=True)
    axes.grid(alpha=0.3)
    figure.legend(fontsize=7, loc="outside lower center", ncols=2, frameon=False)
    return figure


def table(folder: Path) -> str:
    """How far each model is from the published lines, in Markdown."""
    linear, limit = (one.at(LEVEL) or math.nan for one in lines())
    groups: dict[str, list[ResultRow]] = {}
    for row in tested(folder):
        groups.setdefault(row.contender.model.name, []).append(row)
    text = ["| | PSNR (dB) | above the best linear denoiser | pooled PSNR (dB) | below the reference near the limit |"]
    text += ["| --- | ---: | ---: | ---: | ---: |"]
    for name, rows in groups.items():
        mean = float(np.mean([row.averages["psnr"].mean for row in rows]))
        pooled = float(np.mean([-10 * math.log10(row.averages["mse"].mean) for row in rows]))
        text.append(f"| {name} | {mean:.2f} | {mean - linear:+.2f} | {pooled:.2f} | {limit - pooled:.2f} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("growing", type=Path)
    parser.add_argument("default", type=Path)
    given = parser.parse_args()
    found = points(given.growing)
    name = next(row.contender.model.name for row in tested(given.growing) if row.contender.trained)
    alone = [(images, psnr) for images, psnr, ensemble in found if ensemble == 1]
    law = fitted(*zip(*alone, strict=True))
    drawn(found, law, name).savefig(PICTURE, dpi=150)
    said = (
        f"Through {len(alone)} trainings of `{name}` on {alone[0][0]:,} to {alone[-1][0]:,} images: "
        f"{law.limit:.2f} dB - {law.scale:.2f} dB (images / {UNIT:,})^-{law.exponent:.2f}; "
        f"{100 * CONFIDENCE:g} % interval of the limit {law.limit - law.half:.2f} to {law.limit + law.half:.2f} dB."
    )
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    block = f"![PSNR against training images](img/{PICTURE.name})\n\n{said}\n\n{table(given.default)}"
    PAGE.write_text(f"{head}{BEGIN}\n{block}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(block)


if __name__ == "__main__":
    main()
