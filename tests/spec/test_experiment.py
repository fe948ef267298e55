"""The grammar of a spec: what each form stands for, and that an experiment survives being written down."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench import spec
from bench.core.errors import BenchError, DataError, SpecError
from bench.datasets import Dataset, datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.spec import Experiment, Train, parse
from bench.spec.grids import MAX_CELLS
from bench.spec.yaml12 import dump, read
from tests.helpers.specs import GOOD, changed

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
LEAST = "name: x\ndataset: photos\nmodels: [identity]\nnoises: [gaussian]\n"


def noise_labels(text: str) -> list[str]:
    return [noise.label() for noise in parse(LEAST.replace("noises: [gaussian]", f"noises: [{text}]")).noises]


def model_labels(text: str) -> list[str]:
    return [entry.model.label() for entry in parse(LEAST.replace("models: [identity]", f"models: [{text}]")).models]


def test_a_spec_needs_four_keys_and_has_defaults_for_the_others() -> None:
    found = parse(LEAST)
    assert found.train == (Train(),)
    assert found.seeds == (0,) and found.test_noises is None and found.fallback is None
    assert [metric.name for metric in found.metrics] == ["mse", "psnr", "ssim"]
    assert found.dataset == datasets["photos"]()


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("gaussian", ["gaussian(sigma=0.1)"]),
        ("gaussian:", ["gaussian(sigma=0.1)"]),
        ("{gaussian: {}}", ["gaussian(sigma=0.1)"]),
        ("{gaussian: {sigma: 1e-3}}", ["gaussian(sigma=0.001)"]),
        ("{poisson: {peak: 010}}", ["poisson(peak=10.0)"]),
        ("{gaussian: {sigma: [0.1, 0.2]}}", ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)"]),
        ("{gaussian: {sigma: {grid: [0.1, 0.2]}}}", ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)"]),
        ("{gaussian: {sigma: {range: [0.1, 0.2]}}}", ["gaussian(sigma=0.1..0.2)"]),
        ("{gaussian: {sigma: [0, {range: [0, 1]}]}}", ["gaussian(sigma=0.0)", "gaussian(sigma=0.0..1.0)"]),
        ("{gaussian: {severity: 3}}", ["gaussian(sigma=0.08)"]),
        ("{gaussian: {severity: [1, 5]}}", ["gaussian(sigma=0.04)", "gaussian(sigma=0.1)"]),
        ("{gaussian: {clip: [true, false]}}", ["gaussian(sigma=0.1)", "gaussian(sigma=0.1, clip=false)"]),
        (
            "{compose: {of: [{gaussian: {sigma: 0.2}}, masking]}}",
            ["compose(of=[gaussian(sigma=0.2), masking(p=0.25, fill=0.0, per=element)])"],
        ),
        (
            "{compose: {of: {grid: [[{gaussian: {sigma: 0.2}}], [speckle]]}}}",
            ["compose(of=[gaussian(sigma=0.2)])", "compose(of=[speckle(sigma=0.15)])"],
        ),
        ("gaussian, {gaussian: {sigma: 0.1}}, {gaussian: {severity: 5}}", ["gaussian(sigma=0.1)"]),
    ],
)
def test_noises(text: str, labels: list[str]) -> None:
    assert noise_labels(text) == labels


def test_a_grid_of_two_keys_is_their_product_in_the_order_of_the_fields() -> None:
    both = noise_labels("{masking: {fill: [0, 1], p: [0.1, 0.2]}}")
    assert both == [f"masking(p={p}, fill={fill}, per=element)" for p in (0.1, 0.2) for fill in (0.0, 1.0)]
    assert noise_labels("{masking: {p: [0.1, 0.2], fill: [0, 1]}}") == both


def test_a_list_on_a_list_field_is_one_value_and_grid_sweeps_lists() -> None:
    text = LEAST.replace("photos", "{name: folder, root: [a, b]}")
    assert parse(text).dataset.params()["root"] == ["a", "b"]


def test_models() -> None:
    assert model_labels("conv, {conv: {width: [4, 8]}}, {conv: {objective: autoencode}}, median") == [
        "conv(width=16)",
        "conv(width=4)",
        "conv(width=8)",
        "conv(width=16, objective=autoencode)",
        "median(size=3)",
    ]


def test_metrics_take_keys_and_grids() -> None:
    found = parse(LEAST + "metrics: [mse, {pairwise_distance: {over: [row, image]}}]").metrics
    assert [metric.column for metric in found] == ["mse", "pairwise_distance", "pairwise_distance(over=image)"]


def test_train_settings_are_a_grid() -> None:
    found = parse(LEAST + "train: {lr: [1e-3, 1e-2], epochs: [1, 2], batch_size: 8}")
    assert [(train.epochs, train.lr) for train in found.train] == [(1, 0.001), (1, 0.01), (2, 0.001), (2, 0.01)]
    assert found.varied == ("epochs", "lr")
    assert parse(LEAST).varied == ()


def test_test_noises_are_the_same_or_a_list() -> None:
    assert parse(LEAST + "test_noises: same").test_noises is None
    found = parse(LEAST + "test_noises: [masking, {gaussian: {sigma: [0.1, 0.3]}}]").test_noises
    assert found is not None and [noise.name for noise in found] == ["masking", "gaussian", "gaussian"]


def test_words_are_words() -> None:
    assert parse(LEAST.replace("name: x", "name: no")).name == "no"
    with pytest.raises(SpecError, match="name"):
        parse(LEAST.replace("name: x", "name: 1e-3"))
    assert parse(LEAST.replace("name: x", "name: '1e-3'")).name == "1e-3"


@pytest.mark.parametrize("name", ["a", "A1", "0", "a.b_c-d", "x" * 100])
def test_names(name: str) -> None:
    assert parse(LEAST.replace("name: x", f"name: '{name}'")).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "a\\b", "-a", "_a", "a b", "a:b", "é", "x" * 101, "a\n"]
)
def test_names_that_could_leave_the_results_folder_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="a name is at most 100 letters"):
        parse(LEAST.replace("name: x", f"name: {json.dumps(name)}"))


def test_overrides_are_applied_in_order_and_named_in_errors() -> None:
    found = parse(
        LEAST, "x.yaml", ["train.epochs=2", "train.epochs=3", "noises=[masking]", "dataset={name: photos, size: 16}"]
    )
    assert found.train[0].epochs == 3 and found.noises[0].name == "masking" and found.dataset.size == 16
    with pytest.raises(SpecError, match=r"^--set train.epochs: must be at least 1; got 0$"):
        parse(LEAST, "x.yaml", ["train.epochs=0"])


def test_an_experiment_knows_where_its_dataset_is_written() -> None:
    experiment = parse("name: x\nmodels: [identity]\ndataset: photos\nnoises: [gaussian]", "x.yaml")
    with pytest.raises(DataError, match=r"^x.yaml, line 3: gone$"), experiment.at_dataset():
        raise DataError("gone")
    assert experiment == parse(LEAST)


def test_the_fallback_keeps_size_and_counts() -> None:
    text = LEAST.replace("photos", "{name: cifar10, fallback: photos, size: 28, train: 100, validation: 0.2, test: 7}")
    stand_in = parse(text).with_fallback().dataset
    assert stand_in == datasets["photos"](size=28, train=100, validation=0.2, test=7)
    with pytest.raises(SpecError, match="names no fallback"):
        parse(LEAST).with_fallback()


def test_a_grid_of_too_many_points_is_refused_before_it_is_made() -> None:
    many = ", ".join(f"{i / 1000}" for i in range(1, 1000))
    with pytest.raises(SpecError, match="grid of 997,002,999 points; one spec runs at most 20,000 cells"):
        noise_labels(f"{{salt_and_pepper: {{p: [{many}], salt: [{many}], clip: {{grid: [{many}]}}}}}}")
    with pytest.raises(SpecError, match="1 models x 1 noises x 1 train settings x 20,001 seeds make 20,001 cells"):
        parse(LEAST + f"seeds: [{', '.join(map(str, range(MAX_CELLS + 1)))}]")
    half = ", ".join(f"{i / 20_000}" for i in range(10_001))
    with pytest.raises(SpecError, match="a grid of 10,001 points; one spec runs at most 20,000 cells"):
        noise_labels(f"{{gaussian: {{sigma: [{half}]}}}}, {{speckle: {{sigma: [{half}]}}}}")


def test_too_many_tests_are_refused() -> None:
    with pytest.raises(SpecError, match="x 101 test_noises make 101,000 tests; one spec runs at most 100,000"):
        levels = ", ".join(f"{i / 200}" for i in range(101))
        parse(LEAST + f"seeds: {list(range(1000))}\ntest_noises: [{{gaussian: {{sigma: [{levels}]}}}}]")


# Experiments at random, as a spec would write them.
level = st.floats(0.0, 1.0)
whole = st.integers(1, 64)


def given_as(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, or a grid of them in either spelling."""
    several = st.lists(values, min_size=1, max_size=3)
    return values | several | several.map(lambda grid: {"grid": grid})


def keys(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


ranges = st.tuples(level, level).map(lambda ends: {"range": sorted(ends)})
simple_noises = st.one_of(
    st.sampled_from(sorted(noises)),
    keys(sigma=level | ranges, clip=st.booleans()).map(lambda p: {"gaussian": p}),
    keys(sigma=level | ranges, quantize=st.booleans()).map(lambda p: {"gaussian": p}),
    keys(p=level | ranges, fill=level, per=st.sampled_from(["element", "pixel"])).map(lambda p: {"masking": p}),
    st.integers(1, 5).map(lambda severity: {"poisson": {"severity": severity}}),
)
noise_nodes = st.one_of(
    simple_noises,
    keys(sigma=given_as(level | ranges), fresh=given_as(st.booleans())).map(lambda p: {"gaussian": p}),
    keys(quality=given_as(whole)).map(lambda p: {"jpeg": p}),
    st.lists(simple_noises, min_size=1, max_size=3).map(lambda of: {"compose": {"of": of}}),
)
objectives = st.sampled_from(["denoise", "autoencode"])
rates = st.floats(1e-9, 100)
train_nodes = keys(
    epochs=given_as(whole),
    lr=given_as(rates | st.lists(rates, min_size=1, max_size=3).map(lambda tried: {"search": tried})),
    weight_decay=given_as(level),
    flips=given_as(st.booleans()),
    optimizer=given_as(st.sampled_from(["adam", "adamw", "sgd", "muon"])),
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
    keep=given_as(st.sampled_from(["best", "last"])),
)
model_nodes = st.one_of(
    st.sampled_from(sorted(models)),
    keys(width=given_as(whole), objective=given_as(objectives)).map(lambda p: {"conv": p}),
    keys(size=given_as(st.sampled_from([3, 5, 7]))).map(lambda p: {"median": p}),
    keys(depth=given_as(st.integers(1, 3)), train=train_nodes).map(lambda p: {"unet": p}),
)
nodes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "dataset": st.just("photos")
        | keys(size=st.integers(8, 512), validation=level.filter(lambda v: v < 1)).map(
            lambda p: {"name": "photos", **p}
        ),
        "models": st.lists(model_nodes, min_size=1, max_size=3),
        "noises": st.lists(noise_nodes, min_size=1, max_size=3),
    },
    optional={
        "test_noises": st.just("same") | st.lists(noise_nodes, min_size=1, max_size=2),
        "train": train_nodes,
        "metrics": st.lists(st.sampled_from(sorted(metrics)), min_size=1, max_size=3),
        "seeds": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True),
    },
)


@given(nodes)
def test_what_an_experiment_writes_down_reads_as_the_same_experiment(node: dict[str, Any]) -> None:
    experiment = parse(dump(node))
    text = dump(experiment.node())
    again = parse(text)
    assert again == experiment
    assert [repr(getattr(again, key)) for key in ("models", "noises", "test_noises", "train")] == [
        repr(getattr(experiment, key)) for key in ("models", "noises", "test_noises", "train")
    ]
    assert dump(again.node()) == text


@given(nodes, st.randoms())
def test_the_order_of_keys_says_nothing(node: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert parse(dump(shuffled(node))) == parse(dump(node))


@given(nodes)
def test_the_schema_accepts_what_the_spec_accepts(node: dict[str, Any]) -> None:
    parse(dump(node))
    VALIDATOR.validate(read(dump(node), "spec").value)


VALIDATOR = Draft202012Validator(spec.schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(spec.schema())
    json.dumps(spec.schema())


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_experiments_that_come_along_are_valid(path: Path) -> None:
    experiment = spec.load(path)
    assert experiment.name == path.stem
    VALIDATOR.validate(read(path.read_text(encoding="utf-8"), path.name).value)


WRONG = {
    "unknown top key": changed("seeds:", "sedes:"),
    "unknown noise": changed("gaussian", "gausian"),
    "unknown noise key": changed("sigma", "sgima"),
    "unknown model key": changed("size: [3, 5]", "side: 3"),
    "unknown train key": changed("epochs", "epoch"),
    "unknown dataset": changed("folder", "folders"),
    "unknown dataset key": changed("validation", "validate"),
    "dataset without root": changed("root: images, ", ""),
    "grid on a dataset": changed("size: 32", "size: [28, 32]"),
    "p above 1": changed("p: 0.25", "p: 1.5"),
    "sigma below 0": changed("sigma: 0.1", "sigma: -1"),
    "text for a number": changed("sigma: 0.1", "sigma: high"),
    "number for a list": changed("seeds: [0]", "seeds: 0"),
    "negative seed": changed("seeds: [0]", "seeds: [-1]"),
    "seed twice": changed("seeds: [0]", "seeds: [1, 1]"),
    "no models": "name: x\ndataset: photos\nmodels: []\nnoises: [gaussian]",
    "name with a slash": changed("name: good", "name: ../good"),
    "name missing": changed("name: good\n", ""),
    "epochs of a half": changed("epochs: 1", "epochs: 1.5"),
    "threads 0": changed("epochs: 1", "threads: 0"),
    "severity 9": changed("sigma: 0.1", "severity: 9"),
    "range of three": changed("sigma: 0.1", "sigma: {range: [1, 2, 3]}"),
    "empty grid": changed("sigma: 0.1", "sigma: {grid: []}"),
    "empty list": changed("sigma: 0.1", "sigma: []"),
    "two names": changed("- gaussian: {sigma: 0.1}", "- {gaussian: {}, masking: {}}"),
    "unknown in compose": changed("gaussian: {sigma: 0.1}", "compose: {of: [gausian]}"),
    "a list at the top": "- a\n",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=list(WRONG))
def test_the_schema_and_the_spec_refuse_the_same_mistakes(text: str) -> None:
    assert not VALIDATOR.is_valid(read(text, "spec").value)
    with pytest.raises(SpecError):
        parse(text)


def test_the_schema_tells_what_keys_mean() -> None:
    described = spec.schema()
    assert described["properties"]["train"]["properties"]["lr"]["description"]
    for kind, registry in (("noise", noises), ("model", models), ("metric", metrics)):
        nodes = described["$defs"][kind]["anyOf"][1:]
        entries = {key: entry for node in nodes for key, entry in node["properties"].items()}
        assert list(entries) == list(registry)
        for name, entry in entries.items():
            beside = {"ensemble"} if registry is models else set()
            beside |= {"train", "recipe"} if registry is models and models[name].trains else set()
            assert set(entry["properties"]) == set(registry[name].accepted()) | beside
            assert entry["description"] and all(key["description"] for key in entry["properties"].values()), name
    alone, *named = described["properties"]["dataset"]["anyOf"]
    assert [entry["properties"]["name"]["const"] for entry in named] == list(datasets)
    assert "cifar10" in alone["enum"] and "folder" not in alone["enum"]


@given(st.binary(max_size=200))
def test_any_file_is_a_spec_or_a_bench_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(BenchError):
        spec.load(path)


JUNK = ["0", "-1", "1.5", ".nan", "[]", "{}", "null", "'x'", "[0, [1]]", "{grid: [1]}", "{range: [0, 1]}", "true"]
JUNK += ["*a", "&a", "!!int", "9" * 90, "1e99", "same", "conv", "\t", "#", "- "]
junk = st.sampled_from(JUNK)


@given(st.data())
def test_any_change_of_a_good_spec_is_a_spec_or_a_bench_error(data: st.DataObject) -> None:
    tokens = GOOD.replace(",", " , ").replace("{", "{ ").replace("}", " }").split(" ")
    for _ in range(data.draw(st.integers(1, 3))):
        tokens[data.draw(st.integers(0, len(tokens) - 1))] = data.draw(junk | st.text(max_size=5))
    try:
        found = parse(" ".join(tokens))
    except BenchError as error:
        assert len(str(error)) < 1500 and str(error).count("\n") < 3
    else:
        assert isinstance(found, Experiment)


@given(st.data())
def test_any_wrong_value_is_refused_with_its_place(data: st.DataObject) -> None:
    """Whatever stands in for a part of a good spec, the answer is an experiment or names the part."""
    node = read(GOOD, "spec").value
    path, target = [], node
    while isinstance(target, dict | list) and target:
        step = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
        path.append(step)
        parent, target = target, target[step]
        if data.draw(st.booleans()):
            break
    parent[path[-1]] = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab./\\ é", max_size=4),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
        )
    )
    try:
        parse(dump(node))
    except SpecError as error:
        assert str(path[0]) in str(error)


def test_every_field_of_an_experiment_is_written_down() -> None:
    written = set(parse(LEAST).node())
    assert written | {"fallback", "place", "note"} == {field.name for field in dataclasses.fields(Experiment)}
    assert {"name"} | set(Dataset.field_names()) <= set(parse(LEAST).node()["dataset"])
