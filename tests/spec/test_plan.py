"""Cells: those of a spec, their test noises, and the ids under which they are stored."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.core import machine
from bench.core.errors import DataError, SpecError
from bench.core.registry import Registry
from bench.core.rng import Draw
from bench.datasets import Dataset
from bench.metrics import compute, metrics
from bench.models import Model, models
from bench.noises import Noise, noises
from bench.spec import Experiment, Train, parse, plan, protocol
from bench.spec.cells import Cell, Work

DATA = {"name": "made_up", "size": 32, "train": 90, "validation": 10, "test": 20, "source": {"sha256": "0" * 64}}
TRAIN = Train(epochs=3, precision="float32", device="cpu", weight_decay=1e-5)


@dataclass(frozen=True)
class MadeUp(Dataset):
    """Images that are never looked at."""

    def identity(self) -> dict[str, Any]:
        return DATA


def experiment(models: str = "[conv, identity]", noises: str = "[gaussian]", more: str = "") -> Experiment:
    text = f"name: x\ndataset: photos\nmodels: {models}\nnoises: {noises}\n{more}"
    return dataclasses.replace(parse(text), dataset=MadeUp())


def cells(*given: str) -> list[tuple[str, str, str, int | None]]:
    return [
        (str(labels["model"]), labels["objective"], labels["train_noise"], labels["seed"])
        for labels in (work.cell.labels() for work in works(*given))
    ]


def works(*given: str) -> list[Work]:
    return plan.works_of(experiment(*given))


def test_models_come_first_then_noises_then_train_settings_then_seeds() -> None:
    found = works("[conv, dense]", "[gaussian, masking]", "train: {epochs: [1, 2]}\nseeds: [5, 3]")
    order = [
        (w.cell.model.name, w.cell.noise.name, w.cell.train.epochs, w.cell.seed)
        for w in found
        if w.cell.noise and w.cell.train
    ]
    assert order == [
        (model, noise, epochs, seed)
        for model in ("conv", "dense") for noise in ("gaussian", "masking") for epochs in (1, 2) for seed in (5, 3)
    ]  # fmt: skip


def test_a_model_without_training_is_one_cell_whatever_is_varied() -> None:
    assert cells("[identity]", "[gaussian, masking]", "train: {epochs: [1, 2]}\nseeds: [0, 1]") == [
        ("identity", "", "", None)
    ]


def test_an_autoencoder_of_clean_images_trains_once_per_seed_and_setting() -> None:
    found = works("[{conv: {objective: autoencode}}]", "[gaussian, masking]", "train: {epochs: [1, 2]}\nseeds: [0, 1]")
    assert [(w.cell.noise, w.cell.seed, w.cell.train and w.cell.train.epochs) for w in found] == [
        (None, 0, 1), (None, 1, 1), (None, 0, 2), (None, 1, 2)
    ]  # fmt: skip


def test_same_tests_trained_models_on_their_noise_and_the_others_on_all() -> None:
    found = works("[conv, {conv: {objective: autoencode}}, identity]", "[gaussian, masking]")
    assert [[test.noise.name for test in work.tests] for work in found] == [
        ["gaussian"], ["masking"], ["gaussian", "masking"], ["gaussian", "masking"]
    ]  # fmt: skip


def test_a_list_of_test_noises_is_for_every_model() -> None:
    found = works("[conv, identity]", "[gaussian]", "test_noises: [masking, speckle]")
    assert [[test.noise.name for test in work.tests] for work in found] == [["masking", "speckle"]] * 2


def test_what_is_asked_for_twice_is_one_cell() -> None:
    assert (
        len(works("[conv, {conv: {width: 16}}, {conv: {width: [8, 16]}}]", "[gaussian, {gaussian: {sigma: [0.1]}}]"))
        == 2
    )


def test_auto_is_resolved_before_a_cell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    monkeypatch.setattr(machine, "precision", lambda on: "bfloat16")
    automatic = works("[conv]")[0]
    assert automatic.cell.train is not None
    assert (automatic.cell.train.device, automatic.cell.train.precision) == ("cpu", "bfloat16")
    explicit = works("[conv]", "[gaussian]", "train: {device: cpu, precision: bfloat16}")[0]
    assert explicit.cell.id == automatic.cell.id
    monkeypatch.setattr(machine, "precision", lambda on: "float32")
    assert works("[conv]")[0].cell.id != automatic.cell.id
    monkeypatch.setattr(machine, "device", lambda: "cuda")
    on_gpu = works("[conv]", "[gaussian]", "train: {precision: bfloat16}")[0]
    assert on_gpu.cell.train is not None and on_gpu.cell.train.device == "cuda"


def test_images_too_small_for_a_metric_are_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "name: x\nmodels: [identity]\nnoises: [gaussian]\ndataset: {name: photos, size: 8}\n"
    with pytest.raises(
        SpecError, match=r"^x.yaml, line 4: metric ssim needs images of at least 11 x 11 .* 8 x 8.*psnr"
    ):
        plan.works_of(parse(text, "x.yaml"))
    assert plan.works_of(parse(text + "metrics: [mse, psnr, ssim_uniform]"))
    monkeypatch.setattr(type(noises.parse("gaussian")), "smallest", 9)
    for kind in ("gaussian", "compose: {of: [gaussian]}"):
        with pytest.raises(SpecError, match=r"noise .* at least 9 x 9"):
            plan.works_of(parse(text.replace("gaussian", f"{{{kind}}}" if ":" in kind else kind) + "metrics: [psnr]"))


def test_images_too_large_for_a_model_are_refused_by_its_name_and_a_patch_helps() -> None:
    text = "name: x\nmodels: [MODEL]\nnoises: [gaussian]\ndataset: {name: photos, size: 33}\n"
    message = r"^x.yaml, line 4: model wiener\(.*\) takes images of at most 32 x 32 .* 33 x 33: give it a patch"
    with pytest.raises(SpecError, match=message):
        plan.works_of(parse(text.replace("MODEL", "wiener"), "x.yaml"))
    assert plan.works_of(parse(text.replace("MODEL", "{wiener: {patch: 5}}")))
    assert plan.works_of(parse(text.replace("MODEL", "wiener").replace("33", "32")))


@pytest.mark.parametrize("size", [8, 9, 11, 13])
@pytest.mark.parametrize("registry", [models, noises, metrics], ids=lambda registry: registry.kind)
def test_everything_takes_the_sizes_it_claims(registry: Registry[Any], size: int) -> None:
    images = torch.rand(1, 3, size, size)
    ours = [name for name in registry if registry[name].__module__.startswith("bench.")]  # not those of other tests
    for name in ours:
        part = registry.parse(name)
        if part.smallest > size or name == "bm3d":
            continue
        if isinstance(part, Noise):
            found = part.apply(images, Draw(images.shape, 0, ("test",), torch.arange(1)))
        elif isinstance(part, Model):
            with torch.inference_mode():
                found = part.build(size).eval()(images)
        else:
            found = compute([part], images, images.clone())[part.column]
        assert found.isfinite().all() or part.name == "psnr", name


def test_data_that_cannot_be_had_are_named_with_their_place(tmp_path: Any) -> None:
    text = f"name: x\nmodels: [identity]\nnoises: [gaussian]\ndataset: {{name: folder, root: {tmp_path}/none}}"
    with pytest.raises(DataError, match=rf"^x.yaml, line 4: dataset folder: {tmp_path}/none does not exist"):
        plan.works_of(parse(text, "x.yaml"))


# The names of what is stored. Where one of these changes, results of earlier versions are no longer found:
# raise TRAINING_PROTOCOL or SCORING_PROTOCOL on purpose, and put the new names here.
GOLDEN_CELLS = {
    "conv on gaussian": (Cell(models.parse("conv"), noises.parse("gaussian"), 0, TRAIN, DATA), "195fd6d79764"),
    "conv of clean images": (
        Cell(models.parse({"conv": {"objective": "autoencode", "width": 8}}), None, 7, TRAIN, DATA), "691250b8d51a"
    ),
    "unet without clean images": (
        Cell(models.parse({"unet": {"objective": "noise2noise"}}), noises.parse("gaussian"), 0, TRAIN, DATA),
        "011a0c9fb79b",
    ),
    "unet of one noisy image each": (
        Cell(models.parse({"unet": {"objective": "noise2void"}}), noises.parse("gaussian"), 0, TRAIN, DATA),
        "c971e6bcc611",  # of the objective's revision 2; 636f3b8e4295 was its first
    ),
    "identity": (Cell(models.parse("identity"), None, None, None, DATA), "4e19a188216f"),
    "median": (Cell(models.parse({"median": {"size": 5}}), None, None, None, DATA), "c01fb692da0f"),
}  # fmt: skip
GOLDEN_TESTS = {
    "gaussian": "ff892fa55f75",
    '{"gaussian": {"sigma": {"range": [0, 0.5]}, "clip": false}}': "cb27c8bd3cfc",
    '{"compose": {"of": ["gaussian", {"masking": {"per": "pixel"}}]}}': "24ed88a1c614",
}


@pytest.mark.parametrize(("cell", "name"), GOLDEN_CELLS.values(), ids=list(GOLDEN_CELLS))
def test_cells_keep_their_names(cell: Cell, name: str) -> None:
    assert cell.id == name


@pytest.mark.parametrize(("node", "name"), GOLDEN_TESTS.items())
def test_tests_keep_their_names(node: str, name: str) -> None:
    assert protocol.score_id(noises.parse(json.loads(node) if node.startswith("{") else node), DATA) == name


def other(value: Any) -> Any:
    """A valid value unlike this one."""
    changes: dict[Any, Any] = {
        "adam": "sgd",
        "cosine": "constant",
        "float32": "bfloat16",
        "cpu": "cuda",
        "best": "last",
    }
    changes |= {None: 5, (): (0.1, 0.2), "auto": "on", 0.0: 0.5}
    if isinstance(value, bool):
        return not value
    return changes[value] if value in changes else value * 2


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Train)])
def test_every_train_setting_is_part_of_a_cell(key: str) -> None:
    train = dataclasses.replace(TRAIN, optimizer="muon" if key == "muon_lr" else TRAIN.optimizer)
    cell = dataclasses.replace(GOLDEN_CELLS["conv on gaussian"][0], train=train)
    changed = dataclasses.replace(train, **{key: other(getattr(train, key))})
    assert dataclasses.replace(cell, train=changed).id != cell.id


@pytest.mark.parametrize("name", list(models))
def test_every_key_of_a_model_is_part_of_a_cell(name: str) -> None:
    cell = Cell(models.parse(name), noises.parse("gaussian"), 0, TRAIN, DATA)
    for key, value in cell.model.params().items():
        described = {"denoise": "autoencode"}.get(value, value) if isinstance(value, str) else value
        changed = dataclasses.replace(cell.model, **{key: _unlike(described, value)})
        assert dataclasses.replace(cell, model=changed).id != cell.id, key


@pytest.mark.parametrize("name", list(noises))
def test_every_key_of_a_noise_is_part_of_a_cell_and_of_a_test(name: str) -> None:
    noise = noises.parse(name)
    cell = Cell(models.parse("conv"), noise, 0, TRAIN, DATA)
    for key, value in noise.params().items():
        changed = dataclasses.replace(noise, **{key: _unlike(value, value)})
        assert dataclasses.replace(cell, noise=changed).id != cell.id, key
        if key != "fresh":  # a test draws its noise once
            assert protocol.score_id(changed, DATA) != protocol.score_id(noise, DATA), key


def _unlike(candidate: Any, value: Any) -> Any:
    if candidate != value:
        return candidate
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value[:-1] if isinstance(value, list) else f"{value}x"


def test_the_data_are_part_of_cells_and_tests() -> None:
    for key in ("size", "train", "validation", "test"):
        data = {**DATA, key: 1}
        for cell, _ in GOLDEN_CELLS.values():
            assert dataclasses.replace(cell, data=data).id != cell.id
        assert protocol.score_id(noises.parse("gaussian"), data) != protocol.score_id(noises.parse("gaussian"), DATA)


def test_seed_noise_and_protocol_are_part_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, name = GOLDEN_CELLS["conv on gaussian"]
    assert dataclasses.replace(cell, seed=1).id != name
    assert dataclasses.replace(cell, noise=None).id != name
    monkeypatch.setattr("bench.spec.cells.TRAINING_PROTOCOL", 1000)
    assert dataclasses.replace(cell).id != name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"images": 96}, {"images": 96, "epochs": 2}),
        ({}, {"muon_lr": 0.5}),
        ({"lr_search": (1e-3, 3e-3), "lr": 1e-3}, {"lr_search": (3e-3, 1e-3), "lr": 3e-3}),
        ({"lr_search": (1e-3, 3e-3), "lr": 1e-3}, {"lr_search": (1e-3, 3e-3), "lr": 0.5}),
    ],
)
def test_settings_without_effect_name_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The first of the two is written as it always was, so that its name stays."""
    cell = GOLDEN_CELLS["conv on gaussian"][0]
    first, second = (dataclasses.replace(cell, train=Train(**settings)) for settings in (one, other))
    assert first.id == second.id
    assert [trial.id for trial in first.trials()] == [trial.id for trial in second.trials()]
    node = first.node()["train"]
    assert first.train is not None and node["epochs"] == first.train.epochs and node["lr"] == first.train.lr


def test_a_negative_zero_is_zero() -> None:
    zero, negative = (works("[conv]", f"[{{gaussian: {{sigma: {sigma}}}}}]")[0].cell for sigma in ("0.0", "-0.0"))
    assert negative.id == zero.id and negative.labels() == zero.labels()
    spans = [{"gaussian": {"sigma": {"range": [low, 0.1]}}} for low in (0.0, -0.0)]
    assert noises.parse(spans[0]).label() == noises.parse(spans[1]).label()


def test_a_raised_revision_names_cells_and_tests_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, noise = GOLDEN_CELLS["conv on gaussian"][0], noises.parse("gaussian")
    names = {cell.id}
    for part in (type(cell.model), type(noise)):
        with monkeypatch.context() as patched:
            patched.setattr(part, "revision", 2)
            names.add(dataclasses.replace(cell).id)
            assert Cell.from_node(cell.node()) == cell
    assert len(names) == 3
    before = protocol.score_id(noise, DATA)
    monkeypatch.setattr(type(noise), "revision", 2)
    assert protocol.score_id(noise, DATA) != before


def test_the_protocol_and_every_part_of_the_fingerprint_name_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = noises.parse("gaussian")
    before = protocol.score_id(noise, DATA)
    for constant in ("SCORING_PROTOCOL", "TEST_SEED", "CHUNK"):
        with monkeypatch.context() as patched:
            patched.setattr(protocol, constant, 12345)
            assert protocol.score_id(noise, DATA) != before


values = st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-1, 1) | st.text("ab", max_size=2)
definitions = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
)


@given(definitions, definitions)
def test_equal_definitions_and_only_they_have_equal_names(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (protocol.digest(first) == protocol.digest(second)) == same


@given(st.dictionaries(st.text(max_size=3), values, max_size=5))
def test_the_order_of_keys_does_not_name_anything(definition: dict[str, Any]) -> None:
    assert protocol.digest(dict(reversed(definition.items()))) == protocol.digest(definition)


@pytest.mark.parametrize("cell", [cell for cell, _ in GOLDEN_CELLS.values()], ids=list(GOLDEN_CELLS))
def test_a_cell_survives_being_written_down(cell: Cell) -> None:
    again = Cell.from_node(json.loads(json.dumps(cell.node())))
    assert again == cell and again.id == cell.id and again.labels() == cell.labels()


def test_labels_tell_distinct_cells_apart() -> None:
    spec = "[conv, {conv: {width: [4, 8], objective: [denoise, autoencode]}}, identity, {median: {size: [3, 5]}}]"
    noises = "[{gaussian: {sigma: [0.1, {range: [0, 0.1]}], clip: [true, false]}}, {gaussian: {quantize: true}}]"
    found = works(spec, noises, "seeds: [0, 1]")
    labels = [json.dumps(work.cell.labels()) for work in found]
    assert len(set(labels)) == len(labels) == len({work.cell.id for work in found})


def test_a_thousand_cells_are_planned_at_once() -> None:
    levels = ", ".join(str(i / 100) for i in range(100))
    assert len(works("[conv]", f"[{{gaussian: {{sigma: [{levels}]}}}}]", f"seeds: {list(range(10))}")) == 1000
