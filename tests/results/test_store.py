"""The results folder: whole files or none, markers last, damage found, nothing lost."""

import hashlib
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as some_arrays
from safetensors.numpy import save

from bench.core.errors import BenchError
from bench.metrics import Average, metrics
from bench.noises import noises
from bench.results import files, formats, store
from bench.results.files import DamagedResult, read_json, write
from bench.results.store import HISTORY, STATE, WEIGHTS, CellStore, Store
from bench.spec.cells import Scoring
from bench.spec.protocol import score_id as id_of
from bench.training.score import Score
from bench.training.state import Epoch, State
from tests.helpers.specs import cell_of

CELL = cell_of({"conv": {"width": 4}})
FACTS = {"dataset": "made up", "size": 16, "parameters": 10, "macs": 20}
NOISE = noises.parse("gaussian")
TEST = id_of(NOISE, CELL.data)
METRICS = MSE, PSNR, SSIM = tuple(metrics.parse(name) for name in ("mse", "psnr", "ssim"))
REPEATED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def state(scale: float = 1.0) -> State:
    draw = np.random.default_rng(0)
    return State(
        weights={"a": draw.normal(size=(3, 2)).astype(np.float32), "count": np.array(7)},
        kept={"a": (scale * draw.normal(size=(3, 2))).astype(np.float32), "count": np.array(5)},
        optimizer={"0/step": np.array(3.0, np.float32)},
        history=(Epoch(1, 0.1, None, 0.5), Epoch(2, 0.1, 1 / 3, 0.5)),
        kept_epoch=1,
    )


def same(one: State, other: State) -> None:
    """Two states that are equal to the bit."""
    assert (one.history, one.kept_epoch) == (other.history, other.kept_epoch)
    ours, theirs = one.flat(), other.flat()
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert value.dtype == theirs[path].dtype and value.shape == theirs[path].shape
        assert value.tobytes() == theirs[path].tobytes()


def scored(columns: tuple[str, ...] = ("mse", "psnr"), seed: int = 0) -> Score:
    draw = np.random.default_rng(seed)
    values = {column: draw.uniform(size=10) for column in columns}
    return Score(values, 1.0, 2.0, {"original": np.zeros((4, 3, 16, 16), np.uint8)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished cell with one finished test."""
    cell = CellStore(tmp_path / "cells" / CELL.id)
    cell.save_state(state())
    cell.finish(CELL, state(), FACTS)
    cell.finish_score(Scoring(NOISE), CELL.data, scored(), METRICS)
    return cell.folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_finished_cell_holds_what_the_readme_says(folder: Path) -> None:
    scores = {f"scores/{TEST}{end}" for end in (".json", ".parquet", ".samples.safetensors")}
    assert names(folder) == {"cell.json", WEIGHTS, HISTORY, *scores}
    assert (folder / HISTORY).read_text() == (
        "epoch,train_loss,validation_loss,seconds\n1,0.1,,0.5\n2,0.1,0.3333333333333333,0.5\n"
    )
    record = read_json(folder / "cell.json")
    assert record is not None
    assert record["cell"] == CELL.node()
    assert (record["epochs"], record["kept_epoch"], record["train_seconds"]) == (2, 1, 1.0)


def test_what_was_stored_comes_back(folder: Path) -> None:
    cell = CellStore(folder)
    weights = cell.weights()
    assert weights is not None
    assert weights.keys() == {"a", "count"}
    assert np.array_equal(weights["a"], state().kept["a"])
    assert weights["count"].shape == () and weights["count"] == 5
    history = cell.history()
    assert history == state().history
    values = cell.values(TEST)
    assert list(values) == ["image", "mse", "psnr"]
    assert np.array_equal(values["psnr"], scored().values["psnr"])
    assert cell.samples(TEST)["original"].shape == (4, 3, 16, 16)
    found = cell.score(TEST)
    assert found is not None
    mse = cell.averages(TEST, METRICS)["mse"]
    assert mse.mean == pytest.approx(scored().values["mse"].mean())
    assert mse.deviation == pytest.approx(scored().values["mse"].std(ddof=1))
    assert found["n_images"] == mse.n == 10


def test_a_cell_without_training_has_no_weights(tmp_path: Path) -> None:
    cell = CellStore(tmp_path)
    cell.finish(cell_of("identity"), None, FACTS)
    cell.finish_score(Scoring(NOISE), CELL.data, scored(), METRICS)
    assert CellStore(tmp_path).finished
    assert cell.weights() is None and cell.history() is None
    assert cell.lacking(TEST, [MSE, PSNR]) == []


@settings(REPEATED)
@given(
    some.dictionaries(
        some.text(some.characters(codec="ascii", exclude_characters="/"), min_size=1, max_size=8),
        some_arrays.arrays(
            some.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
            some_arrays.array_shapes(min_dims=0, max_dims=4, max_side=4),
        ),
        max_size=4,
    )
)
def test_every_state_comes_back_to_the_bit(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    before = replace(state(), weights=tensors)
    CellStore(tmp_path).save_state(before)
    same(CellStore(tmp_path).state(), before)


@settings(REPEATED)
@given(some.data())
def test_a_damaged_state_counts_as_none(tmp_path: Path, data: some.DataObject) -> None:
    """Any byte changed, or the end cut off: the training starts afresh, it never goes on from something else."""
    cell = CellStore(tmp_path)
    cell.save_state(state())
    path = tmp_path / STATE
    content = bytearray(path.read_bytes())
    place = data.draw(some.integers(0, len(content) - 1))
    if data.draw(some.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(some.integers(1, 255))
    path.write_bytes(content)
    found = cell.state()
    if found.epoch:  # a byte that says nothing, such as a space
        same(found, state())


def transposed(array: np.ndarray) -> np.ndarray:
    """The same values, the other way round in memory."""
    return np.asarray(array, order="F")


def test_arrays_of_any_memory_order_come_back(tmp_path: Path) -> None:
    flat = {path: transposed(value) for path, value in state().flat().items()}
    before = State.from_flat(flat, state().history, state().kept_epoch)
    cell = CellStore(tmp_path)
    cell.save_state(before)
    same(cell.state(), state())
    cell.finish(CELL, before, FACTS)
    assert np.array_equal((cell.weights() or {})["a"], state().kept["a"])
    picture = np.arange(4 * 3 * 5 * 5, dtype=np.uint8).reshape(4, 3, 5, 5)
    made = Score({"mse": np.zeros(4)}, 1.0, 1.0, {"output": transposed(picture)})
    cell.finish_score(Scoring(NOISE), CELL.data, made, METRICS)
    assert np.array_equal(cell.samples(TEST)["output"], picture)
    cell.renew_samples(TEST, {"output": transposed(picture[::-1])})
    assert np.array_equal(cell.samples(TEST)["output"], picture[::-1])


def outdate(folder: Path) -> dict[str, Any]:
    """Make a test's marker one that was written before samples had a version."""
    path = folder / "scores" / f"{TEST}.json"
    record = read_json(path)
    assert record is not None and record.pop("samples") == store.SAMPLES_VERSION
    write(path, files.as_json(record))
    return record


def test_samples_without_a_version_are_made_again_and_the_rest_stays(folder: Path) -> None:
    cell, before = CellStore(folder), outdate(folder)
    values = (folder / "scores" / f"{TEST}.parquet").read_bytes()
    assert not cell.scored(TEST, [MSE, PSNR]) and cell.lacking(TEST, [MSE, PSNR]) == []
    cell.renew_samples(TEST, {"original": np.ones((4, 3, 16, 16), np.uint8)})
    assert cell.scored(TEST, [MSE, PSNR]) and not cell.scored(TEST, [MSE, SSIM])
    assert cell.samples(TEST)["original"].all()
    after = cell.score(TEST)
    assert after is not None and (folder / "scores" / f"{TEST}.parquet").read_bytes() == values
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"samples", "checksums"}
    assert list(cell.values(TEST)) == ["image", "mse", "psnr"]


def test_samples_renewed_halfway_are_still_outdated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outdate(folder)

    def replace(source: str, target: Path) -> None:
        if Path(target).suffix == ".json":
            raise Crash
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Crash):
        CellStore(folder).renew_samples(TEST, {"original": np.ones((4, 3, 16, 16), np.uint8)})
    monkeypatch.undo()
    assert not CellStore(folder).scored(TEST, [MSE])


def test_a_state_is_stored_as_it_always_was(tmp_path: Path) -> None:
    """Trainings that older versions left unfinished go on."""
    arrays = {
        "weights/a": state().weights["a"],
        "weights/count": np.array(7),
        "kept/a": state().kept["a"],
        "kept/count": np.array(5),
        "optimizer/0/step": np.array(3.0, np.float32),
    }
    rows = [
        {"epoch": 1, "train_loss": 0.1, "validation_loss": None, "seconds": 0.5},
        {"epoch": 2, "train_loss": 0.1, "validation_loss": 1 / 3, "seconds": 0.5},
    ]
    facts: dict[str, Any] = {"epoch": 2, "best_epoch": 1, "history": rows}
    checksum = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        checksum.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        checksum.update(arrays[name].tobytes())
    facts["sha256"] = checksum.hexdigest()
    (tmp_path / STATE).write_bytes(save(arrays, metadata={"state": json.dumps(facts)}))
    same(CellStore(tmp_path).state(), state())
    before = (tmp_path / STATE).read_bytes()
    CellStore(tmp_path).save_state(state())
    assert (tmp_path / STATE).read_bytes() == before


def test_a_state_of_other_parts_counts_as_none(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"epoch": 1, "best_epoch": 1, "history": []}
    arrays = {"gradients/a": np.zeros(2)}
    facts["sha256"] = formats.digest_of(facts, arrays)
    (tmp_path / STATE).write_bytes(save(arrays, metadata={"state": json.dumps(facts)}))
    same(CellStore(tmp_path).state(), State())


def test_a_finished_training_comes_back_as_its_last_state(folder: Path) -> None:
    same(CellStore(folder).last_state(), replace(state(), weights={}, optimizer={}))
    with pytest.raises(BenchError, match="holds no finished cell"):
        CellStore(folder.parent).last_state()


class Crash(Exception):
    """Power went off."""


@pytest.mark.parametrize("survived", range(3))
def test_a_cell_is_unfinished_until_its_last_write(
    survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, replaced = CellStore(tmp_path), list[str]()

    def replace(source: str, target: Path) -> None:
        if len(replaced) == survived:
            raise Crash
        replaced.append(Path(target).name)
        os.rename(source, target)

    cell.save_state(state())
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Crash):
        cell.finish(CELL, state(), FACTS)
    monkeypatch.undo()
    assert not CellStore(tmp_path).finished
    assert CellStore(tmp_path).state().epoch == 2, "what an interrupted run goes on from is gone"
    assert not [name for name in names(tmp_path) if name.startswith(".")], "a temporary file is left"
    cell.finish(CELL, state(), FACTS)
    assert CellStore(tmp_path).intact()


def test_markers_are_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(store, "write", lambda path, content, **options: written.append(write(path, content).name))
    cell = CellStore(tmp_path)
    cell.finish(CELL, state(), FACTS)
    cell.finish_score(Scoring(NOISE), CELL.data, scored(), METRICS)
    assert written == [WEIGHTS, HISTORY, "cell.json", f"{TEST}.parquet", f"{TEST}.samples.safetensors", f"{TEST}.json"]


@pytest.mark.parametrize("survived", range(3))
def test_a_test_is_unfinished_until_its_last_write(
    survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, replaced = CellStore(tmp_path), list[str]()
    cell.finish(CELL, state(), FACTS)

    def replace(source: str, target: Path) -> None:
        if len(replaced) == survived:
            raise Crash
        replaced.append(Path(target).name)
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Crash):
        cell.finish_score(Scoring(NOISE), CELL.data, scored(), METRICS)
    monkeypatch.undo()
    assert CellStore(tmp_path).score(TEST) is None
    assert CellStore(tmp_path).lacking(TEST, [MSE, PSNR]) == [MSE, PSNR]


def test_a_test_written_anew_halfway_is_unfinished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old marker must not speak for the new values."""

    def replace(source: str, target: Path) -> None:
        if Path(target).suffix == ".json":
            raise Crash
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Crash):
        CellStore(folder).finish_score(Scoring(NOISE), CELL.data, scored(("ssim",)), METRICS)
    monkeypatch.undo()
    assert CellStore(folder).lacking(TEST, [MSE, SSIM]) == [MSE, SSIM]


@pytest.mark.parametrize("name", ["cell.json", WEIGHTS, HISTORY])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_cell_that_lacks_something_is_unfinished(name: str, damage: str, folder: Path) -> None:
    spoil(folder / name, damage)
    assert not CellStore(folder).finished
    assert CellStore(folder).score(TEST) is None
    with pytest.raises(BenchError, match="holds no finished cell"):
        CellStore(folder).weights()


@pytest.mark.parametrize("end", [".json", ".parquet", ".samples.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_test_that_lacks_something_is_unfinished(end: str, damage: str, folder: Path) -> None:
    spoil(folder / "scores" / f"{TEST}{end}", damage)
    cell = CellStore(folder)
    assert cell.finished
    assert cell.score(TEST) is None
    assert cell.lacking(TEST, [MSE]) == [MSE]
    with pytest.raises(BenchError, match="holds no finished test"):
        cell.values(TEST)


def test_changed_bytes_are_found(folder: Path) -> None:
    spoil(folder / WEIGHTS, "changed")
    cell = CellStore(folder)
    assert cell.finished and not cell.intact()
    with pytest.raises(DamagedResult, match=f"{WEIGHTS} is damaged: delete it and run its spec again"):
        cell.weights()
    spoil(folder / HISTORY, "changed")
    with pytest.raises(DamagedResult, match=HISTORY):
        cell.history()
    spoil(folder / "scores" / f"{TEST}.parquet", "changed")
    with pytest.raises(DamagedResult, match=r"\.parquet is damaged"):
        cell.values(TEST)
    spoil(folder / "scores" / f"{TEST}.samples.safetensors", "changed")
    with pytest.raises(DamagedResult, match="samples"):
        cell.samples(TEST)
    assert cell.lacking(TEST, [MSE]) == [], "means that are there need no values"
    assert cell.lacking(TEST, [MSE, SSIM]) == [MSE, SSIM], "new values can't stand beside damaged ones"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "{}", '{"cell": {}}', '{"checksums": {}, "sizes": {}}'])
def test_a_marker_of_another_shape_is_none(text: str, folder: Path) -> None:
    (folder / "scores" / f"{TEST}.json").write_text(text)
    assert CellStore(folder).score(TEST) is None
    (folder / "cell.json").write_text(text)
    assert not CellStore(folder).finished


def test_a_marker_cut_anywhere_is_none(folder: Path) -> None:
    for path in (folder / "scores" / f"{TEST}.json", folder / "cell.json"):
        content = path.read_bytes()
        for length in range(0, len(content) - 2, 7):
            path.write_bytes(content[:length])
            cell = CellStore(folder)
            assert (cell.score(TEST) if path.parent.name == "scores" else cell.record()) is None


def test_a_score_belongs_to_its_weights(folder: Path) -> None:
    cell = CellStore(folder)
    cell.discard()
    assert not cell.finished and not CellStore(folder).finished
    assert cell.score(TEST) is None
    cell.finish(CELL, state(scale=2.0), FACTS)
    assert cell.score(TEST) is None, "a score of other weights"
    cell.finish(CELL, state(), FACTS)
    assert cell.score(TEST) is not None, "the same weights came back"


def test_new_metrics_stand_beside_the_old(folder: Path) -> None:
    cell = CellStore(folder)
    before = cell.score(TEST)
    assert before is not None
    assert cell.lacking(TEST, [MSE, SSIM, PSNR]) == [SSIM]
    cell.finish_score(Scoring(NOISE), CELL.data, scored(("ssim",), seed=1), METRICS)
    after = cell.score(TEST)
    assert after is not None
    assert list(after["averages"]) == ["mse", "psnr", "ssim"]
    assert {key: after["averages"][key] for key in ("mse", "psnr")} == before["averages"]
    assert np.array_equal(cell.values(TEST)["mse"], scored().values["mse"])
    assert np.array_equal(cell.values(TEST)["ssim"], scored(("ssim",), seed=1).values["ssim"])
    assert cell.lacking(TEST, [MSE, SSIM, PSNR]) == []


def test_metrics_that_a_spec_no_longer_names_keep_their_averages(folder: Path) -> None:
    cell = CellStore(folder)
    before = cell.averages(TEST, METRICS)
    cell.finish_score(Scoring(NOISE), CELL.data, scored(("ssim",), seed=1), [SSIM])
    after = cell.averages(TEST, METRICS)
    assert {key: after[key] for key in ("mse", "psnr")} == before
    assert cell.lacking(TEST, METRICS) == []


def test_perfect_images_leave_valid_json(tmp_path: Path) -> None:
    cell = CellStore(tmp_path)
    cell.finish(CELL, state(), FACTS)
    perfect = Score({"mse": np.zeros(10), "psnr": np.full(10, np.inf)}, 1.0, 1.0, {"original": np.zeros(1, np.uint8)})
    cell.finish_score(Scoring(NOISE), CELL.data, perfect, METRICS)
    text = (tmp_path / "scores" / f"{TEST}.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert cell.averages(TEST, METRICS) == {"mse": Average(0, 0, 10), "psnr": Average(math.inf, 0, 10, 10, 10, 0)}


def older(folder: Path, **parts: Any) -> None:
    """Make a test's marker one of before exact images had a place in its means."""
    path = folder / "scores" / f"{TEST}.json"
    record = read_json(path)
    assert record is not None and record.pop("averages")
    write(path, files.as_json({**record, "means": {}, "deviations": {}, "perfect": 0, **parts}))


def with_exact(folder: Path) -> CellStore:
    """A test of which the first 4 of 10 images are exact, under an older marker."""
    cell = CellStore(folder)
    psnr = np.array([math.inf] * 4 + [20.0, 21.0, 22.0, 23.0, 24.0, 70.0])
    cell.finish_score(
        Scoring(NOISE), CELL.data, Score({"mse": 10 ** (-psnr / 10), "psnr": psnr}, 1.0, 1.0, {}), METRICS
    )
    older(folder, means={"mse": 1.0, "psnr": 30.0}, perfect=4)
    return CellStore(folder)


def test_an_older_marker_is_read_by_its_values_and_rewritten_on_request(folder: Path) -> None:
    cell, path = with_exact(folder), folder / "scores" / f"{TEST}.json"
    text, values = path.read_text(), (folder / "scores" / f"{TEST}.parquet").read_bytes()
    found = cell.averages(TEST, METRICS)["psnr"]
    assert (round(found.mean, 9), found.n, found.exact, found.capped) == ((5 * 60 + 110) / 10, 10, 4, 5)
    assert path.read_text() == text, "nobody asked for it to be written"
    assert cell.scored(TEST, [MSE, PSNR]) and cell.lacking(TEST, [MSE, PSNR]) == []
    assert cell.averages(TEST, METRICS, keep=True)["psnr"] == found
    assert "means" not in path.read_text() and "perfect" not in path.read_text()
    (folder / "scores" / f"{TEST}.parquet").unlink()
    (folder / "scores" / f"{TEST}.parquet").write_bytes(bytes(len(values)))
    assert CellStore(folder).averages(TEST, METRICS)["psnr"] == found, "markers alone are read from now on"


def test_an_older_marker_whose_values_are_damaged_is_scored_again(folder: Path) -> None:
    cell, path = with_exact(folder), folder / "scores" / f"{TEST}.parquet"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DamagedResult):
        cell.averages(TEST, METRICS)
    assert not cell.scored(TEST, [MSE, PSNR])
    assert cell.lacking(TEST, [MSE, PSNR]) == [MSE, PSNR]


def test_reasons_are_kept_until_the_next_try(tmp_path: Path) -> None:
    cell = CellStore(tmp_path)
    assert cell.failure() == cell.failure(TEST) == ""
    cell.fail("diverged")
    assert cell.failure() == cell.failure(TEST) == "diverged"
    cell.fail("no such level", {TEST: "no such level"})
    assert cell.failure(TEST) == "no such level"
    assert cell.failure("another") == ""
    (tmp_path / "error.json").write_text("[")
    assert cell.failure() == ""
    cell.forget_failure()
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "plan.json is missing"),
        ("", "plan.json is damaged"),
        ('{"cells": [', "plan.json is damaged"),
        ("{}", "another version"),
        ('{"format": 0}', "another version"),
    ],
)
def test_a_folder_without_a_usable_plan_is_said_to_have_none(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    with pytest.raises(BenchError, match=message):
        Store(tmp_path).plan()


def test_figures_of_earlier_plans_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("a.png", "b.png", "b.svg"):
        store.write_figure(name, b"picture")
    store.keep_figures(["b.png", "b.svg"])
    assert names(tmp_path / "figures") == {"b.png", "b.svg"}


def spoil(path: Path, how: str) -> None:
    """Damage a file."""
    content: Any = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "changed":
        content[len(content) // 2] ^= 1
    else:
        del content[{"cut": len(content) // 2, "empty": 0}[how] :]
    path.write_bytes(content)
