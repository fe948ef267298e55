"""Results made with plug-ins: the folder records them, and is shown without their code."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results.store import Store
from tests.helpers.cli import PATIENCE, environment, run_apart
from tests.helpers.plugins import MODEL
from tests.helpers.specs import write_spec

METRIC = '''
from dataclasses import dataclass

from bench.metrics import Metric, metrics


@metrics.register("mae")
@dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """Mean absolute error.

    Source: a test.
    """

    title = "Mean absolute error"
    unit = "levels"
    better = "lower"
    decimals = 5

    def values(self, images, targets):
        return (images.double() - targets.double()).abs().flatten(1).mean(1)
'''
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with a run of a metric and a model of one's own in `results/tiny`, and nothing of their code in it."""
    folder, plugins = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("plugins")
    (plugins / "my metric.py").write_text(METRIC)
    (plugins / "my_model.py").write_text(MODEL)
    changes = ("{conv: {width: 4}}", "shallow"), ("cpu}", "cpu}\nmetrics: [psnr, mae]")
    options = [word for name in ("my metric.py", "my_model.py") for word in ("--plugin", plugins / name)]
    done = run_apart(write_spec(folder, *changes), folder / "results", *options, cache=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def bench(home: Path, cache: Path) -> Command:
    """A command in a process that knows of no plug-in."""

    def command(*words: object) -> "subprocess.CompletedProcess[str]":
        call = [sys.executable, "-m", "bench", *map(str, words)]
        return subprocess.run(call, cwd=home, capture_output=True, text=True, timeout=PATIENCE, env=environment(cache))

    return command


def test_a_folder_records_the_plugins_that_were_loaded(home: Path) -> None:
    recorded = {plugin.name: plugin for plugin in Store(home / "results/tiny").plugins()}
    assert list(recorded)[-2:] == ["my metric.py", "my_model.py"]
    assert recorded["my_model.py"].sha256 == hashlib.sha256(MODEL.encode()).hexdigest()


def test_results_are_reported_and_compared_without_the_code_of_their_plugins(home: Path, bench: Command) -> None:
    report = bench("report", "results/tiny")
    assert report.returncode == 0, report.stderr
    assert "Mean absolute error (levels) ↓" in report.stdout and "shallow" in report.stdout
    page = (home / "results/tiny/report.html").read_text()
    assert "bench run experiment.yaml --plugin &#39;my metric.py&#39; --plugin my_model.py" in page
    digest = hashlib.sha256(METRIC.encode()).hexdigest()[:12]
    assert f"my metric.py (SHA-256 {digest}...)" in page
    compared = bench("compare", "results/tiny", "results/tiny", "--all")
    assert compared.returncode == 0 and compared.stdout.count("mae") == 4, compared.stderr


def test_a_model_of_a_plugin_needs_its_code_and_the_message_names_it(home: Path, bench: Command) -> None:
    cell = next(home.rglob("weights.safetensors")).parent
    found = bench("denoise", home / "images/test/00.png", "--with", cell, "-o", "out.png")
    assert found.returncode == 2
    assert "unknown model 'shallow'" in found.stderr
    assert "was run with the plug-in my metric.py (SHA-256" in found.stderr and "and my_model.py" in found.stderr


def test_a_folder_of_before_needs_the_code_and_says_so(home: Path, bench: Command) -> None:
    """Older versions wrote a metric as a spec names it."""
    path = home / "results/tiny/plan.json"
    plan = json.loads(path.read_text())
    old = {**plan, "metrics": [{"psnr": {}}, {"mae": {}}]}
    (home / "old").mkdir()
    (home / "old/plan.json").write_text(json.dumps(old))
    found = bench("report", "old")
    assert found.returncode == 2 and "unknown metric 'mae'" in found.stderr and "--plugin" in found.stderr
    (home / "old/plan.json").write_text(json.dumps({**old, "metrics": [{"psnr": {}}]}))
    assert Store(home / "old").plan().leading == Store(home / "results/tiny").plan().leading
