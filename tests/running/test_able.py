"""What this machine can't do is refused before anything is written."""

from pathlib import Path

import numpy as np
import pytest

from bench import spec
from bench.core import machine
from bench.core.errors import SpecError
from bench.results.store import Store
from bench.running import able
from bench.spec.plan import resolved, works_of
from bench.spec.yaml12 import dump
from tests.helpers.cli import bench, run
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two processors and 1 GB, without CUDA."""
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "memory", lambda: 10**9)
    monkeypatch.setattr(machine, "has_compiler", lambda: False)


def changed(path: Path, *settings: str) -> list[object]:
    return [path, *(word for setting in settings for word in ("--set", setting))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.device=cuda"], "train.device is cuda, and torch finds no CUDA device here"),
        (["train.compile=on"], "no C++ compiler is found here"),
        (["dataset.size=512", "dataset.train=40", "train.batch_size=40"], "takes at least 0.4 GB"),
    ],
)
def test_what_is_known_to_fail_is_refused_and_leaves_everything_as_it_was(
    settings: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, results = write_spec(tmp_path), tmp_path / "results"
    monkeypatch.setattr(machine, "memory", lambda: 4 * 10**8)
    assert run(path, results).exit_code == 0
    before = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    for command in (["run"], ["plan"]):
        refused = bench(*command, *changed(path, *settings), "--results", results)
        assert refused.exit_code == 2, refused.output
        assert message in " ".join(refused.output.split())
    assert {file: file.read_bytes() for file in results.rglob("*") if file.is_file()} == before


def test_what_is_finished_needs_no_device(tmp_path: Path) -> None:
    path = write_spec(tmp_path, ("device: cpu", "device: cuda"))
    found = spec.load(path)
    with pytest.raises(SpecError, match="no CUDA device"):
        able.check(found, works_of(found), Store(tmp_path / "results"))
    values = np.full(10, 20.0)
    done = store_of(tmp_path / "results", path, lambda *_: {"mse": values, "psnr": values, "ssim": values})
    able.check(found, works_of(found), done)


def test_more_threads_than_processors_are_noted(tmp_path: Path) -> None:
    assert ["64" in note and "2 processors" in note for note in notes(tmp_path, "train.threads=64")] == [True]
    assert not notes(tmp_path)


def notes(folder: Path, *settings: str) -> list[str]:
    found = resolved(spec.load(write_spec(folder), settings))
    return list(able.notes(found, works_of(found), Store(folder / "results")))


@pytest.mark.parametrize("objective", ["noise2noise", "noise2void"])
def test_what_clipping_costs_a_training_without_clean_images_is_noted(objective: str, tmp_path: Path) -> None:
    def noted(noise: str) -> list[str]:
        models = f"models=[conv, {{conv: {{width: 4, objective: {objective}}}}}]"
        return notes(tmp_path, models, f"noises=[{noise}]")

    (note,) = noted("{gaussian: {sigma: 0.3}}")
    assert "by 0.055 for gaussian(sigma=0.3)" in note and "ends at 25.2 dB" in note and "`clip: false`" in note
    assert not noted("{gaussian: {sigma: 0.3, clip: false}}")
    assert not noted("{gaussian: {sigma: 0.02}}")
    assert len(noted("{gaussian: {sigma: [0.2, 0.3]}}")) == 2
    assert not notes(tmp_path, "noises=[{gaussian: {sigma: 0.3}}]")


def test_a_cell_that_only_lacks_a_metric_needs_nothing_for_training(tmp_path: Path) -> None:
    path, results = write_spec(tmp_path), tmp_path / "results"
    values = np.full(10, 20.0)
    found = spec.load(path, ("train.compile=on",))
    path.write_text(dump(found.node()))
    done = store_of(results, path, lambda *_: {"mse": values, "psnr": values})
    able.check(found, works_of(found), done)
    with pytest.raises(SpecError, match="no C\\+\\+ compiler"):
        able.check(found, works_of(found), Store(tmp_path / "other"))


def test_bfloat16_needs_a_gpu_that_computes_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cuda")
    monkeypatch.setattr(machine, "gpu_memory", lambda: 10**10)
    monkeypatch.setattr(machine, "precision", lambda on: "float32")
    found = spec.load(write_spec(tmp_path), ("train.device=cuda", "train.precision=bfloat16"))
    with pytest.raises(SpecError, match="precision is bfloat16"):
        able.check(found, works_of(found), Store(tmp_path / "results"))
