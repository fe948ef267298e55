"""Figures: they show the rows they are given, and nothing in them runs into anything else."""

import io
import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from bench.core.labels import Label
from bench.metrics import Metric
from bench.report import figures
from bench.report.figures.names import wrap_all, wrapped
from bench.report.figures.quality import MOST_COLUMNS, MOST_ROWS
from bench.report.figures.style import looks, luminance, themed
from bench.report.figures.tidy import cleaned, contenders, over_seeds, remarks
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
CASES = {
    "three seeds": lambda: made_up.results(),
    "one seed": lambda: made_up.results(seeds=(0,)),
    "one row": lambda: made_up.results(MODELS[:1], NOISES[:1], (0,), (), autoencode=False),
    "large": lambda: made_up.results(WIDTHS, MANY, (0,)),
    "every noise meets every model": lambda: made_up.results(noises=LEVELS, cross=True),
    "failures": lambda: made_up.results(failed=2),
    "all failed": lambda: made_up.results(MODELS[:1], NOISES[:1], (0,), (), autoencode=False, failed=1),
    "long names": lambda: made_up.results([made_up.LONG, made_up.LONG.replace("_7=1", "_7=2")], MANY[-2:], (0,)),
    "dollars": lambda: made_up.results(["conv(name=$_{$)", "conv(name=$b)"], NOISES[:1], (0,)),
}


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Each text that is drawn, tick labels out of view are not, and the pixels it covers."""
    found: list[tuple[str, Bbox]] = []
    draw = Text.draw

    def record(text: Text, renderer: object, *rest: object, **options: object) -> None:
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


def points(figure: Figure) -> list[tuple[float, float]]:
    """The coordinates of all points that have error bars or could have."""
    bars = [part for axes in figure.axes for part in axes.containers if isinstance(part, ErrorbarContainer)]
    return [(float(x), float(y)) for part in bars for x, y in zip(*part.lines[0].get_data(), strict=True)]


@contextmanager
def untouched() -> Iterator[None]:
    """Drawing leaves the caller's matplotlib as it was."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("case", CASES)
def test_every_figure_of_a_folder_is_legible(case: str) -> None:
    rows = CASES[case]()
    sheets = [made_up.sheet(list(dict.fromkeys(rows["model"])), count=2)]
    metrics = [PSNR, MSE] if len(rows) < 100 else [MSE]
    stems: list[str] = []
    with untouched():
        for stem, figure in figures.everything(rows, made_up.history(rows, 5), sheets, metrics[::-1], STAND_IN):
            stems.append(stem)
            assert "STAND-IN IMAGES, not CIFAR-10" in assert_legible(figure), "no banner"
    assert {"mse_by_noise", "samples_01_gaussian", "loss_curves", f"{metrics[0].column}_by_parameters"} <= set(stems)
    assert len(set(stems)) == len(stems)
    assert stems[0] == f"{metrics[0].column}_by_noise"


def test_no_figure_is_left_to_pyplot() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figures.quality(made_up.results(), PSNR, CAPTION)
    assert pyplot.get_fignums() == []


def test_a_caption_without_stand_in_has_no_banner() -> None:
    figure = figures.quality(made_up.results(), PSNR, CAPTION)
    assert "STAND-IN" not in notes(figure)
    assert "1,000 test images" in notes(figure)


def test_points_are_the_means_over_seeds() -> None:
    rows = made_up.results()
    means = rows.groupby(["model", "objective", "test_noise"])["psnr"].mean()
    assert sorted(x for x, _ in points(figures.quality(rows, PSNR, CAPTION))) == pytest.approx(sorted(means))


def test_error_bars_are_the_summary_s_interval_over_seeds() -> None:
    rows = made_up.results(MODELS[:1], NOISES[:1], (0, 1, 2), (), autoencode=False)
    half = 4.302652729749462 * rows["psnr"].std() / np.sqrt(3)  # Student's t, 97.5 %, 2 degrees of freedom
    assert over_seeds(cleaned(rows), "psnr")["half"].tolist() == pytest.approx([half])
    (bars,) = (part for part in figures.quality(rows, PSNR, CAPTION).axes[0].containers)
    (segment,) = bars.lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([rows["psnr"].mean() - half, rows["psnr"].mean() + half])


def test_error_bars_of_one_seed_are_over_images_and_say_so() -> None:
    rows = made_up.results(seeds=(0,))
    half = over_seeds(cleaned(rows), "psnr")["half"]
    assert half.to_numpy() == pytest.approx(1.959963984540054 * 2.5 / np.sqrt(1000))
    assert "these weights" in notes(figures.quality(rows, PSNR, CAPTION))


def test_intervals_over_seeds_and_over_images_are_never_mixed() -> None:
    table = over_seeds(cleaned(made_up.results()), "psnr").set_index("contender")
    assert table.loc["identity", "half"].isna().all()
    assert table.loc["conv", "half"].notna().all()


@pytest.mark.parametrize(("metric", "label"), [(PSNR, "PSNR (dB), higher"), (SSIM, "SSIM, higher"), (MSE, "MSE, low")])
def test_axes_name_metric_unit_and_direction(metric: Metric, label: str) -> None:
    rows = made_up.results(noises=LEVELS)
    for figure in (figures.quality, figures.by_level, figures.tradeoff):
        assert label in texts(figure(rows, metric, CAPTION)).replace("\n", " ")


def test_the_winner_follows_the_metric_s_direction() -> None:
    for metric in (PSNR, MSE):
        assert texts(figures.quality(made_up.results(), metric, CAPTION)).count("best: dncnn") == len(NOISES)


def test_many_results_become_a_table_of_shades() -> None:
    rows = made_up.results(WIDTHS, MANY, (0,))
    figure = figures.quality(rows, PSNR, CAPTION)
    values = over_seeds(cleaned(rows), "psnr")
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(shown) == sorted(f"{value:.2f}" for value in values["mean"])
    bold = [text for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert len(bold) == len(MANY)
    assert {text.get_text() for text in bold} == {f"{v:.2f}" for v in values.groupby("test_noise")["mean"].max()}


def test_far_too_many_results_are_cut_and_that_is_said() -> None:
    models = [f"conv(width={width})" for width in range(MOST_ROWS + 1)]
    noises = [f"gaussian(sigma={level / 100})" for level in range(1, MOST_COLUMNS + 2)]
    rows = made_up.results(models, noises[:1], (0,), (), autoencode=False)
    assert f"first {MOST_ROWS} of {MOST_ROWS + 1} models" in notes(figures.quality(rows, PSNR, CAPTION))
    rows = made_up.results(MODELS, noises, (0,), (), autoencode=False)
    assert f"first {MOST_COLUMNS} of {MOST_COLUMNS + 1} test noises" in notes(figures.quality(rows, PSNR, CAPTION))


def test_failed_cells_are_counted_in_the_figure() -> None:
    rows = made_up.results(failed=2)
    for figure in (figures.quality(rows, PSNR, CAPTION), figures.tradeoff(rows, PSNR, CAPTION)):
        assert "2 cells failed" in notes(figure)
    assert "1 cell failed" in remarks(cleaned(made_up.results(failed=1)), "psnr")[0]
    assert "failed" not in remarks(cleaned(made_up.results()), "psnr")[0]


def test_an_infinite_value_is_left_out_and_counted() -> None:
    rows = made_up.results(seeds=(0,))
    rows.loc[0, "psnr"] = np.inf
    figure = figures.quality(rows, PSNR, CAPTION)
    assert len(points(figure)) == len(rows) - 1
    assert "1 value not finite" in notes(figure)


def test_levels_of_a_noise_make_a_line_each() -> None:
    rows = made_up.results(noises=[*LEVELS, "jpeg(quality=50)"])
    figure = figures.by_level(rows, PSNR, CAPTION)
    assert figure is not None
    (axes,) = figure.axes
    lines = [part.lines[0] for part in axes.containers]
    assert len(lines) == len(MODELS) + 1 + len(PLAIN)
    assert all(list(line.get_xdata()) == [0.05, 0.1, 0.2, 0.3] for line in lines)
    assert (axes.get_title(), axes.get_xlabel()) == ("gaussian", "sigma")


def test_levels_need_three_of_one_noise_that_is_otherwise_the_same() -> None:
    assert figures.by_level(made_up.results(), PSNR, CAPTION) is None
    mixed = ["masking(p=0.1, fill=0.0)", "masking(p=0.2, fill=0.0)", "masking(p=0.3, fill=1.0)"]
    assert figures.by_level(made_up.results(noises=mixed), PSNR, CAPTION) is None


def test_loss_curves_show_both_losses_of_every_model() -> None:
    rows = made_up.results(noises=NOISES[:2])
    history = made_up.history(rows, 6)
    figure = figures.loss_curves(history, CAPTION)
    assert [axes.get_title() for axes in figure.axes] == ["gaussian(sigma=0.1)", "masking(p=0.25)", "clean images"]
    assert [len(axes.lines) for axes in figure.axes] == [2 * len(MODELS), 2 * len(MODELS), 2]
    mean = history[(history["model"] == MODELS[0]) & (history["train_noise"] == NOISES[0])].groupby("epoch")
    mean = mean["validation_loss"].mean()
    assert any(np.allclose(line.get_ydata(), mean) and line.get_linestyle() == "-" for line in figure.axes[0].lines)


def test_loss_curves_skip_what_is_not_finite_and_take_negative_losses() -> None:
    history = made_up.history(made_up.results(seeds=(0,)))
    history.loc[[3, 4], "train_loss"] = [np.inf, np.nan]
    figure = figures.loss_curves(history, CAPTION)
    assert "2 losses not finite" in notes(figure)
    assert figure.axes[0].get_yscale() == "log"
    history["validation_loss"] -= 1
    assert figures.loss_curves(history, CAPTION).axes[0].get_yscale() == "linear"
    history[["train_loss", "validation_loss"]] = np.nan
    assert "nothing to show" in texts(figures.loss_curves(history, CAPTION))


def test_varied_settings_tell_loss_curves_apart() -> None:
    rows = made_up.results(MODELS[:1], NOISES[:1], (0, 1), (), autoencode=False)
    rows["seed"], rows["train.lr"] = 0, [0.001, 0.01]
    found = dict(figures.everything(rows, made_up.history(rows), [], [PSNR], CAPTION))
    assert {"conv, lr=0.001", "conv, lr=0.01"} <= set(texts(found["loss_curves"]).splitlines())


def test_samples_show_each_picture_and_its_psnr() -> None:
    sheet = made_up.sheet(MODELS, count=3)
    figure = figures.samples(sheet, CAPTION)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    expected = [sheet.original, sheet.noisy, *sheet.reconstructions.values()]
    assert len(shown) == 3 * len(expected)
    for row, column in itertools.product(range(3), range(len(expected))):
        picture = expected[column][row].transpose(1, 2, 0)
        assert np.array_equal(shown[row * len(expected) + column], picture)
    badges = [text for axes in figure.axes for text in axes.texts]
    numbers = [sheet.noisy_psnr, *sheet.psnr.values()]
    assert [badge.get_text() for badge in badges] == [f"{values[row]:.1f} dB" for row in range(3) for values in numbers]
    best = [badge.get_text() for badge in badges if badge.get_fontweight() == "bold"]
    assert best == [f"{max(values[row] for values in sheet.psnr.values()):.1f} dB" for row in range(3)]


def test_the_noisy_picture_itself_is_never_the_winner() -> None:
    sheet = made_up.sheet(MODELS[:1])
    sheet.psnr[MODELS[0]] = sheet.noisy_psnr
    badges = [text for axes in figures.samples(sheet, CAPTION).axes for text in axes.texts]
    assert [badge.get_fontweight() for badge in badges] == ["normal", "bold"] * 3


def test_a_perfect_picture_is_called_exact() -> None:
    sheet = made_up.sheet(MODELS[:1])
    sheet.psnr[MODELS[0]][:] = np.inf
    assert texts(figures.samples(sheet, CAPTION)).splitlines().count("exact") == 3


def test_tradeoff_has_a_point_per_sized_model_and_a_line_for_each_other() -> None:
    figure = figures.tradeoff(made_up.results(), PSNR, CAPTION)
    assert len(figure.axes) == len(NOISES)
    assert sorted({x for x, _ in points(figure)}) == [40_000, 80_000, 160_000]
    assert len(points(figure)) == len(NOISES) * (len(MODELS) + 1)
    flat = [line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    assert len(flat) == len(PLAIN)
    assert figure.axes[0].get_xscale() == "log"


def test_tradeoff_of_crossed_results_keeps_the_noise_of_the_training() -> None:
    figure = figures.tradeoff(made_up.results(noises=LEVELS, cross=True, autoencode=False), PSNR, CAPTION)
    assert len(points(figure)) == len(LEVELS) * len(MODELS)


def test_figures_of_a_table_read_from_csv_are_the_same() -> None:
    rows = made_up.results(failed=1)
    again = pd.read_csv(io.StringIO(rows.to_csv(index=False)))
    one, other = (figures.encoded(figures.quality(table, PSNR, CAPTION), "svg") for table in (rows, again))
    assert one == other
    assert b"<svg" in one


def test_a_png_has_150_dots_per_inch_and_keeps_its_contrast_in_grey() -> None:
    figure = figures.quality(made_up.results(), PSNR, CAPTION)
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


names = st.sampled_from(["conv", "unet", "salt_and_pepper"])
values = st.sampled_from(["1", "0.1", "element", "[a(b=1, c=2), d]", "0.0..0.2"])
labels = st.builds(
    lambda name, params, rest: str(Label(name, params, rest)),
    names,
    st.dictionaries(st.sampled_from("pqr"), values),
    st.sampled_from(["", ", autoencode", " trained on gaussian(sigma=0.1)"]),
)


@given(st.lists(labels, unique=True), st.integers(0, 2))
def test_short_names_are_unique_and_stay_short(given: list[str], keep: int) -> None:
    brief = figures.short(given, keep)
    assert list(brief) == given
    assert len(set(brief.values())) == len(given)
    assert all(len(name) <= len(label) for label, name in brief.items())
    assert all(str(Label.parse(label)) == label for label in given)


def test_short_drops_what_does_not_vary() -> None:
    assert figures.short(["conv(width=16, depth=2)", "conv(width=32, depth=2)", "unet(width=16)"]) == {
        "conv(width=16, depth=2)": "conv(width=16)",
        "conv(width=32, depth=2)": "conv(width=32)",
        "unet(width=16)": "unet",
    }
    assert figures.short(["masking(p=0.1, fill=0.0)"], keep=1) == {"masking(p=0.1, fill=0.0)": "masking(p=0.1)"}
    assert figures.short(["a(x=1", "a(x", "b((", ""]) == {"a(x=1": "a(x=1", "a(x": "a(x", "b((": "b((", "": ""}
    assert figures.short(["a(x=1) on b(y=2)"]) == {"a(x=1) on b(y=2)": "a on b(y=2)"}


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
    plain = set(contenders(cleaned(made_up.results())))
    assert plain == {"conv", "unet", "dncnn", "conv, autoencode", "identity", "median"}
    crossed = set(contenders(cleaned(made_up.results(MODELS[:1], LEVELS[:2], cross=True))))
    assert "conv, trained on gaussian(sigma=0.05)" in crossed
    rows = made_up.results(MODELS[:1], NOISES[:1])
    rows["train.lr"] = [0.1, 0.2, 0.1, 0.1, 0.1, 0.1, "", None]
    assert set(contenders(cleaned(rows))) >= {"conv, lr=0.1", "conv, lr=0.2", "identity", "median"}


def test_importing_the_figures_loads_no_drawing_library() -> None:
    heavy = ["seaborn", "matplotlib", "pandas", "torch"]
    code = f"import sys, bench.report.figures; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
