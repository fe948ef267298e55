"""The command line as a person or a script meets it: what it imports, prints and returns."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from PIL import Image

from bench.cli import catalogue, plan
from bench.cli import main as commands
from bench.cli.main import main
from bench.core.registry import Registry
from bench.datasets import datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from tests.helpers.cli import PATIENCE
from tests.helpers.specs import GOOD, make_images

REGISTRIES: dict[str, Registry[Any]] = {"noises": noises, "models": models, "datasets": datasets, "metrics": metrics}
SLOW = {
    "torch",
    "seaborn",
    "pandas",
    "matplotlib",
    "scipy",
    "skimage",
    "torchvision",
    "distributed",
    "pyarrow",
    "requests",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cli")
    make_images(home)
    (home / "spec.yaml").write_text(GOOD)
    return home


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(folder / "cache"))


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages that a command imports in a process of its own."""
    code = "import sys; from bench.cli.main import main; main(sys.argv[1:], standalone_mode=False)\n"
    code += "print('\\n@', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return set(done.stdout.rpartition("@")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["show", "noise", "--help"]])
def test_help_and_version_import_next_to_nothing(arguments: list[str]) -> None:
    assert not imported_by(*arguments) & {*SLOW, "numpy", "pydantic", "yaml", "rich", "PIL"}


@pytest.mark.parametrize("arguments", [["plan", "spec.yaml"], ["list", "models"], ["schema"]])
def test_looking_things_up_imports_nothing_slow(arguments: list[str]) -> None:
    found = imported_by(*arguments)
    assert "numpy" in found and not found & SLOW


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_to_each_shell(shell: str) -> None:
    done = completed({"_BENCH_COMPLETE": f"{shell}_source"})
    assert "_BENCH_COMPLETE=" + shell + "_complete" in done


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("bench pl", ["plan"]),
        ("bench list mo", ["models"]),
        ("bench plan --mea", ["--measure"]),
        ("bench show ", ["model", "noise"]),
    ],
)
def test_completion_knows_commands_options_and_kinds_and_imports_nothing_slow(typed: str, found: list[str]) -> None:
    words = typed.split(" ")
    asked = {"_BENCH_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    lines, _, imported = completed(asked).partition("@")
    assert sorted(line.partition(",")[2] for line in lines.split()) == found
    assert "click" in imported.split() and not set(imported.split()) & {*SLOW, "numpy", "pydantic", "yaml", "rich"}


def completed(asked: dict[str, str]) -> str:
    """What the command prints to a shell that asks, and what it imports."""
    code = "import atexit, sys; from bench.cli.main import entry\n"
    code += "atexit.register(lambda: print('@', *{name.partition('.')[0] for name in sys.modules}))\nentry()"
    environment = {**os.environ, **asked}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
    )
    assert done.stderr == ""
    return done.stdout


def test_every_command_explains_itself() -> None:
    text = run("--help")
    assert text.startswith("Usage: bench ")
    named = re.findall(r"^  (\w+)  +(.+)$", text, re.MULTILINE)
    listed = {"run", "plan", "report", "compare", "selfcheck", "list", "show", "data", "denoise", "init", "schema"}
    assert listed <= {name for name, _ in named} and all(summary for _, summary in named)
    for name in listed:
        assert run(name, "--help").startswith(f"Usage: bench {name} ")


def test_python_m_bench_is_the_same_command() -> None:
    for arguments in (["--version"], ["plan", "none.yaml"], ["plna"], ["plan", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        shown = CliRunner().invoke(main, arguments)
        assert (done.returncode, done.stdout + done.stderr) == (shown.exit_code, shown.output)


def test_version() -> None:
    assert re.fullmatch(r"bench (\d+\.\d+\.\d+\S*|\(not installed\))\n", run("--version"))


@pytest.mark.parametrize("kind", REGISTRIES)
def test_list_names_all_with_their_keys(kind: str) -> None:
    lines = run("list", kind).splitlines()
    listed = {line.split()[0]: line for line in lines[1:] if not line.startswith("Keys of every")}
    assert ("Keys of every model: ensemble" in lines) == (kind == "models")
    assert list(listed) == list(REGISTRIES[kind])
    shared = REGISTRIES[kind].base.field_names()
    for name, line in listed.items():
        cls = REGISTRIES[kind][name]
        assert cls.describe()[0] in line
        assert all(key in line for key in cls.accepted() if key not in shared)
    assert not shared or lines[-1].endswith(", ".join(shared))


def test_show_noise_writes_and_names_a_picture() -> None:
    text = run("show", "noise", "gaussian", "-o", "pictures/levels.png")
    assert "levels side by side: pictures/levels.png" in text
    assert "Source: the usual AWGN model" in text
    for key in noises["gaussian"].accepted():
        assert re.search(rf"^{key}  .+", text, re.MULTILINE), key
    assert "CIFAR-10-C's severity, in place of sigma" in text
    with Image.open("pictures/levels.png") as picture:
        colours = picture.convert("RGB").getcolors(2**24)
        assert picture.width > 500 and picture.height > 500 and colours and len(colours) > 1000


def test_show_noise_writes_nothing_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "`bench show noise masking -o masking.png` draws" in run("show", "noise", "masking")
    assert not list(tmp_path.iterdir())


def test_show_model_prints_the_layers_with_their_sizes() -> None:
    lines = run("show", "model", "conv", "--size", "28").splitlines()
    layers = [line.split() for line in lines if re.match(r"(en|de)coder\.\d", line)]
    sizes = [" ".join(line[2:7]) for line in layers if line[1].startswith("Conv")]
    assert sizes == [
        "16 x 28 x 28", "32 x 14 x 14", "64 x 7 x 7", "64 x 7 x 7", "64 x 7 x 7", "32 x 14 x 14", "16 x 28 x 28",
        "3 x 28 x 28",
    ]  # fmt: skip
    assert lines[-1].startswith("conv(width=16) at 3 x 28 x 28: 121,091 parameters, ")
    assert sum(int(line[-1].replace(",", "")) for line in layers) == 121_091
    assert any(line.startswith("width ") and "16" in line for line in lines)


def test_schema_is_json_schema() -> None:
    Draft202012Validator.check_schema(json.loads(run("schema")))


@pytest.mark.usefixtures("no_recipes")
def test_plan_shows_each_cell_on_a_line() -> None:
    lines = run("plan", "spec.yaml", "--set", "seeds=[0, 1]", "--set", "train.lr=[1e-3, 1e-2]").splitlines()
    assert lines[0].split() == ["cell", "model", "trained", "on", "seed", "lr", "tests", "state"]
    assert len(lines) == 1 + 8 + 3 + 1 + 2
    assert lines[-3] == "folder:images: 18 training, 2 validation, 4 test images"
    assert lines[-2] == "11 cells: 0 finished, 11 to run (8 epochs, 14 tests)"
    assert all(re.match(r"[0-9a-f]{12}  \w+", line) and line.endswith("to do") for line in lines[1:-3])


def test_plan_shows_only_columns_that_say_something() -> None:
    lines = run("plan", "spec.yaml", "--set", "models=[identity]").splitlines()
    assert lines[0].split() == ["cell", "model", "tests", "state"]


def test_plan_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    run("plan", "spec.yaml")
    assert sorted(folder.iterdir()) == before and not (folder / "results").exists()


def test_a_thousand_cells_are_planned_in_a_moment() -> None:
    levels = [i / 100 for i in range(100)]
    started = time.process_time()
    text = run(
        "plan", "spec.yaml", "--set", f"noises=[{{gaussian: {{sigma: {levels}}}}}]", "--set", f"seeds={list(range(10))}"
    )
    assert "1,003 cells: 0 finished" in text
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize("arguments", ["schema", "plan spec.yaml --set 'seeds=[{seeds}]'"])
def test_a_pipe_that_is_closed_is_no_error(arguments: str) -> None:
    command = f"{sys.executable} -m bench {arguments.format(seeds=', '.join(map(str, range(1000))))} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == done.stderr == ""


def test_an_output_that_is_closed_is_no_error() -> None:
    command = f"{sys.executable} -m bench list metrics >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_a_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    command = f"{sys.executable} -m bench list metrics > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0 and done.stderr == "Error: No space left on device\n"


def test_a_terminal_without_the_signs_is_no_error() -> None:
    code = "from bench.cli.main import entry; from bench.cli.terminal import console; import bench.cli.catalogue as c\n"
    code += "c.list_registered = lambda *_: console().print('PSNR \\u2191 \\u00b1'); entry()"
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "noises"],
        capture_output=True, text=True, timeout=PATIENCE, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "PSNR ? ?\n", "")


def test_an_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "plan", interrupted)
    monkeypatch.setattr(commands, "plan_command", plan)
    assert "everything that was finished is kept" in run("plan", "spec.yaml", code=130)


def test_a_system_error_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(catalogue, "list_registered", broken)
    monkeypatch.setattr(commands, "catalogue", catalogue)
    assert run("list", "noises", code=3) == "Error: /somewhere: Permission denied\n"


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object) -> None:
        raise AssertionError("a defect")

    monkeypatch.setattr(catalogue, "list_registered", defective)
    monkeypatch.setattr(commands, "catalogue", catalogue)
    found = CliRunner().invoke(main, ["list", "noises"])
    assert found.exit_code == 70
    assert "Traceback" in found.stderr and "AssertionError: a defect" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "typed", "offered"),
    [
        (["show", "noise"], "gau", "gaussian"),
        (["show", "model"], "une", "unet"),
        (["data"], "ci", "cifar10"),
        (["denoise", "--model"], "une", "unet"),
        (["denoise", "--noise"], "gau", "gaussian"),
        (["run"], "smo", "smoke"),
        (["plan", "smoke", "--set"], "train.opt", "train.optimizer="),
        (["plan", "smoke", "--set"], "dataset.fal", "dataset.fallback="),
        (["plan", "smoke", "--set"], "train.optimizer=adamw", "train.optimizer=adamw"),
        (["plan", "smoke", "--set"], "metrics=[psn", "metrics=[psnr]"),
    ],
)
def test_completion_offers_names_and_keys(arguments: list[str], typed: str, offered: str) -> None:
    found = ShellComplete(main, {}, "bench", "_BENCH_COMPLETE").get_completions(arguments, typed)
    assert [item.value for item in found if item.type == "plain"] == [offered]
