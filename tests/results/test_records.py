"""Records: what is written comes back, in folders of before as well."""

import json
from pathlib import Path

import pytest

from bench.core.labels import Label
from bench.metrics import metrics
from bench.metrics._conventions import CONVENTIONS
from bench.results.noise_tests import NoiseTest
from bench.results.records import Contender, RunPlan, setting_value
from bench.results.store import Store
from bench.spec import load
from bench.spec.plan import works_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")
CHANGES = (
    ("lr: 2.0e-3", "lr: [2.0e-3, 1.0e-3]"),
    ("  - masking: {p: 0.25}", "  - gaussian: {sigma: {range: [0.1, 0.2]}}\n  - compose: {of: [gaussian, masking]}"),
)


def plan_of(folder: Path) -> RunPlan:
    experiment = load(write_spec(folder, *CHANGES))
    return RunPlan.of(experiment, works_of(experiment), "cifar10")


def test_a_plan_survives_being_written_down(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    again = RunPlan.from_node(json.loads(json.dumps(plan.node())))
    assert again == plan
    assert again.node() == plan.node()
    assert [test.protocol for test in again.tests] == [test.protocol for test in plan.tests]


def test_a_plan_of_every_metric_and_convention_is_read_from_its_folder(tmp_path: Path) -> None:
    every = [name for name in metrics] + [{name: {"like": like}} for name in ("psnr", "ssim") for like in CONVENTIONS]
    experiment = load(write_spec(tmp_path), [f"metrics={json.dumps(every)}"])
    plan = RunPlan.of(experiment, works_of(experiment), "cifar10")
    assert any(metric.pooled for metric in plan.metrics)
    store = Store(tmp_path / "results")
    store.begin(experiment.node(), plan)
    assert store.plan() == plan


def test_tests_know_the_level_of_their_noise(tmp_path: Path) -> None:
    levels = {str(test.label): (test.level_key, test.level) for test in plan_of(tmp_path).tests}
    assert levels["gaussian(sigma=0.1)"] == ("sigma", 0.1)
    assert levels["gaussian(sigma=0.1..0.2)"] == ("", None), "a level is drawn for each image"
    assert [level for label, (_, level) in levels.items() if label.startswith("compose")] == [None]


def test_plans_written_before_levels_were_kept_are_read_with_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    node = json.loads(json.dumps(plan.node()))
    for cell in node["cells"]:
        for test in cell["tests"]:
            del test["level"]
    old = RunPlan.from_node(node)
    assert [(test.id, test.level) for test in old.tests] == [(test.id, test.level) for test in plan.tests]


def test_a_family_of_noises_differs_in_its_level_only() -> None:
    masks = [
        NoiseTest.from_node({"id": text, "label": text, "match": text, "protocol": {}})
        for text in ("masking(p=0.1, fill=0.0)", "masking(p=0.2, fill=0.0)", "masking(p=0.2, fill=1.0)")
    ]
    assert masks[0].family == masks[1].family != masks[2].family


def test_contenders_differ_in_all_that_sets_trainings_apart_but_the_seed(tmp_path: Path) -> None:
    found = {cell.contender for cell in plan_of(tmp_path).cells}
    conv = Label.parse("conv(width=4)")
    assert Contender(conv, "denoise", Label.parse("gaussian(sigma=0.1)"), (("lr", 0.002),)) in found
    assert Contender(Label.parse("identity"), settings=(("lr", None),)) in found
    assert len(found) == 2 * 3 + 1


def test_settings_of_every_kind_can_be_compared() -> None:
    for value in (0.1, None, [1, 2], {"search": [0.001, 0.003]}):
        hash(setting_value(value))
