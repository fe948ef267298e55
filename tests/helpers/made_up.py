"""Made-up results, as they are read from a results folder."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench.core.labels import Label
from bench.metrics import Average, metrics
from bench.report.conditions import Conditions
from bench.report.figures import Column, Sheet
from bench.results.noise_tests import NoiseTest
from bench.results.records import Contender, History, PlannedCell, ResultRow, RunPlan
from bench.results.summary import Summary, summarise
from bench.training.state import Epoch

CAPTION = Conditions(
    "",
    "Data: CIFAR-10, 32x32 RGB, 9,000 training, 1,000 validation and 1,000 test images. Training: epochs 10, "
    "batch_size 128, optimizer adam, lr 0.001, weight_decay 1e-05, schedule cosine, precision bf16. 3 seeds. Scores: "
    "means over the test images, outputs clipped to [0, 1]. noise-bench 0.1.0, torch 2.14.1.",
)
STAND_IN = dataclasses.replace(CAPTION, stand_in_for="CIFAR-10")
MSE, PSNR, SSIM = METRICS = tuple(metrics.parse(name) for name in ("mse", "psnr", "ssim"))
LONG = "unet(" + ", ".join(f"a_rather_long_parameter_{i}={i / 7:.12f}" for i in range(8)) + ")"
MODELS = ["conv(width=16)", "unet(width=16)", "dncnn(width=32, depth=7)"]
PLAIN = ["identity", "median(size=3)"]
NOISES = ["gaussian(sigma=0.1)", "masking(p=0.25, fill=0.0, per=element)", "salt_and_pepper(p=0.1, salt=0.5)"]


def noise_test(text: str) -> NoiseTest:
    """A test noise by its label; its first parameter is its level where that is a number."""
    return NoiseTest.from_node({"id": text, "label": text, "match": text, "protocol": {}})


def contender(model: str, objective: str = "", noise: str = "", **settings: float) -> Contender:
    train_noise = Label.parse(noise) if noise else None
    return Contender(Label.parse(model), objective, train_noise, tuple(settings.items()))


def rows(
    models: Sequence[str] = MODELS,
    noises: Sequence[str] = NOISES,
    seeds: Sequence[int] = (0, 1, 2),
    plain: Sequence[str] = PLAIN,
    cross: bool = False,
    autoencode: bool = True,
    failed: int = 0,
) -> list[ResultRow]:
    """Rows of a run. cross: every model is tested on every noise. failed: how many of the first rows failed."""
    draw = np.random.default_rng(0)
    found: list[ResultRow] = []

    def add(who: Contender, test: str, seed: int | None, size: int, gain: float) -> None:
        psnr = 14 + 3 * (noises.index(test) % 4) + gain + 0.15 * draw.standard_normal()
        cell = PlannedCell(f"{len(found):012x}", who, seed, "", (noise_test(test),))
        found.append(scored(cell, psnr, size))

    for i, model in enumerate(models):
        for seed in seeds:
            for trained in noises:
                for test in noises if cross else [trained]:
                    who = contender(model, "denoise", trained)
                    add(who, test, seed, 40_000 * 2**i, 8 + i - 4 * (trained != test))
    for seed in seeds if autoencode and models else ():
        for test in noises:
            add(contender(models[0], "autoencode"), test, seed, 40_000, 3.0)
    for i, model in enumerate(plain):
        for test in noises:
            add(contender(model), test, None, 0, 4.0 * i)
    return [*(failure(row, number) for number, row in enumerate(found[:failed])), *found[failed:]]


def scored(cell: PlannedCell, psnr: float, size: int = 0, exact: int = 0) -> ResultRow:
    """A row with a result around a PSNR. size: its parameters."""
    mse = 10 ** (-psnr / 10)
    averages = {
        "mse": Average(mse, mse / 2, 1000),
        "psnr": Average(psnr, 2.5, 1000, exact, exact, mse),
        "ssim": Average(1 - 3 * mse**0.6, 0.05, 1000),
    }
    return ResultRow(
        cell=cell,
        test=cell.tests[0],
        state="scored",
        n_images=1000,
        averages=averages,
        parameters=size,
        macs=size * 300,
        train_seconds=100.0 if cell.contender.trained else None,
        evaluate_seconds=1.0,
        latency_ms=0.5,
    )


def failure(row: ResultRow, number: int = 0) -> ResultRow:
    """The row as if it had failed."""
    error = f"loss is not finite after epoch {number} <script>alert(1)</script>"
    return ResultRow(row.cell, row.test, "failed", error)


def with_means(row: ResultRow, **means: float) -> ResultRow:
    """The row with other means; an infinite one is of exact images alone."""
    averages = dict(row.averages)
    for column, mean in means.items():
        exact = averages[column].n if math.isinf(mean) else 0
        error = 10 ** (-mean / 10) if column == "psnr" else math.nan
        averages[column] = averages[column]._replace(mean=mean, exact=exact, capped=exact, error=error)
    return dataclasses.replace(row, averages=averages)


def with_exact(row: ResultRow) -> ResultRow:
    """The row with 700 of 1000 images exact, which puts its mean PSNR ahead and leaves its error."""
    psnr = row.averages["psnr"]._replace(mean=50.0, exact=700, capped=700)
    return dataclasses.replace(row, averages={**row.averages, "psnr": psnr})


def with_settings(row: ResultRow, **settings: float) -> ResultRow:
    """The row of a training with some settings that vary."""
    who = dataclasses.replace(row.contender, settings=tuple(settings.items()))
    return dataclasses.replace(row, cell=dataclasses.replace(row.cell, contender=who))


def trained_on(row: ResultRow, noise: str) -> ResultRow:
    """The row of a training on another noise."""
    who = dataclasses.replace(row.contender, train_noise=Label.parse(noise))
    return dataclasses.replace(row, cell=dataclasses.replace(row.cell, contender=who))


def summaries(found: Sequence[ResultRow] | None = None) -> list[Summary]:
    return summarise(rows() if found is None else found, METRICS)


def plan(found: Sequence[ResultRow], name: str = "made up", varied: Sequence[str] = ()) -> RunPlan:
    """The plan of a run that gave these rows."""
    cells = tuple({row.cell.id: row.cell for row in found}.values())
    return RunPlan(name, "cifar10", "", {}, METRICS, tuple(varied), {}, (0,), (), cells)


def histories(found: Sequence[ResultRow], epochs: int = 10) -> list[History]:
    """The histories of the rows' cells."""
    draw = np.random.default_rng(1)

    def of(floor: float) -> Iterator[Epoch]:
        for epoch in range(1, epochs + 1):
            loss = 0.02 * np.exp(-epoch / 4) + 0.003 * floor
            yield Epoch(epoch, loss * 0.9, loss, 1.0)

    trained = {row.cell.id: row.cell for row in found if row.contender.trained}
    return [History(cell.contender, cell.seed, tuple(of(draw.uniform(1, 1.4)))) for cell in trained.values()]


def sheet(models: Sequence[str], count: int = 3, size: int = 32) -> Sheet:
    """Pictures with smooth shapes in them."""
    draw = np.random.default_rng(2)
    y, x = np.mgrid[:size, :size] / size
    waves = [[np.sin(5 * x * (k + 1) + c) * np.cos(4 * y + k) for c in range(3)] for k in range(count)]
    clean = 127 + 120 * np.array(waves)

    def column(head: str, level: float) -> Column:
        images = np.clip(clean + level * draw.standard_normal(clean.shape), 0, 255).astype(np.uint8)
        return Column(head, images, -10 * np.log10((((images - clean) / 255) ** 2).mean((1, 2, 3))))

    restored = tuple(column(model, 18 / (1 + i)) for i, model in enumerate(models))
    original = Column("original", clean.astype(np.uint8))
    return Sheet(Label.parse(NOISES[0]), PSNR, original, column("noisy", 25), restored)
