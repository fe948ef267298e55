"""Models in closed form from plan to `denoise`: solved once, stored, no seed, no epochs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench import spec
from bench.cli.trained import find
from bench.core.images import to_float
from bench.report.cards import all_cards
from bench.report.conditions import conditions
from bench.results.records import RunPlan
from bench.results.remarks import notes, remarks
from bench.results.rows import read_rows
from bench.results.store import WEIGHTS, Store
from bench.results.summary import summarise
from bench.running import engine, steps
from bench.running.pending import pending
from bench.spec import Experiment
from bench.spec.plan import works_of
from bench.training import units
from bench.training.score import network_of
from bench.training.train import load_weights
from tests.helpers.cli import bench
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
CHANGES = (
    ("models: [{conv: {width: 4}}, identity]", "models: [{pca: {patch: 4, code: 5}}, {patch_gmm: {components: 2}}]"),
    ("train: {", "seeds: [0, 1]\ntrain: {"),
)


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return spec.load(write_spec(tmp_path, *CHANGES))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results" / "tiny")


def run(experiment: Experiment, store: Store) -> list[Any]:
    return list(engine.run(experiment, works_of(experiment), store, 1))


def test_there_is_one_cell_for_each_noise_that_matters_and_none_for_seeds(experiment: Experiment) -> None:
    planned = [(cell.model.name, cell.noise and cell.noise.name) for cell in (w.cell for w in works_of(experiment))]
    assert planned == [("pca", "gaussian"), ("pca", "masking"), ("patch_gmm", None)]
    assert all(work.cell.seed is None and work.cell.train is None for work in works_of(experiment))
    assert [len(work.tests) for work in works_of(experiment)] == [1, 1, 2]


def test_settings_and_seeds_change_no_id(experiment: Experiment, tmp_path: Path) -> None:
    other = spec.load(write_spec(tmp_path, *CHANGES[:1], ("epochs: 2", "epochs: 3")))
    assert [work.cell.id for work in works_of(other)] == [work.cell.id for work in works_of(experiment)]


def test_weights_are_solved_once_stored_and_scored(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved = []

    def step(*arguments: Any) -> Any:
        solved.append(arguments)
        return units.solve_step(*arguments)

    monkeypatch.setattr(steps, "solve_step", step)
    run(experiment, store)
    assert len(solved) == 3
    works = works_of(experiment)
    assert not pending(works, store, experiment)
    for work in works:
        folder = store.cell(work.cell.id)
        record = folder.record() or {}
        assert record["train_seconds"] > 0
        assert folder.history() is None
        network = work.cell.model.build(16)
        fresh = {name: value.clone() for name, value in network.state_dict().items()}
        load_weights(network, folder.weights() or {})
        assert any(not torch.equal(fresh[name], value) for name, value in network.state_dict().items())
    damaged = store.cell(works[0].cell.id).folder / WEIGHTS
    damaged.write_bytes(b"")
    run(experiment, store)
    assert len(solved) == 4, "damaged weights are solved again, the others are kept"


def test_rows_say_how_long_it_took_and_what_the_noise_was_taken_for(experiment: Experiment, store: Store) -> None:
    run(experiment, store)
    plan = RunPlan.of(experiment, works_of(experiment))
    rows = read_rows(store, plan)
    assert all(row.train_seconds and row.seed is None and not row.contender.trained for row in rows)
    by_test = {row.test.label.name: row.fitted for row in rows if row.contender.model.name == "patch_gmm"}
    assert "fitted" in plan.chosen
    assert "sigma=0.0" in by_test["gaussian"]
    seen = {row.test.label.name: [text for _, text in remarks(row)] for row in rows if row.cell.assumes}
    assert seen == {"gaussian": [], "masking": ["the noise is treated as Gaussian"]}
    masked = [
        replace(row, cell=replace(row.cell, assumes="masking")) for row in rows if row.test.label.name == "gaussian"
    ]
    said = "\N{DAGGER} the noise is treated as Gaussian, or the noise is treated as Masking."
    assert notes([*rows, *masked]) == said, "a mark is explained once"
    caption = conditions(plan, {}, rows, summarise(rows, plan.metrics)).of_figures
    named = ["patch_gmm on masking(p=0.25)"]
    assert caption.endswith(f" The noise is treated as Gaussian: {'; '.join(named)}."), "figures show no marks"
    assert said[0] not in caption and "±" not in caption
    cards = [card for _, card in all_cards(store, plan, rows, "")]
    assert [card.splitlines()[2].split(";")[0] for card in cards] == [
        "- Closed form, from gaussian(sigma=0.1)",
        "- Closed form, from masking(p=0.25, fill=0.0, per=element)",
        "- Closed form, from clean images",
    ]


@pytest.mark.parametrize(("model", "noise"), [("pca", "masking"), ("patch_gmm", "gaussian"), ("patch_gmm", "masking")])
def test_denoise_uses_the_stored_weights(
    model: str, noise: str, experiment: Experiment, store: Store, tmp_path: Path
) -> None:
    run(experiment, store)
    store.begin(experiment.node(), RunPlan.of(experiment, works_of(experiment)))
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    arguments = ["--with", str(store.root), "--model", model, "--noise", noise, "-o", str(tmp_path / "out.png")]
    bench("denoise", str(tmp_path / "in.png"), *arguments)
    meant = find(store.root, model, noise)
    network = network_of(meant.cell, 16, meant.folder.weights())
    with torch.inference_mode():
        expected = network(to_float(torch.from_numpy(picture.transpose(2, 0, 1).copy()))[None]).clamp(0, 1)[0]
    found = np.asarray(Image.open(tmp_path / "out.png")).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(found, expected, atol=1.5 / 255)
    assert "with 32 images" in meant.label or "fitted to " in meant.label
    untouched = meant.cell.model.build(16)(to_float(torch.from_numpy(picture.transpose(2, 0, 1).copy()))[None])
    assert float((untouched[0] - expected).detach().abs().max()) > 0.05
