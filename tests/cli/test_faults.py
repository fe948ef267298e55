"""A disk that fails once, at any call: a clear line, what was finished is kept, and the next run ends as usual."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bench.cli.progress import Display
from bench.results import files
from bench.running.events import Done, Event
from tests.helpers.cli import run, run_apart
from tests.helpers.results import rows_of
from tests.helpers.specs import write_spec

PLUGIN = Path(__file__).parents[1] / "helpers/failing.py"

pytestmark = pytest.mark.usefixtures("cache")


class FailingSystem:
    """The module `os` of which one call fails.

    at: the number of that call among all that write. code: of the error.
    """

    def __init__(self, at: int = -1, code: int = errno.ENOSPC) -> None:
        self.at, self.code, self.calls = at, code, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _counted(self, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(self.code, os.strerror(self.code))
        return call(*arguments, **keywords)

    def fsync(self, handle: int) -> None:
        self._counted(os.fsync, handle)

    def replace(self, source: Any, target: Any) -> None:
        self._counted(os.replace, source, target)

    @contextmanager
    def fdopen(self, handle: int, mode: str) -> Iterator[Any]:
        with os.fdopen(handle, mode) as file:
            yield FailingFile(file, self)


class FailingFile:
    """A file whose writes count among the calls of a system."""

    def __init__(self, file: Any, system: FailingSystem) -> None:
        self.file, self.system = file, system

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> None:
        self.system._counted(self.file.write, data)


def failing_run(spec: Path, results: Path, system: FailingSystem) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", system)
        return run(spec, results)


def check(spec: Path, folder: Path, at: int, code: int, expected: list[dict[str, str]]) -> None:
    """A run in a folder of its own with one fault, and the run after it."""
    results = folder / f"{at}-{code}"
    failed = failing_run(spec, results, FailingSystem(at, code))
    said = f"call {at}: {failed.output}"
    assert failed.exit_code in (0, 1, 3), said  # 0 where nothing of worth was lost: who runs, a state to go on from
    if failed.exit_code:
        assert os.strerror(code) in failed.output, said
    assert "Traceback" not in failed.output, said
    assert not [path for path in results.rglob(".*") if path.name.count(".") > 1], "temporary files are left"
    whole = {path: path.read_bytes() for path in results.rglob("weights.safetensors")}
    again = run(spec, results)
    assert again.exit_code == 0, again.output
    assert rows_of(results) == expected
    assert all(path.read_bytes() == content for path, content in whole.items()), "what was finished was made anew"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path, ("  - masking: {p: 0.25}\n", ""), ("epochs: 2", "epochs: 1"))


def test_a_fault_anywhere_early_or_late_is_survived(spec: Path, tmp_path: Path) -> None:
    counting = FailingSystem()
    assert failing_run(spec, tmp_path / "none", counting).exit_code == 0
    expected = rows_of(tmp_path / "none")
    for at, code in ((1, errno.ENOSPC), (counting.calls // 2, errno.EIO), (counting.calls, errno.EDQUOT)):
        check(spec, tmp_path, at, code, expected)


@pytest.mark.long
def test_a_fault_at_every_call_is_survived(spec: Path, tmp_path: Path) -> None:
    counting = FailingSystem()
    assert failing_run(spec, tmp_path / "none", counting).exit_code == 0
    expected = rows_of(tmp_path / "none")
    for at in range(1, counting.calls + 1):
        for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            check(spec, tmp_path, at, code, expected)


def test_a_folder_that_vanishes_is_said(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show, gone = Display.show, list[Event]()

    def removing(self: Display, event: Event) -> None:
        show(self, event)
        if isinstance(event, Done) and not gone:
            gone.append(event)
            shutil.rmtree(tmp_path / "results")

    monkeypatch.setattr(Display, "show", removing)
    found = run(spec, tmp_path / "results")
    assert found.exit_code == 1 and "was removed while this ran: run the same command again" in found.stderr
    assert run(spec, tmp_path / "results").exit_code == 0
    assert len(rows_of(tmp_path / "results")) == 2


@pytest.mark.long
def test_plug_ins_that_never_return_end_their_process_or_say_too_much_fail_alone(tmp_path: Path, cache: Path) -> None:
    models = "[{conv: {width: 4}}, slow, dying, loud, identity]"
    path = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", models), ("  - masking: {p: 0.25}\n", ""))
    options = ("--plugin", PLUGIN, "--timeout", 10, "--workers", 2)
    found = run_apart(path, tmp_path / "results", *options, cache=cache)
    assert found.returncode == 1 and "Traceback" not in found.stderr, found.stderr
    why = {row["model"]: row["error"] for row in rows_of(tmp_path / "results")}
    assert why == {
        "conv(width=4)": "",
        "slow": "a unit of its work took longer than --timeout 10 and was ended",
        "dying": "its process died twice: it ran out of memory or was ended from within",
        "loud": "",
        "identity": "",
    }
