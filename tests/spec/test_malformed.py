"""What a user can get wrong, end to end: each mistake gives a few lines that say where, what and what else, at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli.main import main
from tests.helpers.cli import PATIENCE
from tests.helpers.specs import GOOD, changed, make_images

FEW_LINES = 4
LONGEST = 900
SECONDS = 10.0

levels = ", ".join(f"{i / 1000}" for i in range(1, 400))
bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
MODELS = "[conv, {median: {size: [3, 5]}}, identity]"
noise_of = "- gaussian: {sigma: 0.1}"
NOISES = "Valid: block_masking, blur, compose, gaussian"

# Each: a spec, the exit code, and words that its message must hold.
SPECS: dict[str, tuple[str | bytes, int, list[str]]] = {
    # Names and keys.
    "unknown noise": (changed("gaussian", "gausian"), 2, ["line 5", "'gausian'", "Did you mean gaussian?", NOISES]),
    "unknown model": (changed("[conv,", "[cov,"), 2, ["line 3: models.0", "'cov'", "Did you mean conv?", "identity"]),
    "unknown dataset": (changed("folder", "cifar100"), 2, ["line 2", "'cifar100'", "Did you mean cifar10?", "photos"]),
    "unknown metric": (GOOD + "metrics: [pnsr]", 2, ["line 9: metrics.0", "'pnsr'", "Did you mean psnr?", "ssim"]),
    "unknown fallback": (changed("size: 32", "fallback: foto"), 2, ["dataset.fallback", "Did you mean photos?"]),
    "fallback a list": (changed("size: 32", "fallback: [photos]"), 2, ["line 2: dataset.fallback", "Valid: "]),
    "misspelt key at the top": (changed("seeds", "seed"), 2, ["line 8", "Did you mean seeds?", "Valid: name"]),
    "train key at the top": (GOOD + "epochs: 3", 2, ["line 9", "'epochs'", "belongs inside train"]),
    "misspelt dataset key": (changed("validation", "validaton"), 2, ["line 2", "Did you mean validation?", "root"]),
    "misspelt fallback": (changed("size: 32", "falback: photos"), 2, ["line 2", "Did you mean fallback?"]),
    "misspelt model key": (changed("size: [3, 5]", "sizes: 3"), 2, ["line 3: models.1.median", "Did you mean size?"]),
    "misspelt noise key": (changed("sigma", "sgima"), 2, ["line 5: noises.0.gaussian", "Did you mean sigma?", "clip"]),
    "misspelt train key": (changed("batch_size", "bath_size"), 2, ["line 7: train", "Did you mean batch_size?", "lr"]),
    "misspelt metric key": (GOOD + "metrics: [{ssim: {sigma: 1}}]", 2, ["line 9: metrics.0.ssim", "'sigma'"]),
    "misspelt key in compose": (
        changed(noise_of, "- compose: {of: [{gaussian: {sgima: 1}}]}"), 2, ["line 5", "compose.of.0.gaussian", "sigma"]
    ),
    "merge key": (changed("batch_size: 16", "<<: {lr: 1}"), 2, ["line 7: train", "'<<'", "1.1 only", "Valid: epochs"]),
    "missing name": (changed("name: good\n", ""), 2, ["line 1", "'name' is missing", "dataset, models, noises"]),
    "missing noises": ("name: x\ndataset: photos\nmodels: [conv]", 2, ["line 1", "'noises' is missing"]),
    "missing root": (changed("root: images, ", ""), 2, ["line 2: dataset.root", "folder", "got nothing"]),
    # Values.
    "p above 1": (changed("p: 0.25", "p: 1.5"), 2, ["line 6: noises.1.masking.p", "must be at most 1; got 1.5"]),
    "negative sigma": (changed("sigma: 0.1", "sigma: -1"), 2, ["line 5: noises.0.gaussian.sigma", "got -1"]),
    "infinite sigma": (changed("sigma: 0.1", "sigma: .inf"), 2, ["line 5", "must be a finite number; got inf"]),
    "overflowing sigma": (changed("sigma: 0.1", "sigma: 1e999"), 2, ["line 5", "must be a finite number; got inf"]),
    "sigma not a number": (changed("sigma: 0.1", "sigma: .nan"), 2, ["line 5", "must be a finite number; got nan"]),
    "sigma a word": (changed("sigma: 0.1", "sigma: high"), 2, ["line 5", "must be a number; got 'high'"]),
    "sigma quoted": (changed("sigma: 0.1", "sigma: '0.1'"), 2, ["line 5", "must be a number; got '0.1'"]),
    "severity 9": (changed("sigma: 0.1", "severity: 9"), 2, ["line 5", "whole number from 1 to 5; got 9"]),
    "severity and sigma": (
        changed("sigma: 0.1", "severity: 2, sigma: 1"), 2, ["line 5", "give severity or sigma, not both"]
    ),
    "severity where there is none": (changed("p: 0.25", "severity: 2"), 2, ["line 6", "'severity'", "Valid: "]),
    "range reversed": (
        changed("sigma: 0.1", "sigma: {range: [2, 1]}"), 2, ["line 5", "sigma.range", "the lower first; got [2, 1]"]
    ),
    "range of three": (changed("sigma: 0.1", "sigma: {range: [1, 2, 3]}"), 2, ["line 5", "{range: [low, high]}"]),
    "range beyond the bounds": (changed("p: 0.25", "p: {range: [0, 2]}"), 2, ["line 6", "must be at most 1; got 2"]),
    "range on a word": (changed("p: 0.25", "per: {range: [0, 1]}"), 2, ["line 6", "takes one value"]),
    "sigma in 8 bits": (changed("sigma: 0.1", "sigma: 25"), 2, ["most 2; got 25. Did you mean 25/255 = 0.098?"]),
    "a sigma among others": (changed("sigma: 0.1", "sigma: [0.1, 50]"), 2, ["gaussian.sigma.1: ", "50/255 = 0.196?"]),
    "range in 8 bits": (changed("sigma: 0.1", "sigma: {range: [0, 50]}"), 2, ["line 5", "got 50. Did you mean 50/255"]),
    "test noise in 8 bits": (GOOD + "test_noises: [{gaussian: {sigma: 15}}]", 2, ["line 9", "15/255 = 0.059?"]),
    "speckle in 8 bits": (changed(noise_of, "- speckle: {sigma: 25}"), 2, ["line 5", "Did you mean 25/255 = 0.098?"]),
    "amplitude in 8 bits": (changed(noise_of, "- uniform: {amplitude: 51}"), 2, ["line 5", "51/255 = 0.200?"]),
    "sigma in compose": (
        changed(noise_of, "- compose: {of: [{gaussian: {sigma: 25}}]}"), 2, ["line 5: noises.0.compose.of.0", "0.098?"]
    ),
    "sigma of no scale": (changed("sigma: 0.1", "sigma: 2500"), 2, ["line 5", "must be at most 2; got 2500\n"]),
    "p in percent": (changed("p: 0.25", "p: 10"), 2, ["line 6", "must be at most 1; got 10. Did you mean 10 % = 0.1?"]),
    "fill in 8 bits": (changed("p: 0.25", "fill: 128"), 2, ["line 6", "got 128. Did you mean 128/255 = 0.502?"]),
    "quality as a share": (changed(noise_of, "- jpeg: {quality: 0.5}"), 2, ["line 5", "got 0.5. Did you mean 50?"]),
    "peak as a level": (changed(noise_of, "- poisson: {peak: 0.1}"), 2, ["line 5", "got 0.1. It counts photons"]),
    "blur in 8 bits": (changed(noise_of, "- blur: {sigma: 25}"), 2, ["line 5", "at most 10; got 25. It is in pixels"]),
    "a denoiser in 8 bits": (changed("[conv,", "[{bm3d: {sigma: 25}},"), 2, ["line 3", "Did you mean 25/255 = 0.098?"]),
    "validation in percent": (changed("n: 0.1", "n: 10"), 2, ["line 2", "less than 1; got 10. Did you mean 10 %"]),
    "validation counted": (changed("n: 0.1", "n: 500"), 2, ["line 2", "It is a share, not a number of images"]),
    "epochs of a half": (changed("epochs: 1", "epochs: 1.5"), 2, ["line 7: train.epochs", "whole number; got 1.5"]),
    "epochs true": (changed("epochs: 1", "epochs: true"), 2, ["line 7: train.epochs", "whole number; got true"]),
    "epochs empty": (changed("epochs: 1", "epochs: "), 2, ["line 7: train.epochs", "whole number; got nothing"]),
    "epochs without end": (changed("epochs: 1", f"epochs: {10**12}"), 2, ["line 7", "must be at most 100,000"]),
    "threads 0": (changed("epochs: 1", "threads: 0"), 2, ["line 7: train.threads", "must be at least 1; got 0"]),
    "lr 0": (changed("epochs: 1", "lr: 0"), 2, ["line 7: train.lr", "must be greater than 0; got 0"]),
    "unknown optimizer": (changed("epochs: 1", "optimizer: adm"), 2, ["line 7", "'sgd' or 'muon'; got 'adm'"]),
    "200 digits": (changed("epochs: 1", f"epochs: {'9' * 200}"), 2, ["line 7", "(200 characters) is too long"]),
    "a long word": (changed("epochs: 1", f"epochs: {'x' * 9999}"), 2, ["line 7", "(9,999 characters)"]),
    "seed -1": (changed("[0]", "[-1]"), 2, ["line 8: seeds.0", "from 0 to 9223372036854775807; got -1"]),
    "seed beyond 64 bits": (changed("[0]", f"[{2**63}]"), 2, ["line 8: seeds.0", "from 0 to 9223372036854775807"]),
    "seeds a number": (changed("[0]", "3"), 2, ["line 8: seeds", "as in [0, 1, 2]; got 3"]),
    "seed twice": (changed("[0]", "[0, 1, 1]"), 2, ["line 8: seeds.2", "seed 1 is given twice"]),
    "no seeds": (changed("[0]", "[]"), 2, ["line 8: seeds", "as in [0, 1, 2]; got []"]),
    "width of a word": (changed("[conv,", "[{conv: {width: wide}},"), 2, ["line 3: models.0.conv.width", "got 'wide'"]),
    "size 4": (changed("size: 32", "size: 4"), 2, ["line 2: dataset.size", "must be at least 8; got 4"]),
    "size a grid": (changed("size: 32", "size: [28, 32]"), 2, ["line 2: dataset.size", "got [28, 32]"]),
    "root a number": (changed("root: images", "root: 3"), 2, ["line 2: dataset.root", "got 3"]),
    "name outside the results": (changed("name: good", "name: ../good"), 2, ["line 1: name", "letters", "'../good'"]),
    "name a number": (changed("name: good", "name: 12"), 2, ["line 1: name", "got 12"]),
    # Lists and grids.
    "empty list": (changed(MODELS, "[]"), 2, ["line 3: models", "at least one model"]),
    "models a word": (changed(MODELS, "conv"), 2, ["line 3: models", "got 'conv'"]),
    "noises empty": ("name: x\ndataset: photos\nmodels: [conv]\nnoises:", 2, ["line 4: noises", "got nothing", NOISES]),
    "noise a number": (changed(noise_of, "- 5"), 2, ["line 5: noises.0", "the name of a noise", "got 5", NOISES]),
    "two names in one": (changed(noise_of, "- {gaussian: , masking: }"), 2, ["line 5: noises.0", "one name", NOISES]),
    "keys a number": (changed(noise_of, "- gaussian: 0.1"), 2, ["line 5: noises.0.gaussian", "values; got 0.1"]),
    "train a word": (changed("{epochs: 1, batch_size: 16}", "fast"), 2, ["line 7: train", "{epochs: 10}; got 'fast'"]),
    "train empty text": (changed("{epochs: 1, batch_size: 16}", "''"), 2, ["line 7: train", "got ''"]),
    "test_noises a word": (GOOD + "test_noises: all", 2, ["line 9: test_noises", "`same` or a list", "'all'"]),
    "empty grid": (changed("sigma: 0.1", "sigma: {grid: []}"), 2, ["line 5: noises.0.gaussian.sigma.grid", "got []"]),
    "empty grid in short": (changed("sigma: 0.1", "sigma: []"), 2, ["line 5: noises.0.gaussian.sigma", "got []"]),
    "grid and more": (changed("sigma: 0.1", "sigma: {grid: [1], x: 2}"), 2, ["line 5", "nothing beside it"]),
    "bad value in a grid": (changed("sigma: 0.1", "sigma: [0.1, -2]"), 2, ["line 5: noises.0.gaussian.sigma.1: "]),
    "grid inside compose": (
        changed(noise_of, "- compose: {of: [{gaussian: {sigma: [1, 2]}}]}"), 2, ["line 5", "of.0.gaussian.sigma", "[1,"]
    ),
    "empty compose": (changed(noise_of, "- compose: {of: []}"), 2, ["line 5", "compose.of", "at least 1; got []"]),
    "ten million cells": (
        changed("sigma: 0.1", f"sigma: [{levels}]").replace("seeds: [0]", f"seeds: {list(range(8400))}"),
        2,
        ["line 1", "400 noises", "8,400 seeds make 13,440,000 cells", "at most 20,000"],
    ),
    "a grid of ten millions": (
        changed("p: 0.25", f"p: [{levels}], fill: [{levels}], clip: [{levels}]"), 2, ["line 6: noises.1", "63,521,199"]
    ),
    # Text that is no spec.
    "empty file": ("", 2, ["expected keys and values at the top; got nothing", "Keys: name, dataset"]),
    "a comment": ("# nothing", 2, ["got nothing", "Keys: name, dataset"]),
    "a list": ("- a\n- b", 2, ["line 1", "expected keys and values at the top; got [\"a\", \"b\"]"]),
    "a number": ("42", 2, ["line 1", "got 42"]),
    "a sentence": ("hello world", 2, ["line 1", "got 'hello world'"]),
    "not YAML": ("name: [a\nb: }", 2, ["line 2", "not valid YAML", "'b: }'"]),
    "no space after a colon": (changed("name: good", "name:good"), 2, ["line 2", "not valid YAML", "a space"]),
    "a tab": ("name: x\ntrain:\n\tepochs: 1", 2, ["line 3", "not valid YAML", "a tab where only spaces are allowed"]),
    "an open quote": (changed("name: good", "name: 'good"), 2, ["line 1", "not valid YAML", "never closed"]),
    "a key twice": (GOOD + "name: again", 2, ["line 9", "key 'name' is given twice"]),
    "an inner key twice": (changed("epochs: 1,", "epochs: 1, epochs: 1,"), 2, ["line 7", "'epochs' is given twice"]),
    "a Python tag": (
        changed("sigma: 0.1", "sigma: !!python/object/apply:os.system ['touch PROOF']"), 2, ["line 5", "os.system'"]
    ),
    "a Python name": (changed("name: good", "name: !!python/name:os.system"), 2, ["line 1", "tag", "plain values"]),
    "an alias bomb": (bomb + GOOD, 2, ["line 1", "more than 30,000 values, once every alias is written out"]),
    "an alias to itself": (changed("[conv,", "&m [*m,"), 2, ["line 3", "contains an alias to itself"]),
    "an unknown alias": (changed("[conv,", "[*m,"), 2, ["line 3", "undefined alias 'm'"]),
    "5,000 levels in a line": (changed("0.1}", "[" * 5000 + "]" * 5000 + "}"), 2, ["line 5", "more than 50 levels"]),
    "5,000 levels of lists": ("- " * 5000 + "a", 2, ["line 1", "more than 50 levels deep"]),
    "5,000 levels of keys": ("".join(" " * i + "a:\n" for i in range(5000)), 2, ["more than 500,000 characters"]),
    "900 levels of keys": ("".join(" " * i + "a:\n" for i in range(900)), 2, ["line 50", "more than 50 levels deep"]),
    "two documents": (GOOD + "---\n" + GOOD, 2, ["line 9", "a second document starts here"]),
    "bytes that are no text": (GOOD.encode() + b"# \xe9", 2, ["line 9", "byte 0xe9 is not UTF-8"]),
    "UTF-16": (GOOD.encode("utf-16"), 2, ["line 1", "is not UTF-8"]),
    "a zero byte": (GOOD + "\0", 2, ["line 9", "control character '\\x00'"]),
    "50 MB": (GOOD.encode() + b"# x\n" * 12_500_000, 2, ["more than 500,000 characters"]),
    # Data.
    "a missing folder": (changed("root: images", "root: nowhere"), 3, ["line 2", "nowhere does not exist", "ROOT/"]),
    "a folder without images": (changed("root: images", "root: empty"), 3, ["line 2", "empty has no pictures", ".png"]),
    "a folder of nobody": (changed("root: images", "root: ~nobody-there/x"), 3, ["line 2", "~nobody-there/x does"]),
    "a path without end": (changed("root: images", f"root: {'x' * 9999}"), 3, ["line 2", "does not exist", "... ("]),
    "a file for a folder": (changed("root: images", "root: spec.yaml"), 3, ["line 2", "spec.yaml is a file", "ROOT/"]),
    "too many training images": (changed("train: 20", "train: 21"), 2, ["line 2", "train: 21", "at most 20"]),
    "too many test images": (changed("test: 4", "test: 5"), 2, ["line 2", "test: 5 asked, 4 available"]),
    "no training images": (changed("train: 20", "train: 0"), 2, ["line 2: dataset.train", "must be at least 1; got 0"]),
    "nothing but validation": (changed("validation: 0.1", "validation: 1"), 2, ["line 2", "be less than 1; got 1"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("malformed")
    make_images(home)
    (home / "empty").mkdir()
    return home


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(folder / "cache"))


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and what was said, after checks that hold for every mistake."""
    started = time.perf_counter()
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert time.perf_counter() - started < SECONDS
    return result.exit_code, result.output


def complained(output: str, words: list[str]) -> None:
    assert output.startswith("Error: ")
    assert output.count("\n") <= FEW_LINES and len(output) < LONGEST, output
    for word in words:
        assert word in output
    for machinery in ("Traceback", "pydantic", "type=", "Input should be", "None", "Mapping"):
        assert machinery not in output


def test_the_good_spec_is_good() -> None:
    Path("spec.yaml").write_text(GOOD)
    code, output = run("plan", "spec.yaml")
    assert code == 0 and "5 cells: 0 finished, 5 to run (2 epochs, 8 tests)" in output


@pytest.mark.parametrize(("content", "code", "words"), SPECS.values(), ids=list(SPECS))
def test_specs(content: str | bytes, code: int, words: list[str]) -> None:
    Path("spec.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    found, output = run("plan", "spec.yaml")
    assert found == code, output
    complained(output, ["spec.yaml", *words])
    assert not Path("PROOF").exists()


OVERRIDES = {
    "train.epochs": ["expected KEY=VALUE, as in --set train.epochs=2"],
    "=3": ["expected KEY=VALUE"],
    "train..epochs=3": ["expected KEY=VALUE"],
    "epochs=3": ["--set epochs", "belongs inside train"],
    "trian.epochs=3": ["--set trian.epochs", "Did you mean train?"],
    "train.epoch=3": ["--set train.epoch", "Did you mean epochs?"],
    "train.epochs=0": ["--set train.epochs: must be at least 1; got 0"],
    "train.epochs.x=3": ["'train.epochs' is 1, which has no keys"],
    "name.x=3": ["'name' is 'good', which has no keys"],
    "models.3=conv": ["'models' is a list of 3, so its entries are 0 to 2"],
    "models.x=conv": ["'models' is a list of 3, so its entries are 0 to 2"],
    "train.epochs=[": ["--set train.epochs", "not valid YAML"],
    "noises=[]": ["--set noises: expected a list of at least one noise"],
    "noises.0.gaussian={sigma: -1}": ["--set noises.0.gaussian: noises.0.gaussian.sigma: must be at least 0; got -1"],
    "name=../x": ["--set name: a name is", "'../x'"],
    "name=!!python/name:os.system": ["--set name", "tag '!!python/name:os.system'"],
    "dataset.root=nowhere": ["spec.yaml", "nowhere does not exist"],
    f"{'x' * 3000}=1": ["(3,000 characters)"],
}


@pytest.mark.parametrize(("assignment", "words"), OVERRIDES.items(), ids=[key[:40] for key in OVERRIDES])
def test_overrides(assignment: str, words: list[str]) -> None:
    Path("spec.yaml").write_text(GOOD)
    code, output = run("plan", "spec.yaml", "--set", assignment)
    assert code == (3 if "root" in assignment else 2)
    complained(output, words)


COMMANDS: dict[str, tuple[list[str], int, list[str]]] = {
    "missing spec": (["plan", "none.yaml"], 2, ["none.yaml: there is no such file", "experiments/default.yaml"]),
    "folder for a spec": (["plan", "images"], 2, ["images: this is a folder", "YAML spec"]),
    "unknown noise": (["show", "noise", "gausian"], 2, ["'gausian'", "Did you mean gaussian?", NOISES]),
    "unknown model": (["show", "model", "cnv"], 2, ["'cnv'", "Did you mean conv?", "Valid: "]),
    "a picture of no kind": (["show", "noise", "gaussian", "-o", "x.doc"], 2, ["x.doc", ".png, .svg, .pdf"]),
    "unknown dataset": (["data", "cifar"], 2, ["'cifar'", "Did you mean cifar10?", "folder"]),
    "dataset that needs keys": (["data", "folder"], 2, ["'folder' needs more than its name", "root"]),
    "report of nothing": (["report", "empty"], 2, ["empty", "plan.json"]),
    "comparison of nothing": (["compare", "empty", "empty"], 2, ["empty", "plan.json"]),
    "no picture": (["denoise", "none.png", "--with", "empty", "-o", "out.png"], 3, ["none.png: there is no such file"]),
    "not a picture": (["denoise", "good.yaml", "--with", "empty", "-o", "out.png"], 3, ["good.yaml", "picture"]),
    "missing plug-in": (["plan", "good.yaml", "--plugin", "none.py"], 2, ["none.py: there is no such file"]),
    "plug-in that is no Python": (["list", "noises", "--plugin", "good.yaml"], 2, ["good.yaml", "must end in .py"]),
}


@pytest.mark.parametrize(("arguments", "code", "words"), COMMANDS.values(), ids=list(COMMANDS))
def test_commands(arguments: list[str], code: int, words: list[str]) -> None:
    Path("good.yaml").write_text(GOOD)
    found, output = run(*arguments)
    assert found == code
    complained(output, words)


USAGE = {
    "unknown command": ["plna"],
    "unknown option": ["plan", "good.yaml", "--resutls", "x"],
    "no spec": ["run"],
    "no workers": ["run", "good.yaml", "--workers", "0"],
    "unknown kind": ["list", "nois"],
    "size 1": ["show", "model", "conv", "--size", "1"],
    "negative drop": ["compare", "a", "b", "--max-drop", "-1"],
    "a drop that is no number": ["compare", "a", "b", "--max-drop", "nan"],
    "a drop without end": ["compare", "a", "b", "--max-drop", "inf"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=list(USAGE))
def test_wrong_usage(arguments: list[str]) -> None:
    code, output = run(*arguments)
    assert code == 2 and output.startswith("Usage: bench ") and "Error: " in output and output.count("\n") < 12


IN_A_PROCESS = ["a Python tag", "an alias bomb", "5,000 levels in a line", "50 MB", "a missing folder", "empty list"]


@pytest.mark.parametrize("mistake", IN_A_PROCESS)
def test_in_a_process_of_its_own(mistake: str) -> None:
    content, code, words = SPECS[mistake]
    Path("spec.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    command = [sys.executable, "-m", "bench", "run", "spec.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=dict(os.environ))
    assert done.returncode == code and done.stdout == ""
    complained(done.stderr, words)
    assert not Path("PROOF").exists() and not Path("results").exists()
