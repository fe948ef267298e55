"""YAML text to plain values: the grammar, the places, the bounds, and nothing but SpecError from any text."""

import contextlib
import json
import math
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import SpecError
from bench.spec.yaml12 import MAX_CHARACTERS, MAX_DEPTH, MAX_VALUES, Document, dump, read
from tests.helpers.specs import GOOD

words = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"), max_size=20)
numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("+1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e+1", -5.0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        # YAML 1.1 would make booleans, a sexagesimal number, a date, an octal and a merge of these.
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("=", "="),
        ("'1e-3'", "1e-3"),
        ('"010"', "010"),
        ("!!str 5", "5"),
        ("0x", "0x"),
        ("1e", "1e"),
        ("٣", "٣"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}", "spec").value["key"]
    assert found == value and type(found) is type(value)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(read(".NaN", "spec").value)


def test_an_empty_text_holds_nothing() -> None:
    assert read("", "spec").value is None
    assert read("# words\n", "spec").value is None


@given(plain)
def test_json_is_yaml(value: object) -> None:
    assert read(json.dumps(value, ensure_ascii=False), "spec").value == value


@given(plain)
def test_dumped_values_are_read_back_and_pyyaml_agrees(value: object) -> None:
    text = dump(value)
    found = read(text, "spec").value
    assert found == value and repr(found) == repr(value)
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\t1", {"a": 1}),
        ("a: \t 1", {"a": 1}),
        ("a:\t1\t# one\nb: 2\t\n", {"a": 1, "b": 2}),
        ("-\t1\n-\t2", [1, 2]),
        ("a:\t[1,\t2\t]", {"a": [1, 2]}),
        ("a: [1,\n\t2]", {"a": [1, 2]}),
        ('"a"\t:\t"b\tc"', {"a": "b\tc"}),
    ],
)
def test_tabs_may_stand_between_the_parts_of_a_line(text: str, value: object) -> None:
    assert read(text, "x").value == value


@pytest.mark.parametrize("text", ["1e-3", "no", "010", "0o7", "1:30", "~", "", "null", "2020-01-01", "<<", "="])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert read(dump({"name": text}), "spec").value == {"name": text}


def test_values_know_their_lines() -> None:
    document = read("a:\n  - 1\n  - b: 2\n    c:\n      3\nd: {e: 4,\n    f: 5}\n", "x.yaml")
    assert document.place(()) == "x.yaml, line 1"
    assert document.place(("a",)) == "x.yaml, line 1"
    assert document.place(("a", 1, "b")) == "x.yaml, line 3"
    assert document.place(("a", 1, "c")) == "x.yaml, line 4"
    assert document.place(("d", "f")) == "x.yaml, line 7"
    assert document.place(("a", 1, "absent", 7)) == "x.yaml, line 3"


def test_an_alias_repeats_a_value_of_its_own() -> None:
    document = read("a: &x {b: [1]}\nc: *x\n", "spec")
    assert document.value == {"a": {"b": [1]}, "c": {"b": [1]}}
    document.value["a"]["b"].append(2)
    assert document.value["c"] == {"b": [1]}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' is given twice"),
        ("a:\n  b: 1\n  'b': 2", "line 3: key 'b' is given twice"),
        ("a: {1: x, '1': y}", "key '1' is given twice"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: tag '!!python/object/apply:os.system' is not allowed"),
        ("a: !!python/name:os.system", "tag '!!python/name:os.system'"),
        ("!!python/name:os.system a: 1", "tag '!!python/name:os.system'"),
        ("a: !mine x", "tag '!mine'"),
        ("a: !!set {x}", "tag '!!set'"),
        ("a: !!binary aGk=", "tag '!!binary'"),
        ("a: !!map [x]", "tag '!!map'"),
        ("a: !!int x", "'x' is tagged !!int but isn't one"),
        ("a: !!float x", "'x' is tagged !!float but isn't one"),
        ("a: !!bool 1", "'1' is tagged !!bool but isn't one"),
        ("a: &x [*x]", "line 1: a value that contains an alias to itself"),
        ("a: &x\n  b: *x", "line 1: a value that contains an alias to itself"),
        ("a: *x", "line 1: not valid YAML: found undefined alias 'x'"),
        (BOMB, f"more than {MAX_VALUES:,} values, once every alias is written out"),
        ("a: 1\n---\nb: 2", "line 2: a second document starts here"),
        ("a:\n\tb: 1", "line 2: not valid YAML: a tab where only spaces are allowed"),
        ("a:1\nb: 2", "line 2: not valid YAML: a ':' is not allowed here"),
        ("a: 'x\nb: 2", "line 1: not valid YAML: the quote that opens in this line is never closed"),
        ("b: 1\na: [x\n", "line 2: not valid YAML: while parsing a flow sequence"),
        ("a: [x}", "line 1: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got '}'"),
        ("a: 1\nb: \x07", "line 2: not valid YAML: the control character '\\x07'"),
        ('a: "\\0"', "line 1: '\\x00' holds the control character"),
        ('a: "\\e[2J"', "holds the control character '\\x1b'"),
        ('a: "\\ud800"', "holds the control character '\\ud800'"),
        ('a: "\\UFFFFFFFF"', "not valid YAML: a number in an escape or a directive is out of range"),
        ("? [a, b]\n: 1", "line 1: a key must be a word"),
        (f"a: {'9' * 200}", "line 1: number '999"),
        (f"a: {'9' * 5000}", "(5,000 characters) is too long"),
        (f"%YAML 1.{'9' * 5000}\n---\na", "not valid YAML"),
    ],
)
def test_a_refusal_takes_a_line_or_two(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text, "x.yaml")
    said = str(caught.value)
    assert said.startswith("x.yaml") and words in said
    assert said.count("\n") <= 1 and len(said) < 400


def test_no_tag_runs_code(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    for text in (
        f"a: !!python/object/apply:os.system ['touch {proof}']",
        f"a: !!python/object/apply:subprocess.check_output [[touch, {proof}]]",
        f"a: !!python/object/new:os.system ['touch {proof}']",
        f"!!python/object/apply:os.system ['touch {proof}']: b",
    ):
        with pytest.raises(SpecError):
            read(text, "spec")
    assert not proof.exists()


NESTED = {
    "flow sequences": "a: " + "[" * 5000 + "]" * 5000,
    "flow mappings": "{a: " * 5000 + "1" + "}" * 5000,
    "block sequences": "- " * 5000 + "a",
    "block mappings": "".join(" " * i + "a:\n" for i in range(900)),
    "keys": "? " * 5000 + "a",
    "unclosed": "[" * MAX_CHARACTERS,
}


@pytest.mark.parametrize("text", NESTED.values(), ids=list(NESTED))
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=f"nested more than {MAX_DEPTH} levels deep"):
        read(text, "spec")


def test_nesting_by_aliases_is_refused() -> None:
    text = "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))
    with pytest.raises(SpecError, match=f"nested more than {MAX_DEPTH} levels deep, once aliases are written out"):
        read(text, "spec")


HUGE = {
    "values in flow": f"a: [{'a,' * 240_000}]",
    "keys": "".join(f"k{i}: 1\n" for i in range(45_000)),
    "sequences in a line": "- - - - - - - - - a\n" * 25_000,
    "anchors": "a: [" + "".join(f"&a{i} b," for i in range(45_000)) + "]",
    "comments": "a: 1\n" + "# x\n" * 124_000 + "b",
    "blanks": "a: 1\n" + "\n" * 490_000 + "]",
    "words": "a: " + "x " * 240_000 + ": 1",
    "quoted": "a: '" + "''" * 240_000,
    "escapes": 'a: "' + "\\n" * 240_000,
    "block text": "a: |\n" + " x\n" * 160_000 + "\tb: 1",
    "more text": "a" * (MAX_CHARACTERS + 1),
}


@pytest.mark.parametrize("text", HUGE.values(), ids=list(HUGE))
def test_huge_texts_are_refused_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(SpecError):
        read(text, "spec")
    assert time.process_time() - started < 3


def test_long_lists_and_deep_values_within_the_bounds_are_read() -> None:
    assert len(read(f"[{', '.join(map(str, range(20_000)))}]", "spec").value) == 20_000
    assert read("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "spec").value is not None


@given(st.text())
def test_any_text_gives_a_document_or_a_spec_error(text: str) -> None:
    _read_or_refuse(text)


@given(st.lists(st.sampled_from([*list(":-?[]{},&*!|>'\"%@`#~ \n\t\\0a.e"), "- ", ": ", "<<", "!!int ", "&a ", "*a"])))
def test_any_mixture_of_signs_gives_a_document_or_a_spec_error(signs: list[str]) -> None:
    _read_or_refuse("".join(signs))


@given(st.integers(0, len(GOOD)), st.integers(0, 20), st.text(":-[]{},&*!'\"#\n\t a0.", max_size=5))
def test_any_change_of_a_good_spec_gives_a_document_or_a_spec_error(at: int, cut: int, new: str) -> None:
    _read_or_refuse(GOOD[:at] + new + GOOD[at + cut :])


def _read_or_refuse(text: str) -> None:
    try:
        json.dumps(read(text, "spec").value)
    except SpecError as error:
        assert str(error).count("\n") <= 1 and len(str(error)) < 600


SPEC = "name: x\nmodels: [conv, {unet: {width: 4}}]\ntrain: {lr: 1}\nempty:\n"


@pytest.mark.parametrize(
    ("assignments", "path", "value"),
    [
        (["train.lr=2"], ("train", "lr"), 2),
        (["train.lr=1e-3"], ("train", "lr"), 0.001),
        (["train.epochs=[1, 2]"], ("train", "epochs"), [1, 2]),
        (["train={epochs: 3}"], ("train",), {"epochs": 3}),
        (["train.epochs=1", "train.epochs=2"], ("train", "epochs"), 2),
        (["train={epochs: 3}", "train.lr=4"], ("train",), {"epochs": 3, "lr": 4}),
        (["models.0=dncnn"], ("models", 0), "dncnn"),
        (["models.1.unet.width=8"], ("models", 1), {"unet": {"width": 8}}),
        (["models.0.conv.width=8"], ("models", 0), {"conv": {"width": 8}}),
        (["models.0.conv={width: 8}"], ("models", 0), {"conv": {"width": 8}}),
        (["new.deep.key=no"], ("new", "deep", "key"), "no"),
        (["empty.a=1"], ("empty",), {"a": 1}),
        (["name="], ("name",), None),
        ([" name = a=b "], ("name",), "a=b"),
    ],
)
def test_overrides(assignments: list[str], path: tuple[str | int, ...], value: object) -> None:
    document = read(SPEC, "x.yaml")
    for assignment in assignments:
        document.override(assignment)
    found = document.value
    for step in path:
        found = found[step]
    assert found == value
    key = assignments[-1].partition("=")[0].strip()
    assert document.place(int(part) if part.isdigit() else part for part in key.split(".")) == f"--set {key}"
    assert document.place(("name",)) == ("--set name" if path == ("name",) else "x.yaml, line 1")


def test_an_override_takes_the_place_of_what_was_inside() -> None:
    document = read("a: {b: {c: 1}, d: 2}", "x.yaml")
    document.override("a.b={c: 5}")
    assert document.place(("a", "b", "c")) == "--set a.b"
    assert document.place(("a", "d")) == "x.yaml, line 1"


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.lr", "--set 'train.lr': expected KEY=VALUE, as in --set train.epochs=2"),
        ("=3", "expected KEY=VALUE"),
        (".=3", "expected KEY=VALUE"),
        ("train..lr=3", "expected KEY=VALUE"),
        ("name.x=1", "--set name.x: 'name' is 'x', which has no keys"),
        ("train.lr.x=1", "--set train.lr.x: 'train.lr' is 1, which has no keys"),
        ("models.2=conv", "--set models.2: 'models' is a list of 2, so its entries are 0 to 1"),
        ("models.-1=conv", "'models' is a list of 2"),
        ("models.x=conv", "'models' is a list of 2"),
        ("models.²=conv", "'models' is a list of 2"),
        (f"models.{'9' * 5000}=conv", "'models' is a list of 2"),
        ("models.0.unet.width=4", "--set models.0.unet.width: 'models.0' is 'conv', which has no keys"),
        ("train.lr=[", "--set train.lr, line 1: not valid YAML"),
        ("train.lr=!!python/name:os.system", "--set train.lr, line 1: tag"),
        ("train.lr=a: b: c", "--set train.lr, line 1: not valid YAML"),
        ("x" * 5000 + ".=1", "expected KEY=VALUE"),
    ],
)
def test_malformed_overrides(assignment: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(SPEC, "x.yaml").override(assignment)
    assert words in str(caught.value) and len(str(caught.value)) < 300


@given(st.text(max_size=30))
def test_any_override_is_done_or_refused(assignment: str) -> None:
    document = read(SPEC, "x.yaml")
    with contextlib.suppress(SpecError):
        document.override(assignment)
    assert isinstance(document.value, dict)


def test_the_place_of_an_empty_document_is_its_source() -> None:
    assert Document("x.yaml").place(("a", 0)) == "x.yaml"
