"""How much is printed and in which order; where the report is; what a shell offers."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bench.cli.main import main
from bench.cli.results import _changed
from bench.core.labels import Label
from bench.results.metrics import StoredMetric
from bench.results.records import Contender
from bench.results.verdicts import Change, Difference, Key
from bench.spec.experiment import KEYS
from bench.spec.schema import schema
from tests.helpers.cli import bench, run
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with a spec that has a note, and its results."""
    home = tmp_path_factory.mktemp("home")
    path = write_spec(home)
    path.write_text(path.read_text() + "\nnote: Only to try it.\n")
    assert run(path, home / "results").exit_code == 0
    return home


def test_the_best_stands_first_and_where_results_are_last(home: Path) -> None:
    lines = bench("report", home / "results" / "tiny").output.splitlines()
    assert lines[0] == "drawing figures" and lines[1].startswith("4 rows; best PSNR: gaussian(sigma=0.1): ")
    assert lines[-1] == (home / "results" / "tiny" / "report.html").as_uri()
    assert "note: Only to try it." in lines


def test_quiet_leaves_the_best_warnings_and_the_place(home: Path) -> None:
    lines = run(home / "spec.yaml", home / "results", "--quiet").output.splitlines()
    assert len(lines) == 3 and lines[0].startswith("4 rows; best PSNR: ") and lines[1] == "note: Only to try it."
    assert lines[2].startswith("tables: ")


def test_a_note_changes_no_cell_and_stands_on_the_page(home: Path) -> None:
    noted = home / "spec.yaml"
    plain = home / "plain.yaml"
    plain.write_text(noted.read_text().replace("note: Only to try it.", ""))
    assert "nothing to run" in run(plain, home / "results").output
    assert "nothing to run" in run(noted, home / "results").output
    bench("report", home / "results" / "tiny")
    assert "<strong>Only to try it.</strong>" in (home / "results" / "tiny" / "report.html").read_text()


def test_a_comparison_says_its_verdict_first_and_folds_what_is_the_same(home: Path) -> None:
    folder = home / "results" / "tiny"
    lines = bench("compare", folder, folder).output.splitlines()
    assert lines[0].startswith("4 rows compared: 0 better, 0 worse")
    assert lines[1:] == ["4 rows without a change; --all shows them"]
    assert "conv(width=4)" in bench("compare", folder, folder, "--all").output
    assert len(bench("compare", folder, folder, "--quiet").output.splitlines()) == 1


def test_open_shows_the_report_or_its_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, shown = home / "results" / "tiny", list[str]()
    bench("report", folder)

    def without_browser(address: str) -> bool:
        shown.append(address)
        return False

    monkeypatch.setattr("webbrowser.open", without_browser)
    found = bench("open", folder)
    address = (folder / "report.html").as_uri()
    assert shown == [address] and found.output == f"no browser was found here; open {address}\n"
    missing = bench("open", home)
    assert missing.exit_code == 2 and "holds no report.html" in missing.output


@pytest.mark.parametrize(
    ("words", "typed", "offered"),
    [
        (["show", "noise"], "salt", ["salt_and_pepper"]),
        (["show", "model"], "une", ["unet"]),
        (["list"], "no", ["noises"]),
        (["plan", "smoke", "--set"], "train.wei", ["train.weight_decay="]),
        (["plan", "smoke", "--set"], "dataset.si", ["dataset.size="]),
        (["data"], "cif", ["cifar10"]),
        (["denoise", "--noise"], "gau", ["gaussian"]),
    ],
)
def test_a_shell_offers_names(words: list[str], typed: str, offered: list[str]) -> None:
    found = ShellComplete(main, {}, "bench", "_BENCH_COMPLETE").get_completions(words, typed)
    assert [item.value for item in found] == offered


def test_a_shell_offers_specs_of_the_package() -> None:
    found = ShellComplete(main, {}, "bench", "_BENCH_COMPLETE").get_completions(["run"], "smo")
    assert "smoke" in [item.value for item in found]


def test_every_key_of_the_schema_is_described() -> None:
    properties = schema()["properties"]
    assert list(properties) == KEYS and all(properties[key]["description"] for key in KEYS)


def test_verbose_says_why_images_stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "1")
    words = ("plan", "default", "--results", home / "none", "--set", "dataset.train=40", "--set", "dataset.test=10")
    short, long = bench(*words).output, bench(*words, "--verbose").output
    assert "(why: --verbose)" in short and len(long) > len(short) and "why: --verbose" not in long


def test_quiet_says_why_rows_failed(tmp_path: Path) -> None:
    path = write_spec(
        tmp_path,
        ("lr: 2.0e-3", "lr: 100, optimizer: sgd, precision: float32"),
        ("epochs: 2", "epochs: 20"),
        ("{conv: {width: 4}}", "{unet: {width: 4}}"),
        ("  - masking: {p: 0.25}\n", ""),
    )
    found = run(path, tmp_path / "results", "--quiet")
    assert found.exit_code == 1
    assert found.output.startswith("2 rows, 1 failed; best PSNR: ")
    assert "no result: unet(width=4" in found.output and "diverged" in found.output


def test_a_change_of_another_metric_is_shown() -> None:
    """The gate is PSNR; that it is the same must not hide what is not."""
    metric = StoredMetric("psnr", "PSNR", "dB", "higher", 2, 60.0)
    other = StoredMetric("ssim", "SSIM", decimals=4)
    changes = {"psnr": Change.of(metric, 20.0, 20.0), "ssim": Change.of(other, 0.9, 0.5)}
    key = Key(Contender(Label("unet")), Label("gaussian"))
    row = Difference(key, 1, 1, changes, "same", "")
    assert _changed(row, (metric, other)) and not _changed(row, (metric,))
