"""Small random grids of whatever is registered, run as a user would and checked through a second path."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as some
from hypothesis.strategies import DrawFn
from PIL import Image

from bench.core.errors import FieldError
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.report import figures, rebuild
from bench.results.store import Store
from tests.helpers.cli import bench

pytestmark = pytest.mark.usefixtures("cache")
SLOW = {"bm3d"}  # seconds an image
NETWORKS = {"conv": {"width": 4}, "unet": {"width": 4}, "dncnn": {"width": 4, "depth": 2}, "nafnet": {"width": 4}}
LEVELS = [0, 0.0, 0.005, 0.02, 0.1, 0.5, 1.0, 10, 50, 100]


@some.composite
def noise_nodes(draw: DrawFn) -> dict[str, dict[str, Any]]:
    """A registered noise that has a level, at one that it accepts, and rounded to 8 bits."""
    cls = noises[draw(some.sampled_from([name for name in noises if noises[name].level]))]

    def accepted(level: float) -> bool:
        try:
            return bool(cls.from_params({cls.level: level}).name)
        except FieldError:
            return False

    level = draw(some.sampled_from(list(filter(accepted, LEVELS))))
    return {cls.name: {cls.level: level, "quantize": True}}


@some.composite
def grids(draw: DrawFn) -> dict[str, Any]:
    """A spec that trains next to nothing."""
    names = draw(some.lists(some.sampled_from(sorted(set(models) - SLOW)), min_size=1, max_size=3, unique=True))
    rate: Any = draw(some.sampled_from([1e-3, {"search": [1e-3, 1e-2]}, [1e-3, 2e-3]]))
    return {
        "name": "grid",
        "dataset": {
            "name": "photos",
            "size": draw(some.sampled_from([8, 12, 16, 24])),
            "train": draw(some.sampled_from([8, 9, 32])),
            "validation": 0.25,
            "test": draw(some.sampled_from([1, 2, 5])),
        },
        "models": [{name: NETWORKS[name]} if name in NETWORKS else name for name in names],
        "noises": draw(some.lists(noise_nodes(), min_size=1, max_size=2, unique_by=str)),
        "metrics": draw(some.sampled_from([["psnr"], ["mse", "psnr"], ["psnr", "ssim", "mse"], sorted(metrics)])),
        "train": {"epochs": 1, "batch_size": draw(some.sampled_from([1, 3, 32])), "lr": rate, "compile": "off"},
        "seeds": draw(some.sampled_from([[0], [0, 1]])),
    }


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(grids())
def test_whatever_is_asked_for_is_refused_or_there(spec: dict[str, Any]) -> None:
    hold(spec)


@pytest.mark.long
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(grids())
def test_many_grids_are_refused_or_there(spec: dict[str, Any]) -> None:
    hold(spec)


def hold(spec: Mapping[str, Any]) -> None:
    """Run a spec and hold what it leaves against the documents."""
    with TemporaryDirectory() as place:
        path, results = Path(place) / "spec.yaml", Path(place) / "results"
        path.write_text(yaml.safe_dump(dict(spec), sort_keys=False))
        ran = bench("run", path, "--results", results, "--workers", 1)
        assert ran.exit_code in (0, 1, 2), ran.output
        event(f"exit code {ran.exit_code}")
        if ran.exit_code == 2:
            assert "Error" in ran.output and not results.exists(), ran.output
            return
        store = Store(results / "grid")
        frame = pd.read_csv(store.root / "tables" / "results.csv", dtype={"error": str, "seed": str})
        every_row_is_there(store, frame, failed=ran.exit_code == 1)
        the_best_is_the_same_everywhere(store, frame, ran.output)
        denoise_gives_what_was_scored(store, Path(place))


def every_row_is_there(store: Store, frame: pd.DataFrame, failed: bool) -> None:
    plan = store.plan()
    assert len(frame) == plan.rows
    columns = [metric.column for metric in plan.metrics]
    valued, reasons = frame[columns].notna().all(axis=1), frame["error"].notna()
    assert (valued ^ reasons).all(), frame
    assert reasons.any() == failed


def the_best_is_the_same_everywhere(store: Store, frame: pd.DataFrame, terminal: str) -> None:
    """By results.csv alone, and as table, terminal, page and figure show it."""
    found = rebuild.read(store)
    page = (store.root / "report.html").read_text()
    figure = figures.quality(found.summaries, found.plan.leading, found.conditions)
    written = "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)
    stars = (store.root / "tables" / "summary.md").read_text().count("**") // 2
    assert terminal.count("*") == stars + 1, terminal  # one explains the others
    columns = [name for name in ("model", "objective", "train_noise", "train.lr") if name in frame]
    scores = frame.dropna(subset=["psnr"]).assign(counted=frame["psnr"].clip(upper=60))
    for noise, rows in scores.groupby("test_noise"):
        means = rows.groupby(columns, dropna=False, sort=False).agg({"counted": "mean", "psnr": "mean"})
        merit = means["counted"].where(np.isfinite(means["psnr"]), math.inf).round(2)
        best = {key[0] for key in merit.index[merit == merit.max()]}
        bold, italic = (
            {str(one.contender.model) for one in marked(store, found, mark) if str(one.test.label) == noise}
            for mark in ("**", "*")
        )
        assert best <= bold, (noise, means)
        if rows["perfect_images"].sum() == 0:
            mine = [summary for summary in found.summaries if str(summary.test.label) == noise]
            tied = {str(summary.contender.model) for summary in mine if summary.tied(found.plan.leading)}
            assert best == bold and best | tied == bold | italic, (noise, means)
    disputed = page.count("<strong>no single best</strong>")
    assert disputed == written.count("no single best")


def marked(store: Store, found: rebuild.Results, mark: str) -> list[Any]:
    """The summaries whose PSNR has a mark in summary.md, which has them by test noise."""
    lines = (store.root / "tables" / "summary.md").read_text().splitlines()
    place = [cell.strip() for cell in lines[0].split("|")].index("PSNR (dB) ↑")
    rows = [line.replace("\\|", "/").split("|") for line in lines[2:] if line.startswith("|")]
    order = [test.id for test in found.plan.tests]
    ordered = sorted(found.summaries, key=lambda summary: order.index(summary.test.id))
    marks = (re.fullmatch(r"(\**)[^*]*\1", row[place].strip()) for row in rows)
    return [summary for summary, found in zip(ordered, marks, strict=True) if found and found[1] == mark]


def denoise_gives_what_was_scored(store: Store, place: Path) -> None:
    """`bench denoise` with each stored cell restores the stored noisy picture as its score did, to one level of 255."""
    for cell in store.plan().cells:
        folder = store.cell(cell.id)
        for number, test in enumerate(cell.tests):
            if folder.score(test.id) is None:
                continue
            stored = folder.samples(test.id)
            noisy, output = place / f"{cell.id}{number}.png", place / f"{cell.id}{number}-out.png"
            Image.fromarray(stored["noisy"][0].transpose(1, 2, 0)).save(noisy)
            chosen = ["--noise", str(test.label)] if len(folder.fitted()) > 1 else []
            done = bench("denoise", noisy, "--with", folder.folder, "-o", output, *chosen)
            assert done.exit_code == 0, done.output
            restored = np.asarray(Image.open(output)).transpose(2, 0, 1).astype(int)
            assert np.abs(restored - stored["output"][0]).max() <= 1, (cell.contender, test.label)
