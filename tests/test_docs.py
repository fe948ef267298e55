"""The walk-throughs of CONTRIBUTING.md and the examples of the docs do what they say."""

import contextlib
import csv
import doctest
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from bench import spec
from bench.cli.main import main
from bench.datasets import Dataset, datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.training.score import score

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "results").glob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """Code blocks whose first line names their file."""
    found = {}
    for block in [*blocks(page, "python"), *blocks(page, "yaml")]:
        name = re.match(r"# (\S+\.(?:py|yaml))\n", block)
        if name:
            found[name[1]] = block
    return found


def test_the_walk_throughs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = files_of("CONTRIBUTING.md")
    (tmp_path / "make_weights.py").write_text(files["make_weights.py"])
    made = subprocess.run([sys.executable, "make_weights.py"], capture_output=True, text=True, check=True)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("WEIGHTS_SHA256", made.stdout.strip()))
    commands = [
        line for block in blocks("CONTRIBUTING.md", "sh") for line in block.splitlines() if line.startswith("bench ")
    ]
    assert len(commands) >= 4
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
    assert (tmp_path / "noise-stripes.png").exists()
    table = (tmp_path / "results/stripes/tables/results.csv").read_text()
    assert "stripes(sigma=0.05)" in table and "stripes(sigma=0.1)" in table
    joined, _ = csv.DictReader((tmp_path / "results/elsewhere/tables/results.csv").open())
    assert joined["model"].startswith("elsewhere(") and joined["parameters"] == "443" and not joined["train_seconds"]
    assert float(joined["mse"]) == pytest.approx(_mse(network), rel=1e-4)


def _mse(network: nn.Module) -> float:
    """What these weights score, without the store, the worker and the plug-in."""
    data = datasets.parse({"photos": {"train": 256, "test": 64}}).load()
    found = score(network.eval(), data, noises.parse("gaussian"), [metrics.parse("mse")])
    return float(found.values["mse"].mean())


EXAMPLES = sorted(path for path in (ROOT / "bench").rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_docstrings_hold(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert tried and not failed


def test_the_example_spec_is_a_spec() -> None:
    (example,) = [block for block in blocks("docs/specs.md", "yaml") if "models:" in block]
    assert spec.parse(example).name == "example"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_is_a_spec_named_as_its_file(path: Path) -> None:
    assert spec.load(path).name == path.stem


def test_the_family_s_page_has_every_model_of_its_spec() -> None:
    family = {entry.model.name for entry in spec.load(ROOT / "experiments/family.yaml").models}
    page = (ROOT / "docs/family.md").read_text()
    assert family <= set(models) and len(family) > 15
    assert all(re.search(rf"^\| {name}\b", page, re.MULTILINE) for name in family)


def commands_of(text: str) -> list[str]:
    """The lines of a page's sh blocks, continued ones joined, without comments."""
    found = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(found).replace("\\\n", " ").splitlines()
    return [line for line in (line.partition("  #")[0].strip() for line in lines) if line]


def parsed(words: list[str]) -> None:
    """Read a command line of bench as the command line does, without doing what it says. Raises UsageError."""
    group: click.Command = main
    context = click.Context(group)
    while isinstance(group, click.Group) and words:
        _, found, words = group.resolve_command(context, words)
        assert found
        group = found
    if words:
        with contextlib.suppress(click.MissingParameter):
            group.make_context("bench", list(words))


COMMANDS = [(page.name, line) for page in PAGES for line in commands_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line[:40]}" for page, line in COMMANDS])
def test_commands_of_the_docs_work_as_pasted(page: str, line: str) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)
    elif words[0].endswith("bench"):
        on_the_path = page in ("CONTRIBUTING.md", "cluster.md")  # which say to activate the environment
        assert words[0] == ("bench" if on_the_path else ".venv/bin/bench")
        parsed(words[1:])
        for spec_file in re.findall(r"experiments/\w+\.yaml", line):
            assert (ROOT / spec_file).is_file()
    else:
        assert words[0] in ("python", ".venv/bin/python", "dask", "sbatch")


QUICK = ("bench list ", "bench show ", "bench plan experiments/smoke", "bench run experiments/smoke")


def test_quick_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    lines = [line.removeprefix(".venv/bin/") for page, line in COMMANDS if page == "README.md"]
    quick = [line for line in lines if line.startswith(QUICK)]
    assert len(quick) >= 4
    for line in quick:
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"


MENTIONED = sorted(
    {
        (path.name, found)
        for path in [*PAGES, *(ROOT / "bench").rglob("*.py"), *(ROOT / "experiments").glob("*.yaml")]
        for found in re.findall(r"`bench ([a-z][^`\n]*)`", path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("where", "text"), MENTIONED, ids=[f"{name}: {text[:40]}" for name, text in MENTIONED])
def test_commands_in_sentences_and_messages_are_commands(where: str, text: str) -> None:
    plain = re.sub(r"\{[^}]*\}", "X", text).replace("noises|models|datasets|metrics", "models")
    parsed(shlex.split(plain))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_key_of_every_dataset_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/specs.md").read_text(), re.M)
    for name in datasets:
        own = [key for key in datasets[name].accepted() if key not in Dataset.field_names()]
        assert {(key, "all") for key in Dataset.field_names()} | {(key, name) for key in own} <= set(rows)
