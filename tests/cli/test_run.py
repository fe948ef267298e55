"""Whole runs through the command line: finished ones, failing ones, damaged ones."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.models import models
from bench.results.store import CellStore, Store
from bench.results.tables import VOLATILE
from bench.running import steps
from tests.helpers.cli import bench, environment, run, run_apart
from tests.helpers.results import rows_of, weights_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
PLUGIN = Path(__file__).parents[1] / "helpers/failing.py"
HEAVY = ("torch", "seaborn", "matplotlib", "scipy", "skimage", "distributed", "dask", "jinja2")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with a spec and its finished run in `results/tiny`."""
    folder = tmp_path_factory.mktemp("run")
    found = bench("run", write_spec(folder), "--results", folder / "results")
    assert found.exit_code == 0, found.output
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """The finished run's results root, to change at will."""
    shutil.copytree(home / "results", tmp_path / "results")
    return tmp_path / "results"


def snapshot(folder: Path, pattern: str = "*") -> dict[str, tuple[int, bytes]]:
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_run_leaves_what_the_readme_says(home: Path) -> None:
    top = {path.name for path in (home / "results" / "tiny").iterdir()}
    files = {"experiment.yaml", "environment.json", "plan.json", "images.json", "report.html"}
    assert top == {*files, "cells", "tables", "figures"}
    tables = {path.name for path in (home / "results" / "tiny" / "tables").iterdir()}
    assert tables == {
        "results.csv", "summary.csv", "summary.md", "summary.tex", "summary_long.tex", "standings.json",
    }  # fmt: skip
    assert not [path for path in home.rglob(".*") if path.is_file()], "a temporary file is left"


def test_the_resolved_spec_says_the_same(home: Path, tmp_path: Path) -> None:
    spec = home / "results" / "tiny" / "experiment.yaml"
    found = bench("run", spec, "--results", home / "results")
    assert "nothing to run" in found.output, found.output


def outdate_samples(marker: Path) -> None:
    """Make a test's marker one of an older version, that had no version of the samples."""
    record = json.loads(marker.read_text())
    del record["samples"]
    marker.write_text(json.dumps(record))


def figures_of(results: Path) -> set[str]:
    return {path.name for path in results.rglob("figures/*")}


@pytest.mark.parametrize("then", ["run", "report"])
def test_a_run_without_figures_leaves_them_to_the_next_command(then: str, home: Path, tmp_path: Path) -> None:
    found = run(home / "spec.yaml", tmp_path)
    folder = tmp_path / "tiny"
    assert found.output.endswith(f"tables: {folder}/tables; `bench report {folder}` draws the figures\n")
    assert not (folder / "figures").exists() and not (folder / "report.html").exists()
    assert rows_of(tmp_path) == rows_of(home / "results")
    words = ("report", folder) if then == "report" else ("run", home / "spec.yaml", "--results", tmp_path)
    found = bench(*words)
    assert found.exit_code == 0 and f"figures and report: {folder}/report.html\n" in found.output
    assert (folder / "report.html").exists() and figures_of(folder) == figures_of(home)


def test_figures_that_a_run_left_out_of_date_are_drawn_anew(copy: Path, home: Path) -> None:
    """Also where no number changed, because only samples were made again."""
    drawn, score = copy / "tiny" / "report.html", next(copy.rglob("scores/*.json"))
    outdate_samples(score)
    drawn.write_text("out of date")
    assert run(home / "spec.yaml", copy).exit_code == 0
    assert drawn.read_text() == "out of date"
    assert bench("run", home / "spec.yaml", "--results", copy).exit_code == 0
    assert drawn.read_text() != "out of date"
    assert figures_of(copy) == figures_of(home)


DENOISERS = "[{conv: {width: 4}}, {unet: {width: 4, depth: 1}}, {dense: {hidden: [16], code: 8}}, identity, median]"


def largest_difference(results: Path) -> float:
    """The largest difference between the stored error of an image and that of its sample, in 8-bit levels."""
    found = []
    for path in results.rglob("scores/*.json"):
        cell = CellStore(path.parents[1])
        samples, values = cell.samples(path.stem), cell.values(path.stem)
        error = samples["output"].astype(float) - samples["original"]
        stored = 255 * np.sqrt(values["mse"].to_numpy()[: len(error)])
        found.append(np.abs(np.sqrt((error**2).mean((1, 2, 3))) - stored).max())
    return float(max(found))


@pytest.mark.parametrize("workers", [1, 2])
def test_samples_are_the_images_that_were_scored(workers: int, tmp_path: Path) -> None:
    """By the triangle inequality rounding to 8 bits changes the root of an error by half a level at most."""
    spec = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", DENOISERS))
    found = run(spec, tmp_path / "results", "--workers", workers)
    assert found.exit_code == 0, found.output
    assert len(list(tmp_path.rglob("*.samples.safetensors"))) == 3 * 2 + 2 * 2
    assert largest_difference(tmp_path / "results") <= 0.5


def test_scrambled_samples_of_older_versions_are_made_anew(
    copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained, every number stays, and the pictures are drawn anew."""
    before = snapshot(copy)
    for path in copy.rglob("scores/*.json"):
        cell = CellStore(path.parents[1])
        samples = cell.samples(path.stem)
        scrambled = samples["output"].transpose(0, 2, 3, 1).reshape(samples["output"].shape)
        cell.renew_samples(path.stem, {**samples, "output": scrambled})
        outdate_samples(path)
    assert largest_difference(copy) > 5
    monkeypatch.setattr(steps, "train_step", lambda *arguments: pytest.fail("trained"))
    found = bench("run", home / "spec.yaml", "--results", copy, "--workers", 1)
    assert found.exit_code == 0, found.output
    assert largest_difference(copy) <= 0.5
    after = snapshot(copy)
    assert after.keys() == before.keys()
    for name, (_, content) in before.items():
        if "/scores/" in name and name.endswith(".json"):
            assert json.loads(after[name][1]) == json.loads(content)
        elif not name.endswith(".svg"):  # drawn anew, with other identifiers inside
            assert after[name][1] == content, name
    found = bench("run", home / "spec.yaml", "--results", copy)
    assert "nothing to run" in found.output and snapshot(copy) == after


def test_a_finished_run_writes_nothing(copy: Path, home: Path) -> None:
    before = snapshot(copy)
    found = bench("run", home / "spec.yaml", "--results", copy)
    assert found.exit_code == 0
    assert "nothing to run: all 3 cells of tiny are finished" in found.output
    assert snapshot(copy) == before


def test_a_finished_run_is_quick_and_imports_nothing_heavy(home: Path, cache: Path) -> None:
    code = (
        "import sys; from bench.cli.main import main\n"
        f"try: main(['run', r'{home / 'spec.yaml'}', '--results', r'{home / 'results'}'])\n"
        f"except SystemExit as end: print(end.code, [name for name in {HEAVY} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(cache))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.stdout.splitlines()[-1] == "0 []", found.stdout + found.stderr
    assert found.stderr == ""
    assert "nothing to run" in found.stdout
    # Of the processor, since the tests beside this one would count in the time that passes.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_a_new_test_noise_trains_nothing_and_changes_no_score(copy: Path, home: Path) -> None:
    cells = copy / "tiny" / "cells"
    before = snapshot(cells)
    table = pd.read_csv(copy / "tiny" / "tables" / "results.csv")
    more = "test_noises=[gaussian: {sigma: 0.1}, masking: {p: 0.25}, poisson: {peak: 30}]"
    found = run(home / "spec.yaml", copy, "--set", more)
    assert found.exit_code == 0, found.output
    after = snapshot(cells)
    changed = {name for name in before if after[name] != before[name]}
    assert all(name.endswith("card.md") for name in changed), changed
    assert sum(name.endswith(".parquet") for name in after) == 9
    again = pd.read_csv(copy / "tiny" / "tables" / "results.csv")
    kept = again.merge(table, on=["cell", "test_noise"], suffixes=("", "_before"))
    assert len(kept) == 4
    for column in ("mse", "psnr", "ssim", "psnr_sd", *VOLATILE):
        assert kept[column].equals(kept[f"{column}_before"])


def test_a_new_metric_trains_nothing_and_changes_no_mean(copy: Path, home: Path) -> None:
    weights = snapshot(copy, "weights.safetensors"), snapshot(copy, "cell.json")
    before = pd.read_csv(copy / "tiny" / "tables" / "results.csv")
    found = run(home / "spec.yaml", copy, "--set", "metrics=[psnr, mse, ssim, pairwise_distance]")
    assert found.exit_code == 0, found.output
    assert (snapshot(copy, "weights.safetensors"), snapshot(copy, "cell.json")) == weights
    after = pd.read_csv(copy / "tiny" / "tables" / "results.csv")
    for column in ("mse", "psnr", "ssim", "psnr_sd"):
        assert after[column].tolist() == before[column].tolist()
    assert after["pairwise_distance"].between(0.1, 10).all()
    values = pd.read_parquet(next(copy.rglob("*.parquet")))
    assert list(values) == ["image", "mse", "psnr", "ssim", "pairwise_distance"]


def test_a_folder_of_an_older_plan_stays_usable(copy: Path, home: Path) -> None:
    weights = snapshot(copy, "weights.safetensors")
    other = ["--set", "models=[{conv: {width: 4}}, median]", "--set", "noises=[masking: {p: 0.25}]"]
    found = run(home / "spec.yaml", copy, *other)
    assert found.exit_code == 0, found.output
    assert [row["model"] for row in rows_of(copy)] == ["conv(width=4)", "median(size=3)"]
    found = run(home / "spec.yaml", copy)
    assert "nothing to run" in found.output
    assert rows_of(copy) == rows_of(home / "results")
    assert snapshot(copy, "weights.safetensors") == weights


def test_a_report_is_rebuilt_from_what_is_stored(copy: Path, home: Path) -> None:
    before = {name: content for name, (_, content) in snapshot(copy / "tiny").items()}
    tables = [name for name in before if not name.startswith(("figures", "report"))]
    for name in ("tables", "figures", "report.html"):
        path = copy / "tiny" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = bench("report", copy / "tiny")
    assert found.exit_code == 0, found.output
    after = {name: content for name, (_, content) in snapshot(copy / "tiny").items()}
    assert after.keys() == before.keys()
    assert {name: after[name] for name in tables} == {name: before[name] for name in tables}


@pytest.mark.parametrize("name", ["cell.json", "weights.safetensors", "*.json", "*.parquet", "*.samples.safetensors"])
def test_what_is_cut_or_gone_is_done_again(name: str, copy: Path, home: Path) -> None:
    pattern = f"scores/{name}" if "*" in name else name
    for place, path in enumerate(sorted(copy.rglob(pattern))):
        path.write_bytes(path.read_bytes()[:30]) if place % 2 else path.unlink()
    found = run(home / "spec.yaml", copy)
    assert found.exit_code == 0, found.output
    assert rows_of(copy) == rows_of(home / "results")
    assert weights_of(copy) == weights_of(home / "results")


def test_changed_bytes_are_reported_in_one_line(copy: Path, home: Path) -> None:
    for pattern in ("*.samples.safetensors", "history.csv"):
        path = next(copy.rglob(pattern))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        found = bench("report", copy / "tiny")
        assert found.exit_code == 0, "the rest is shown"
        assert found.stdout.count(path.name) == 1 and path.name in (copy / "tiny" / "report.html").read_text()
        path.unlink()
        assert bench("run", home / "spec.yaml", "--results", copy).exit_code == 0


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_plan_is_written_anew(text: str, copy: Path, home: Path) -> None:
    (copy / "tiny" / "plan.json").write_text(text)
    found = bench("report", copy / "tiny")
    assert found.exit_code == 2 and "plan.json is damaged" in found.stderr
    found = bench("run", home / "spec.yaml", "--results", copy)
    assert found.exit_code == 0 and "nothing to run" in found.output


def test_results_that_cannot_be_written_are_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = bench("run", home / "spec.yaml", "--results", tmp_path / "file")
    assert found.exit_code == 3
    assert re.fullmatch(r"Error: .*file/tiny can't be written: .*--results\n", found.stderr), found.stderr


def test_a_disk_that_fills_up_fails_cells_in_a_line_each(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = [6]

    def full(handle: int) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    found = run(home / "spec.yaml", tmp_path)
    assert found.exit_code == 1
    failed = [line for line in found.output.splitlines() if "FAILED" in line]
    assert failed and all(line.endswith("can't be written: No space left on device") for line in failed)
    room[0] = 10**6
    assert run(home / "spec.yaml", tmp_path).exit_code == 0
    assert rows_of(tmp_path) == rows_of(home / "results")


def test_an_error_of_ours_ends_with_its_traceback_and_a_code_of_its_own(
    copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, words in {
        "score": ["run", home / "spec.yaml", "--results", copy, "--set", "metrics=[ssim_uniform]"],
        "plan": ["compare", copy / "tiny", copy / "tiny"],
    }.items():
        with monkeypatch.context() as patched:
            patched.setattr(CellStore if name == "score" else Store, name, lambda *rest: 1 / 0)
            found = bench(*words)
        assert found.exit_code == 70, found.output
        assert "ZeroDivisionError" in found.stderr and "report it" in found.stderr


def test_a_search_beside_a_rate_has_tables_a_report_and_comparisons(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("lr: 2.0e-3", "lr: [{search: [3e-3, 1e-3]}, 1e-2]"), ("  - masking: {p: 0.25}\n", ""))
    found = run(spec, tmp_path / "results")
    assert found.exit_code == 0, found.output
    assert [row["train.lr"] for row in rows_of(tmp_path / "results")] == ["search [0.001, 0.003]", "0.01", ""]
    assert bench("report", tmp_path / "results/tiny").exit_code == 0
    found = bench("compare", tmp_path / "results/tiny", tmp_path / "results/tiny", "--all")
    assert found.exit_code == 0 and "search [0.001, 0.003]" in found.output
    cards = [path.read_text() for path in (tmp_path / "results/tiny").rglob("card.md")]
    (card,) = [text for text in cards if "Learning rate" in text]
    assert re.search(r"Learning rate: 0\.00[13], the best on validation images of 0\.001, 0\.003\n", card)


def test_a_rates_search_of_an_older_plan_is_one_setting(tmp_path: Path) -> None:
    """Older plans have the searched rates as a key of their own."""
    spec = write_spec(tmp_path, ("lr: 2.0e-3", "lr: [{search: [1e-3, 3e-3]}, 1e-2]"))
    assert run(spec, tmp_path / "results").exit_code == 0
    path, before = tmp_path / "results/tiny/plan.json", rows_of(tmp_path / "results")
    plan = json.loads(path.read_text())
    plan["varied"] = ["train.lr", "train.lr_search"]
    for cell in plan["cells"]:
        rate = cell["varied"]["train.lr"]
        search = [1e-3, 3e-3] if isinstance(rate, str) else [] if rate else None
        cell["varied"] = {"train.lr": 1e-3 if isinstance(rate, str) else rate, "train.lr_search": search}
    path.write_text(json.dumps(plan))
    assert bench("report", path.parent).exit_code == 0
    assert rows_of(tmp_path / "results") == before


def test_epochs_mean_nothing_beside_images(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("epochs: 2", "epochs: [1, 2], images: [null, 96]"), ("  - masking: {p: 0.25}\n", ""))
    assert run(spec, tmp_path / "results").exit_code == 0
    found = [(row["train.epochs"], row["train.images"]) for row in rows_of(tmp_path / "results")]
    assert found == [("1", ""), ("", "96"), ("2", ""), ("", "")]


def test_a_raised_revision_is_named_wherever_its_results_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(tmp_path, ("{conv: {width: 4}}", "fine"), ("  - masking: {p: 0.25}\n", ""))
    options = ("--results", tmp_path / "results", "--plugin", PLUGIN)
    assert bench("run", spec, *options, "--no-figures").exit_code == 0
    monkeypatch.setattr(models["fine"], "revision", 2)
    (weights,) = (tmp_path / "results").rglob("weights.safetensors")
    picture = next((tmp_path / "images/test").iterdir())
    found = bench("denoise", picture, "--with", weights.parent, "-o", tmp_path / "out.png", "--plugin", PLUGIN)
    assert found.exit_code == 2
    assert "revision 1 of model fine" in found.stderr and "has revision 2" in found.stderr
    found = bench("report", tmp_path / "results/tiny", "--plugin", PLUGIN)
    assert found.exit_code == 0
    assert "EARLIER REVISION" in found.output and "model fine of revision 1, now 2" in " ".join(found.output.split())
    for command in ("plan", "run"):
        found = bench(command, spec, *options)
        assert found.exit_code == 0 and "fine has revision 2" in " ".join(found.output.split())
    found = bench("report", tmp_path / "results/tiny", "--plugin", PLUGIN)
    assert "EARLIER" not in found.output


@pytest.mark.usefixtures("no_recipes")
def test_plan_tells_what_adams_decay_does_and_which_cells_the_older_default_made(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    results = ("--results", tmp_path / "results")
    said = " ".join(bench("plan", spec, *results).output.split())
    assert "weight_decay" not in said
    decay = ("--set", "train.weight_decay=1e-5")
    said = " ".join(bench("plan", spec, *results, *decay).output.split())
    assert "torch's Adam, which adds the decay to the gradient" in said
    assert "adds the decay" not in bench("plan", spec, *results, *decay, "--set", "train.optimizer=adamw").output
    assert run(spec, tmp_path / "results", *decay).exit_code == 0
    said = " ".join(bench("plan", spec, *results).output.split())
    assert "2 cells stored with weight_decay 1e-05" in said and "new IDs" in said


def test_rows_without_a_result_are_told_apart(tmp_path: Path) -> None:
    raising = "[{raises: {objective: [denoise, noise2noise]}}]"
    spec = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", raising), ("masking: {p: 0.25}", "speckle"))
    found = run(spec, tmp_path / "results", "--plugin", PLUGIN, "--set", "train.batch_size=[8, 16]")
    assert found.exit_code == 1
    lines = [line for line in found.output.splitlines() if line.startswith("no result: ")]
    assert len(lines) == len(set(lines)) == 8
    assert "no result: raises [noise2noise], batch_size=16, on gaussian(sigma=0.1), seed 0: " in found.output


def test_a_level_of_0_is_perfect_and_the_run_goes_on(tmp_path: Path) -> None:
    found = run(write_spec(tmp_path, ("sigma: 0.1", "sigma: 0")), tmp_path / "results")
    assert found.exit_code == 0, found.output
    assert "psnr perfect" in found.output


def test_a_diverging_cell_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    spec = write_spec(
        tmp_path,
        ("lr: 2.0e-3", "lr: [2.0e-3, 100], optimizer: sgd, precision: float32"),
        ("epochs: 2", "epochs: 20"),
        ("{conv: {width: 4}}", "{unet: {width: 4}}"),
        ("  - masking: {p: 0.25}\n", ""),
    )
    found = run(spec, tmp_path / "results")
    assert found.exit_code == 1, found.output
    errors = [row["error"] for row in rows_of(tmp_path / "results")]
    assert errors[0] == errors[2] == ""
    assert re.fullmatch(r"diverged: .* in epoch \d+ \(learning rate 100\)", errors[1])
    assert errors[1] in found.output


def test_a_plan_tells_what_is_left(copy: Path, home: Path) -> None:
    found = bench("plan", home / "spec.yaml", "--results", copy)
    assert "3 cells: 3 finished, 0 to run (0 epochs, 0 tests)" in found.output
    next(copy.rglob("weights.safetensors")).unlink()
    before = snapshot(copy)
    found = bench("plan", home / "spec.yaml", "--results", copy)
    assert "3 cells: 2 finished, 1 to run (2 epochs, 1 test)" in found.output
    assert snapshot(copy) == before, "a plan changes nothing"


def test_a_crippled_run_is_worse_and_another_protocol_is_refused(copy: Path, home: Path, tmp_path: Path) -> None:
    ours = copy / "tiny"
    assert bench("compare", ours, ours).exit_code == 0
    slow = ["--set", "train.lr=1e-7", "--set", "train.epochs=1"]
    assert run(home / "spec.yaml", tmp_path / "slow", *slow).exit_code == 0
    found = bench("compare", ours, tmp_path / "slow" / "tiny", "--max-drop", "0")
    assert found.exit_code == 3 and "one seed: these weights only" in found.output
    clip = ["--set", "noises.0.gaussian.clip=false"]
    assert run(home / "spec.yaml", tmp_path / "clip", *clip).exit_code == 0
    found = bench("compare", ours, tmp_path / "clip" / "tiny")
    assert found.exit_code == 2
    assert "clip: true in A, false in B" in found.stderr


@pytest.mark.long
def test_a_training_crippled_by_five_decibels_is_worse_with_three_seeds(tmp_path: Path) -> None:
    spec, seeds = write_spec(tmp_path), ["--set", "seeds=[0, 1, 2]", "--set", "train.batch_size=4"]
    assert run(spec, tmp_path / "whole", *seeds, "--set", "train.epochs=100").exit_code == 0
    assert run(spec, tmp_path / "crippled", *seeds, "--set", "train.epochs=1", "--set", "train.lr=1e-7").exit_code == 0
    found = bench("compare", tmp_path / "whole" / "tiny", tmp_path / "crippled" / "tiny", "--csv", tmp_path / "out.csv")
    assert found.exit_code == 1 and "2 worse" in found.output, found.output
    table = pd.read_csv(tmp_path / "out.csv")
    assert (table["psnr_change"][table["verdict"] == "worse"] < -5).sum() == 2


def test_two_workers_make_what_one_makes_and_failures_stay_alone(tmp_path: Path, cache: Path) -> None:
    """A model that raises, can't be built, has no memory, ends its process or makes no numbers leaves the others."""
    models = "[{conv: {width: 4}}, raises, unbuilt, greedy, infinite, fine, median, identity]"
    with_all = models.replace("raises", "dying, raises")

    def run(workers: int, models: str) -> "subprocess.CompletedProcess[str]":
        change = ("[{conv: {width: 4}}, identity]", models)
        spec = write_spec(tmp_path, change, ("  - masking: {p: 0.25}\n", ""))
        return run_apart(spec, tmp_path / str(workers), "--workers", workers, "--plugin", PLUGIN, cache=cache)

    two, one = run(2, with_all), run(1, models)
    assert (one.returncode, two.returncode) == (1, 1), one.stderr + two.stderr
    said = [line for found in (one, two) for line in found.stderr.splitlines()]
    assert all(line.startswith("Warning: ") and " collapsed: " in line for line in said), said
    assert {row["model"]: row["error"] for row in rows_of(tmp_path / "2")} == {
        "conv(width=4)": "",
        "dying": "its process died twice: it ran out of memory or was ended from within",
        "raises": "Unheard: no such luck",
        "unbuilt": "RuntimeError: no plan",
        "greedy": "out of memory: try a smaller train.batch_size, fewer --workers or a smaller model",
        "infinite": "the output has values that are not finite, in 10 of 10 images",
        "fine": "",
        "median(size=3)": "",
        "identity": "",
    }
    assert [row for row in rows_of(tmp_path / "2") if row["model"] != "dying"] == rows_of(tmp_path / "1")
    assert weights_of(tmp_path / "2") == weights_of(tmp_path / "1") != {}


def test_environment_and_fingerprint_are_kept(home: Path) -> None:
    told = json.loads((home / "results" / "tiny" / "environment.json").read_text())
    assert {"python", "libraries", "cpu", "cores", "platform"} <= told.keys()
    score = json.loads(next((home / "results").rglob("scores/*.json")).read_text())
    assert {"noise", "clip", "quantize", "data", "chunk", "range", "test_seed"} <= score["protocol"].keys()
    values = pd.read_parquet(next((home / "results").rglob("*.parquet")))
    assert np.array_equal(values["image"], np.arange(10))


@pytest.mark.parametrize("place", ["results", "cache"])
def test_a_folder_that_cannot_be_written_is_an_error_before_anything_is_announced(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(tmp_path)
    (tmp_path / "file").touch()
    results = tmp_path / ("file" if place == "results" else "results")
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(tmp_path / ("file" if place == "cache" else "cache")))
    found = run(spec, results)
    assert found.exit_code == 3
    assert "to run" not in found.output and "can't be written" in found.output
    assert ("--results" if place == "results" else "NOISE_BENCH_CACHE") in found.output
