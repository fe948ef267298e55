"""Figures: they show the rows they are given, and nothing in them runs into anything else."""

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from bench.metrics import Metric
from bench.report import figures
from bench.report.figures.names import wrap_all, wrapped
from bench.report.figures.quality import MOST_COLUMNS, MOST_ROWS
from bench.report.figures.style import DARK_INK, looks, luminance, themed
from bench.report.figures.view import View
from bench.results.names import contender_names
from bench.results.records import History, ResultRow
from bench.training.state import Epoch
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, MODELS, MSE, NOISES, PLAIN, PSNR, SSIM, STAND_IN

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = [f"gaussian(sigma={level})" for level in (0.05, 0.1, 0.2, 0.3)]
MANY = [
    *LEVELS,
    *NOISES[1:],
    "impulse(p=0.1, per=pixel)",
    "poisson(peak=100.0)",
    "jpeg(quality=50)",
    "block_masking(p=0.25, block=8, fill=0.0)",
    "compose(of=[gaussian(sigma=0.1), masking(p=0.2, fill=0.0, per=element)])",
]
WIDTHS = [f"{name}(width={width})" for name in ("conv", "unet", "dncnn", "dense") for width in (16, 32)]
CASES: dict[str, Callable[[], list[ResultRow]]] = {
    "three seeds": lambda: made_up.rows(),
    "one seed": lambda: made_up.rows(seeds=(0,)),
    "one row": lambda: made_up.rows(MODELS[:1], NOISES[:1], (0,), (), autoencode=False),
    "large": lambda: made_up.rows(WIDTHS, MANY, (0,)),
    "every noise meets every model": lambda: made_up.rows(noises=LEVELS, cross=True),
    "failures": lambda: made_up.rows(failed=2),
    "all failed": lambda: made_up.rows(MODELS[:1], NOISES[:1], (0,), (), autoencode=False, failed=1),
    "long names": lambda: made_up.rows([made_up.LONG, made_up.LONG.replace("_7=1", "_7=2")], MANY[-2:], (0,)),
    "dollars": lambda: made_up.rows(["conv(name=$_{$)", "conv(name=$b)"], NOISES[:1], (0,)),
}


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Each text that is drawn, tick labels out of view are not, and the pixels it covers."""
    found: list[tuple[str, Bbox]] = []
    draw = Text.draw

    def record(text: Text, renderer: RendererBase, *rest: Any, **options: Any) -> None:
        draw(text, renderer, *rest, **options)
        if text.get_visible() and text.get_text().strip():
            found.append((text.get_text(), text.get_window_extent()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        FigureCanvasAgg(figure).draw()
    return found


def assert_legible(figure: Figure) -> list[str]:
    """No text on another, over the border, and none of the figure's own (title, legend, caption) over a panel."""
    texts = drawn_texts(figure)
    extents = np.array([box.extents for _, box in texts]) + np.array([0.5, 0.5, -0.5, -0.5])
    low, high = extents[:, None, :2], extents[:, None, 2:]
    apart = ((high <= low.swapaxes(0, 1)) | (low >= high.swapaxes(0, 1))).any(axis=2)
    for one, other in np.argwhere(~apart & ~np.eye(len(texts), dtype=bool)):
        pytest.fail(f"{texts[one][0]!r} runs into {texts[other][0]!r}")
    assert extents[:, :2].min() >= 0
    assert (extents[:, 2:] <= figure.bbox.max).all()
    own = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for text, axes in itertools.product(own, figure.axes):
        assert Bbox.intersection(text.get_window_extent(), axes.get_window_extent()) is None, text.get_text()
    return [text for text, _ in texts]


def texts(figure: Figure) -> str:
    return "\n".join(text for text, _ in drawn_texts(figure))


def notes(figure: Figure) -> str:
    """Title, notes and caption, unwrapped."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def error_bars(axes: Axes) -> list[ErrorbarContainer]:
    return [part for part in axes.containers if isinstance(part, ErrorbarContainer)]


def points(figure: Figure) -> list[tuple[float, float]]:
    """The coordinates of all points that have error bars or could have."""
    bars = [part for axes in figure.axes for part in error_bars(axes)]
    ends = [tuple(map(np.ravel, part.lines[0].get_data())) for part in bars]
    return [(float(x), float(y)) for xs, ys in ends for x, y in zip(xs, ys, strict=True)]


@contextmanager
def untouched() -> Iterator[None]:
    """Drawing leaves the caller's matplotlib as it was."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("case", CASES)
def test_every_figure_of_a_folder_is_legible(case: str) -> None:
    rows = CASES[case]()
    sheets = [made_up.sheet(list(dict.fromkeys(str(row.contender.model) for row in rows)), count=2)]
    metrics = [PSNR, MSE] if len(rows) < 100 else [MSE]
    stems: list[str] = []
    summaries, histories = made_up.summaries(rows), made_up.histories(rows, 5)
    with untouched():
        for stem, figure in figures.everything(summaries, histories, sheets, metrics, STAND_IN):
            stems.append(stem)
            assert "STAND-IN IMAGES, not CIFAR-10" in assert_legible(figure), "no banner"
    assert {"mse_by_noise", "samples_01_gaussian", "loss_curves", f"{metrics[0].column}_by_parameters"} <= set(stems)
    assert len(set(stems)) == len(stems)
    assert stems[0] == f"{metrics[0].column}_by_noise"


def quality(rows: list[ResultRow], metric: Metric = PSNR) -> Figure:
    return figures.quality(made_up.summaries(rows), metric, CAPTION)


def view(rows: list[ResultRow], metric: Metric = PSNR) -> View:
    return View(metric, tuple(made_up.summaries(rows)))


def mean_over_seeds(rows: list[ResultRow], metric: Metric = PSNR) -> dict[tuple[object, str], float]:
    """By contender and test noise, computed apart from the code under test."""
    found: dict[tuple[object, str], list[float]] = {}
    for row in rows:
        found.setdefault((row.contender, row.test.id), []).append(row.averages[metric.column].mean)
    return {key: sum(values) / len(values) for key, values in found.items()}


def test_no_figure_is_left_to_pyplot() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    quality(made_up.rows())
    assert pyplot.get_fignums() == []


def test_conditions_without_stand_in_have_no_banner() -> None:
    figure = quality(made_up.rows())
    assert "STAND-IN" not in notes(figure)
    assert "1,000 test images" in notes(figure)


def test_points_are_the_means_over_seeds() -> None:
    rows = made_up.rows()
    assert sorted(x for x, _ in points(quality(rows))) == pytest.approx(sorted(mean_over_seeds(rows).values()))


def test_error_bars_are_the_summary_s_interval_over_seeds() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], (0, 1, 2), (), autoencode=False)
    psnr = [row.averages["psnr"].mean for row in rows]
    half = 4.302652729749462 * np.std(psnr, ddof=1) / np.sqrt(3)  # Student's t, 97.5 %, 2 degrees of freedom
    (bars,) = error_bars(quality(rows).axes[0])
    (segment,) = bars.lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([np.mean(psnr) - half, np.mean(psnr) + half])
    assert "95 % confidence intervals over seeds." in notes(quality(rows))


def test_error_bars_of_one_seed_are_over_images_and_say_so() -> None:
    rows = made_up.rows(seeds=(0,))  # of 1000 images: Student's t, 97.5 %, 999 degrees of freedom
    halves = [point.value.half for point in view(rows).points]
    assert halves == pytest.approx([1.962341461133450 * 2.5 / np.sqrt(1000)] * len(halves))
    assert "these weights" in notes(quality(rows))
    assert "95 % confidence intervals over test images." in notes(quality(rows))


def test_rows_without_seeds_have_error_bars_over_images_beside_others_over_seeds() -> None:
    found = view(made_up.rows())
    assert {point.value.over for point in found.of("identity")} == {"images"}
    assert {point.value.over for point in found.of("conv")} == {"seeds"}
    figure = quality(made_up.rows())
    assert "over seeds where a model has several, otherwise over test images" in notes(figure)
    segments = [segment for part in error_bars(figure.axes[0]) for segment in part.lines[2][0].get_segments()]
    assert len(segments) == len(found.points) and np.isfinite(segments).all()


@pytest.mark.parametrize(("metric", "label"), [(PSNR, "PSNR (dB), higher"), (SSIM, "SSIM, higher"), (MSE, "MSE, low")])
def test_axes_name_metric_unit_and_direction(metric: Metric, label: str) -> None:
    summaries = made_up.summaries(made_up.rows(noises=LEVELS))
    for draw in (figures.quality, figures.by_level, figures.tradeoff):
        figure = draw(summaries, metric, CAPTION)
        assert figure is not None and label in texts(figure).replace("\n", " ")


def test_the_winner_follows_the_metric_s_direction() -> None:
    for metric in (PSNR, MSE):
        assert texts(quality(made_up.rows(), metric)).count("best: dncnn") == len(NOISES)


def test_a_perfect_row_wins_and_has_no_point() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], (0,), autoencode=False)
    perfect = [made_up.with_means(row, psnr=np.inf) if row.contender.model.name == "identity" else row for row in rows]
    figure = quality(perfect)
    assert "best: identity\nperfect" in texts(figure)
    assert len(points(figure)) == len(rows) - 1
    assert "identity on gaussian(sigma=0.1): 1000 of 1000 exact, not drawn." in notes(figure)


def test_many_results_become_a_table_of_shades() -> None:
    rows = made_up.rows(WIDTHS, MANY, (0,))
    figure = quality(rows)
    values = mean_over_seeds(rows)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(shown) == sorted(f"{value:.2f}" for value in values.values())
    bold = [text for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert len(bold) == len(MANY)
    tops = {noise: max(value for (_, test), value in values.items() if test == noise) for noise in MANY}
    assert {text.get_text() for text in bold} == {f"{value:.2f}" for value in tops.values()}


def test_far_too_many_results_are_cut_and_that_is_said() -> None:
    models = [f"conv(width={width})" for width in range(MOST_ROWS + 1)]
    noises = [f"gaussian(sigma={level / 100})" for level in range(1, MOST_COLUMNS + 2)]
    rows = made_up.rows(models, noises[:1], (0,), (), autoencode=False)
    assert f"first {MOST_ROWS} of {MOST_ROWS + 1} models" in notes(quality(rows))
    rows = made_up.rows(MODELS, noises, (0,), (), autoencode=False)
    assert f"first {MOST_COLUMNS} of {MOST_COLUMNS + 1} test noises" in notes(quality(rows))


def test_failed_cells_are_counted_in_the_figure() -> None:
    summaries = made_up.summaries(made_up.rows(failed=2))
    for draw in (figures.quality, figures.tradeoff):
        assert "2 cells failed" in notes(draw(summaries, PSNR, CAPTION))
    assert "1 cell failed" in view(made_up.rows(failed=1)).remarks()
    assert "failed" not in view(made_up.rows()).remarks()


def test_what_was_not_measured_is_left_out_and_counted() -> None:
    first, *rest = made_up.rows(seeds=(0,))
    figure = quality([made_up.with_means(first, psnr=np.nan), *rest])
    assert len(points(figure)) == len(rest)
    assert "1 value not finite" in notes(figure)


def test_levels_of_a_noise_make_a_line_each() -> None:
    summaries = made_up.summaries(made_up.rows(noises=[*LEVELS, "jpeg(quality=50)"]))
    figure = figures.by_level(summaries, PSNR, CAPTION)
    assert figure is not None
    (axes,) = figure.axes
    lines = list(axes.lines)
    assert len(lines) == len(axes.collections) == len(MODELS) + 1 + len(PLAIN), "each with a band"
    assert all(np.array_equal(line.get_xdata(), [0.05, 0.1, 0.2, 0.3]) for line in lines)
    spans = [s.intervals["psnr"] for s in summaries if str(s.test.label) in LEVELS]
    ends = np.concatenate([np.asarray(part.get_paths()[0].vertices)[:, 1] for part in axes.collections])
    assert spans and all(np.isclose(ends, end).any() for span in spans if span.over for end in (span.low, span.high))
    assert "Bands: 95 % confidence intervals" in notes(figure)
    assert (axes.get_title(), axes.get_xlabel()) == ("gaussian", "sigma")


def test_many_contenders_have_a_figure_of_levels_for_each_model() -> None:
    summaries = made_up.summaries(made_up.rows(noises=LEVELS, cross=True))
    assert figures.by_level(summaries, PSNR, CAPTION) is None
    found = dict(figures.levels_of_models(summaries, PSNR, CAPTION))
    assert list(found) == ["conv", "unet", "dncnn", "conv [autoencode]"]
    lines = [line for line in found["unet"].axes[0].lines if len(np.atleast_1d(line.get_xdata())) > 1]
    assert len(lines) == len(LEVELS) + 1, "one for each training, and doing nothing"
    stems = [stem for stem, _ in figures.everything(summaries, [], [], [PSNR], CAPTION)]
    assert "psnr_by_level_unet" in stems and "psnr_matrix_price" in stems and "psnr_by_level" not in stems


def test_levels_need_three_of_one_noise_that_is_otherwise_the_same() -> None:
    assert figures.by_level(made_up.summaries(), PSNR, CAPTION) is None
    mixed = ["masking(p=0.1, fill=0.0)", "masking(p=0.2, fill=0.0)", "masking(p=0.3, fill=1.0)"]
    assert figures.by_level(made_up.summaries(made_up.rows(noises=mixed)), PSNR, CAPTION) is None


def test_loss_curves_show_both_losses_of_every_model() -> None:
    histories = made_up.histories(made_up.rows(noises=NOISES[:2]), 6)
    figure = figures.loss_curves(histories, CAPTION)
    assert [axes.get_title() for axes in figure.axes] == ["gaussian(sigma=0.1)", "masking(p=0.25)", "clean images"]
    assert [len(axes.lines) for axes in figure.axes] == [2 * len(MODELS), 2 * len(MODELS), 2]
    first = made_up.contender(MODELS[0], "denoise", NOISES[0])
    losses = [[epoch.validation_loss for epoch in h.epochs] for h in histories if h.contender == first]
    mean = np.mean(np.array(losses, dtype=float), axis=0)
    assert any(np.allclose(line.get_ydata(), mean) and line.get_linestyle() == "-" for line in figure.axes[0].lines)


def changed_losses(histories: list[History], change: Callable[[Epoch], Epoch]) -> list[History]:
    return [replace(history, epochs=tuple(map(change, history.epochs))) for history in histories]


def test_loss_curves_skip_what_is_not_finite_and_take_negative_losses() -> None:
    first, *rest = made_up.histories(made_up.rows(seeds=(0,)))
    odd = [replace(first.epochs[0], train_loss=np.inf), replace(first.epochs[1], train_loss=np.nan)]
    histories = [replace(first, epochs=(*odd, *first.epochs[2:])), *rest]
    figure = figures.loss_curves(histories, CAPTION)
    assert "2 losses not finite" in notes(figure)
    assert figure.axes[0].get_yscale() == "log"
    below = changed_losses(histories, lambda epoch: replace(epoch, validation_loss=(epoch.validation_loss or 0) - 1))
    assert figures.loss_curves(below, CAPTION).axes[0].get_yscale() == "linear"
    nothing = changed_losses(histories, lambda epoch: replace(epoch, train_loss=np.nan, validation_loss=np.nan))
    assert "nothing to show" in texts(figures.loss_curves(nothing, CAPTION))


def test_losses_of_trainings_without_validation_images_are_not_called_lost() -> None:
    histories = made_up.histories(made_up.rows(seeds=(0,)))
    without = changed_losses(histories, lambda epoch: replace(epoch, validation_loss=None))
    assert "not finite" not in notes(figures.loss_curves(without, CAPTION))


def test_varied_settings_tell_loss_curves_apart() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], (0, 1), (), autoencode=False)
    rows = [made_up.with_settings(row, lr=lr) for row, lr in zip(rows, (0.001, 0.01), strict=True)]
    found = figures.loss_curves(made_up.histories(rows), CAPTION)
    assert {"conv, lr=0.001", "conv, lr=0.01"} <= set(texts(found).splitlines())


def test_samples_show_each_picture_and_its_stored_value() -> None:
    sheet = made_up.sheet(MODELS, count=3)
    figure = figures.samples(sheet, CAPTION)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    expected = [sheet.original, sheet.noisy, *sheet.restored]
    assert len(shown) == 3 * len(expected)
    for row, column in itertools.product(range(3), range(len(expected))):
        picture = expected[column].pictures[row].transpose(1, 2, 0)
        assert np.array_equal(np.asarray(shown[row * len(expected) + column]), picture)
    badges = [text for axes in figure.axes for text in axes.texts]
    numbers = [column.values for column in (sheet.noisy, *sheet.restored) if column.values is not None]
    assert [badge.get_text() for badge in badges] == [f"{values[row]:.1f} dB" for row in range(3) for values in numbers]
    best = [badge.get_text() for badge in badges if badge.get_fontweight() == "bold"]
    assert best == [f"{max(values[row] for values in numbers[1:]):.1f} dB" for row in range(3)]


def test_noisy_pictures_without_a_stored_value_have_no_number() -> None:
    sheet = made_up.sheet(MODELS[:1])
    without = replace(sheet, noisy=replace(sheet.noisy, values=None))
    badges = [text for axes in figures.samples(without, CAPTION).axes for text in axes.texts]
    assert len(badges) == 3


def test_the_noisy_picture_itself_is_never_the_winner() -> None:
    sheet = made_up.sheet(MODELS[:1])
    same = replace(sheet, restored=(replace(sheet.restored[0], values=sheet.noisy.values),))
    badges = [text for axes in figures.samples(same, CAPTION).axes for text in axes.texts]
    assert [badge.get_fontweight() for badge in badges] == ["normal", "bold"] * 3


@pytest.mark.parametrize("models", [1, 12])
def test_figures_of_perfect_rows_alone(models: int) -> None:
    given = made_up.rows([f"conv(width={i})" for i in range(models)], NOISES[:1], (0,), autoencode=False)
    found = made_up.summaries([made_up.with_means(row, psnr=np.inf) for row in given])
    for draw in (figures.quality, figures.tradeoff):
        assert "exact" in notes(draw(found, PSNR, CAPTION))


def test_in_a_table_of_shades_a_perfect_row_says_so_and_is_framed() -> None:
    given = made_up.rows([f"conv(width={i})" for i in range(12)], NOISES[:2], (0,), autoencode=False)
    exact = [
        made_up.with_means(row, psnr=np.inf) if row.contender.model.name == "identity" and i % 2 else row
        for i, row in enumerate(given)
    ]
    axes = quality(exact).axes[0]
    assert "1000 of 1000 exact" in notes(quality(exact)) and "not drawn" not in notes(quality(exact))
    (perfect,) = [text for text in axes.texts if text.get_text() == "perfect"]
    assert perfect.get_fontweight() == "bold"
    x, y = perfect.get_position()
    frames = [line.get_xydata() for line in axes.lines]
    assert any(np.allclose(np.asarray(frame)[:4].mean(0), (x, y)) for frame in frames)


def test_a_perfect_row_leaves_the_scale_of_the_others_linear() -> None:
    given = made_up.rows(MODELS[:1], NOISES[:1], (0,), autoencode=False)
    figure = quality([made_up.with_means(row, psnr=np.inf) if not row.contender.trained else row for row in given])
    assert figure.axes[0].get_xscale() == "linear"


def test_photographs_are_drawn_on_dark_with_their_own_colours() -> None:
    figure = figures.samples(made_up.sheet(MODELS[:1]), CAPTION)
    light = pixels(figure)
    badges = [text.get_color() for axes in figure.axes for text in axes.texts]
    figures.darken(figure)
    dark = pixels(figure)
    assert light[0, 0].min() > 250 and dark[0, 0].max() < 40, "the ground"
    assert badges == [text.get_color() for axes in figure.axes for text in axes.texts]
    assert {text.get_color() for text in figure.texts} == {DARK_INK}
    box = [int(end) for end in figure.axes[0].get_window_extent().extents]
    rows, columns = slice(len(light) - box[3] + 2, len(light) - box[1] - 2), slice(box[0] + 2, box[2] - 2)
    assert np.array_equal(light[rows, columns], dark[rows, columns])
    assert figures.photographic(figure) and not figures.photographic(quality(made_up.rows()))


def pixels(figure: Figure) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(figures.encoded(figure, "png"))).convert("RGB"))


def test_a_perfect_picture_is_called_exact() -> None:
    sheet = made_up.sheet(MODELS[:1])
    exact = replace(sheet, restored=(replace(sheet.restored[0], values=np.full(3, np.inf)),))
    assert texts(figures.samples(exact, CAPTION)).splitlines().count("exact") == 3


def test_tradeoff_has_a_point_per_sized_model_and_a_line_for_each_other() -> None:
    figure = figures.tradeoff(made_up.summaries(), PSNR, CAPTION)
    assert len(figure.axes) == len(NOISES)
    assert sorted({x for x, _ in points(figure)}) == [40_000, 80_000, 160_000]
    assert len(points(figure)) == len(NOISES) * (len(MODELS) + 1)
    flat = [line for line in figure.axes[0].lines if np.array_equal(line.get_xdata(), [0, 1])]
    assert len(flat) == len(PLAIN)
    assert figure.axes[0].get_xscale() == "log"


def test_the_front_passes_what_nothing_cheaper_equals() -> None:
    gains = {MODELS[0]: 25.0, MODELS[1]: 24.0, MODELS[2]: 27.0, "identity": 20.0, "median(size=3)": 26.0}
    found = [
        made_up.with_means(row, psnr=gains[str(row.contender.model)])
        for row in made_up.rows(noises=NOISES[:1], seeds=(0,), autoencode=False)
    ]

    def front(cost: str, changed: list[ResultRow] = found) -> list[tuple[float, float]]:
        figure = figures.tradeoff(made_up.summaries(changed), PSNR, CAPTION, cost)
        (line,) = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
        return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())[:-1]]

    assert [value for _, value in front("parameters")] == [26, 27], "the median costs none, and is better than two"
    assert front("parameters")[1] == (160_000, 27)
    slow = [replace(row, latency_ms=9.0 if row.contender.model.name == "median" else 0.5) for row in found]
    assert front("latency_ms", slow) == [(0.5, 27)]
    busy = [replace(row, latency_spread=0.3 if row.contender.model.name == "median" else 0.01) for row in slow]
    noted = notes(figures.tradeoff(made_up.summaries(busy), PSNR, CAPTION, "latency_ms"))
    assert "busy machine, quartiles over 10 % apart: median." in noted.replace("\n", " ")
    assert "busy" not in notes(figures.tradeoff(made_up.summaries(busy), PSNR, CAPTION, "macs"))
    stems = [stem for stem, _ in figures.everything(made_up.summaries(found), [], [], [PSNR], CAPTION)]
    assert [stem for stem in stems if stem.startswith("psnr_by")] == [
        "psnr_by_noise", "psnr_by_parameters", "psnr_by_macs", "psnr_by_train_seconds", "psnr_by_latency_ms",
    ]  # fmt: skip


def test_tradeoff_of_crossed_results_keeps_the_noise_of_the_training() -> None:
    rows = made_up.rows(noises=LEVELS, cross=True, autoencode=False)
    figure = figures.tradeoff(made_up.summaries(rows), PSNR, CAPTION)
    assert len(points(figure)) == len(LEVELS) * len(MODELS)


def test_the_same_figure_is_the_same_file() -> None:
    one, other = (figures.encoded(quality(made_up.rows(failed=1)), "svg") for _ in range(2))
    assert one == other
    assert b"<svg" in one


DRAWING = """
import hashlib
import re

from bench.report import figures
from tests.helpers import made_up

rows = made_up.rows()
drawn = figures.everything(
    made_up.summaries(rows), made_up.histories(rows, 3), [made_up.sheet(["conv"], 2)], [made_up.PSNR], made_up.STAND_IN
)
for _, figure in drawn:
    svg = figures.encoded(figure, "svg").decode()
    # The solver of constrained layouts differs in the last digits from process to process, and ids are made of them.
    texts = re.sub(r"\\d+\\.\\d+|[a-z][0-9a-f]{10}", "", svg)
    print(hashlib.sha256(figures.encoded(figure, "png")).hexdigest(), hashlib.sha256(texts.encode()).hexdigest())
"""
TASTE = """
font.size: 20
axes.facecolor: red
axes.spines.top: False
xtick.major.size: 12
savefig.facecolor: black
savefig.bbox: tight
savefig.transparent: True
lines.linewidth: 7
svg.image_inline: False
"""


def test_a_matplotlibrc_changes_no_figure(tmp_path: Path) -> None:
    def drawn(folder: Path) -> str:
        path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", DRAWING]
        return subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, check=True).stdout

    bare, styled = tmp_path / "bare", tmp_path / "styled"
    bare.mkdir()
    styled.mkdir()
    (styled / "matplotlibrc").write_text(TASTE)
    assert drawn(styled) == drawn(bare)


def test_a_png_has_150_dots_per_inch_and_keeps_its_contrast_in_grey() -> None:
    figure = quality(made_up.rows())
    picture = Image.open(io.BytesIO(figures.encoded(figure, "png")))
    assert picture.width == round(figure.get_size_inches()[0] * 150)
    assert picture.info["dpi"][0] == pytest.approx(150, abs=0.1)
    with themed():
        lightness = [116 * luminance(look.color) ** (1 / 3) - 16 for look in looks([str(i) for i in range(6)]).values()]
    assert all(later - earlier > 5 for earlier, later in itertools.pairwise(lightness)), "CIE L*, 0 to 100"
    assert lightness[-1] < 80, "too pale on white"


def test_twelve_models_have_twelve_markers() -> None:
    assert len({look.marker for look in looks([str(i) for i in range(12)]).values()}) == 12
    many = looks([str(i) for i in range(24)], ["identity", "median"])
    assert len({(look.marker, look.hollow) for look in many.values()}) == 26


words = st.text("ab(=, ", min_size=1).map(str.strip).filter(bool)


def test_names_break_where_their_parts_end() -> None:
    assert wrapped("gaussian_filter", 11) == "gaussian_\nfilter"
    assert wrapped("unet(noise_map=true)", 12) == "unet (noise_\nmap=true)"


@given(st.lists(words, unique=True), st.integers(8, 20), st.integers(1, 3))
def test_fitted_names_fit(given: list[str], width: int, lines: int) -> None:
    fit = wrap_all(given, width, lines)
    for text in fit.values():
        assert len(text.splitlines()) <= lines
        assert max(map(len, text.splitlines())) <= width + 4, "room for a number"


def test_names_too_long_keep_both_ends_and_stay_apart() -> None:
    assert wrapped("unet(width=16, " + "x" * 100 + "=7)", 20, 1).startswith("unet(wid")
    assert wrapped("unet(width=16, " + "x" * 100 + "=7)", 20, 1).endswith("xx=7)")
    twins = ["a" * 40 + "b" + "a" * 40, "a" * 40 + "c" + "a" * 40]
    assert len(set(wrap_all(twins, 20, 1).values())) == 2


def test_contenders_say_what_sets_them_apart() -> None:
    assert set(view(made_up.rows()).shown) == {"conv", "unet", "dncnn", "conv [autoencode]", "identity", "median"}
    crossed = view(made_up.rows(MODELS[:1], LEVELS[:2], cross=True)).shown
    assert "conv, trained on gaussian(sigma=0.05)" in crossed
    conv, plain = made_up.contender(MODELS[0], "denoise", NOISES[0]), made_up.contender("identity")
    rates = [replace(conv, settings=(("lr", lr),)) for lr in (0.1, 0.2)]
    names = contender_names([*rates, replace(plain, settings=(("lr", None),))], by_train_noise=False)
    assert list(names.values()) == ["conv, lr=0.1", "conv, lr=0.2", "identity"]


def test_importing_the_figures_loads_no_drawing_library() -> None:
    heavy = ["seaborn", "matplotlib", "pandas", "torch"]
    code = f"import sys, bench.report.figures; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_level_of_a_training_is_ringed_where_others_are_tested_too() -> None:
    def rings(cross: bool) -> list[float]:
        rows = made_up.rows(MODELS[:1], LEVELS[:3], plain=PLAIN[:1], autoencode=False, cross=cross)
        figure = figures.by_level(made_up.summaries(rows), PSNR, CAPTION)
        assert figure
        return [np.asarray(line.get_xdata()).item() for line in figure.axes[0].lines if line.get_markersize() == 10]

    assert rings(cross=True) == [0.05, 0.1, 0.2] and rings(cross=False) == []
