"""Classes of the user's own, from a file and from an installed package, through every command."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.core.plugins import load_plugins
from tests.helpers.cli import PATIENCE
from tests.helpers.specs import GOOD, make_images

STRIPES = '''
"""A noise in a file of one's own."""

from dataclasses import dataclass

from bench.noises import Noise, noises


@noises.register("stripes")
@dataclass(frozen=True)
class Stripes(Noise):
    """Every other row is dimmed.

    strength: share of the light that is lost, in [0, 1].
    Source: a test.
    """

    level = "strength"
    strength: float = 0.5

    def corrupt(self, images, draw):
        images = images.clone()
        images[:, :, ::2] *= 1 - self.strength
        return images
'''
SPEC = GOOD.replace("conv, ", "").replace("- gaussian: {sigma: 0.1}", "- stripes: {strength: [0.25, 0.5]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("plugins")
    make_images(home)
    (home / "my_noise.py").write_text(STRIPES)
    (home / "spec.yaml").write_text(SPEC)
    return home


def bench(folder: Path, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "NOISE_BENCH_CACHE": str(folder / "cache"), **environment},
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_a_noise_of_ones_own_works_like_any_other(folder: Path) -> None:
    own = ("--plugin", "my_noise.py")
    assert "unknown noise 'stripes'" in bench(folder, "plan", "spec.yaml", code=2).stderr
    assert "3 cells: 0 finished, 3 to run" in bench(folder, "plan", "spec.yaml", *own).stdout
    listed = bench(folder, "list", "noises", *own).stdout.splitlines()
    assert any(line.startswith("stripes ") and "Every other row is dimmed.  " in line for line in listed)
    assert '"stripes"' in bench(folder, "schema", *own).stdout
    shown = bench(folder, "show", "noise", "stripes", "-o", "noise-stripes.png", *own).stdout
    assert "share of the light that is lost, in [0, 1]." in shown and "Source: a test." in shown
    assert (folder / "noise-stripes.png").read_bytes().startswith(b"\x89PNG")
    wrong = bench(folder, "plan", "spec.yaml", *own, "--set", "noises.0.stripes.strength=much", code=2)
    assert "noises.0.stripes.strength: must be a number; got 'much'" in wrong.stderr


def test_a_run_and_its_rerun(folder: Path) -> None:
    first = bench(folder, "run", "spec.yaml", "--plugin", "my_noise.py")
    with (folder / "results/good/tables/results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["test_noise"] for row in rows} >= {"stripes(strength=0.25)", "stripes(strength=0.5)"}
    assert {row["model"] for row in rows} == {"identity", "median(size=3)", "median(size=5)"}
    by_level = {row["test_noise"]: float(row["psnr"]) for row in rows if row["model"] == "identity"}
    assert by_level["stripes(strength=0.25)"] - by_level["stripes(strength=0.5)"] == pytest.approx(6.02, abs=0.01)
    assert "stripes(strength=0.5)" in first.stdout
    again = bench(folder, "run", "spec.yaml", "--plugin", "my_noise.py", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "bench.results.store" in imported and not imported & {"torch", "seaborn", "matplotlib", "scipy"}
    assert "nothing to run: all 3 cells of good are finished" in again.stdout
    words = ("compare", "results/good", "results/good", "--all", "--plugin", "my_noise.py")
    assert bench(folder, *words).stdout.count("  same") == 9


def test_a_plugin_is_loaded_once_and_files_of_one_name_are_two(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(
            f"from pathlib import Path\nwith Path({str(tmp_path)!r}, {name!r}, 'log').open('a') as f: f.write('x')\n"
        )
    for _ in range(2):
        load_plugins([str(tmp_path / "a/mine.py"), str(tmp_path / "b/mine.py"), str(tmp_path / "b/../a/mine.py")])
    assert [(tmp_path / name / "log").read_text() for name in ("a", "b")] == ["x", "x"]


TAKEN = (
    "from dataclasses import dataclass\nfrom bench.noises import Noise, noises\n\n"
    "@noises.register('gaussian')\n@dataclass(frozen=True)\nclass Mine(Noise):\n    'Taken.'\n"
)
BROKEN: dict[str, tuple[str | bytes, list[str]]] = {
    "syntax": ("x = 1\ndef f(:\n", ["mine.py, line 2: SyntaxError: invalid syntax"]),
    "exception": ("x = 1\n\nraise RuntimeError('boom')\n", ["line 3", "RuntimeError: boom"]),
    "long exception": ("raise RuntimeError('boom ' * 1000)\n", ["line 1", "RuntimeError: 'boom", "(4,999 characters)"]),
    "many lines": ("raise RuntimeError('one\\ntwo\\nthree')\n", ["RuntimeError: one"]),
    "no words": ("raise RuntimeError\n", ["line 1: RuntimeError: no message"]),
    "name taken": (
        TAKEN,
        ["line 4", "noise 'gaussian' is already registered by bench.noises.gaussian.Gaussian", "names taken:"],
    ),
    "no dataclass": (
        TAKEN.replace("@dataclass(frozen=True)\n", "").replace("gaussian", "new"),
        ["line 4", "must be a dataclass"],
    ),
    "no noise": (TAKEN.replace("(Noise)", "").replace("gaussian", "new"), ["line 4", "derived from Noise"]),
    "ill name": (TAKEN.replace("gaussian", "My Noise"), ["line 4", "use lower-case letters"]),
    "import": ("import no_such_module\n", ["line 1", "No module named 'no_such_module'"]),
    "exit": ("import sys\nsys.exit(5)\n", ["line 2: SystemExit: 5"]),
    "deep": ("def f():\n    import json\n    json.loads('{')\nf()\n", ["line 3: JSONDecodeError"]),
    "bytes": (b"x = '\xe9'\n", ["SyntaxError", "utf-8"]),
    "zero byte": (b"x = 1\0\n", ["SyntaxError", "null bytes"]),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_plugin_is_named_with_its_line(tmp_path: Path, content: str | bytes, words: list[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BenchError) as caught:
        load_plugins([str(path)])
    said = str(caught.value)
    assert said.startswith(f"--plugin {path}")
    assert said.count("\n") == 0 and len(said) < 800
    assert all(word in said for word in words), said


def test_a_broken_plugin_can_be_mended(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("raise RuntimeError('boom')")
    with pytest.raises(BenchError):
        load_plugins([str(path)])
    path.write_text("done = True  # and of another length")
    load_plugins([str(path)])


def install(folder: Path, code: str, entry: str = "theirs = their_noise") -> None:
    """A package as pip would leave it."""
    (folder / "their_noise.py").write_text(code)
    info = folder / "their_noise-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-noise\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bench.plugins]\n{entry}\n")


def path_with(folder: Path) -> str:
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_an_installed_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    install(tmp_path, STRIPES)
    assert "stripes" in bench(tmp_path, "list", "noises", PYTHONPATH=path_with(tmp_path)).stdout


def test_an_installed_package_is_recorded_with_its_version(tmp_path: Path) -> None:
    install(tmp_path, STRIPES)
    code = "from bench.core.plugins import load_plugins; print(*load_plugins(()).plugins)"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    said = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert said.stdout.decode().strip() == "theirs of their-noise 1.0"


def test_a_broken_package_is_named_and_left_out(tmp_path: Path) -> None:
    install(tmp_path, "x = 1\nraise RuntimeError('boom')\n")
    done = bench(tmp_path, "list", "noises", PYTHONPATH=path_with(tmp_path))
    assert "gaussian" in done.stdout
    assert done.stderr.startswith("Warning: plug-in 'theirs' of their-noise (their_noise)")
    assert "RuntimeError: boom" in done.stderr and "--no-plugins" in done.stderr
    assert "their_noise.py:2" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("entry", ["theirs = no_such_module", "theirs = their_noise:nothing", "theirs = a b c"])
def test_an_entry_point_that_leads_nowhere_is_named_and_left_out(entry: str, tmp_path: Path) -> None:
    install(tmp_path, "x = 1\n", entry)
    done = bench(tmp_path, "list", "noises", PYTHONPATH=path_with(tmp_path))
    assert "gaussian" in done.stdout and "Warning: plug-in 'theirs' of their-noise" in done.stderr


def test_installed_packages_can_be_left_out(tmp_path: Path) -> None:
    install(tmp_path, STRIPES + "\nprint('LOADED')\n")
    make_images(tmp_path)
    (tmp_path / "spec.yaml").write_text(GOOD.replace("conv, ", ""))
    for words in (["list", "noises"], ["run", "spec.yaml", "--no-figures", "--workers", "2"]):
        done = bench(tmp_path, *words, "--no-plugins", PYTHONPATH=path_with(tmp_path))
        assert "stripes" not in done.stdout and "LOADED" not in done.stdout and not done.stderr
        assert "LOADED" in bench(tmp_path, *words, PYTHONPATH=path_with(tmp_path)).stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["list", "--help"]])
def test_help_needs_no_package(words: list[str], tmp_path: Path) -> None:
    install(tmp_path, "raise RuntimeError('boom')\n")
    assert not bench(tmp_path, *words, PYTHONPATH=path_with(tmp_path)).stderr
