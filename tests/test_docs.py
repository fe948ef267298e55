"""The walk-throughs of CONTRIBUTING.md and the examples of the docs do what they say."""

import csv
import doctest
import hashlib
import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save
from torch import nn

from bench import spec
from bench.cli.main import main
from bench.datasets import datasets
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
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    weights = save(network.state_dict())
    (tmp_path / "weights.safetensors").write_bytes(weights)
    for name, text in files_of("CONTRIBUTING.md").items():
        (tmp_path / name).write_text(text.replace("WEIGHTS_SHA256", hashlib.sha256(weights).hexdigest()[:12]))
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
    family = {model.name for model in spec.load(ROOT / "experiments/family.yaml").models}
    page = (ROOT / "docs/family.md").read_text()
    assert family <= set(models) and len(family) > 15
    assert all(re.search(rf"^\| {name}\b", page, re.MULTILINE) for name in family)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
