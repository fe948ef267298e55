"""Processors, accelerator, precision and description of the machine."""

import ctypes
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.core import machine

CGROUP_1 = "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    machine._cpu_info.cache_clear()
    machine._cuda_capability.cache_clear()
    yield
    machine._cpu_info.cache_clear()
    machine._cuda_capability.cache_clear()


def with_cpu(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setattr(
        machine, "_cpu_info", lambda: f"processor : 0\nmodel name\t: Made Up 9000\nflags\t\t: {flags}\n\n"
    )


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        code += "from bench.core import machine; print(machine.cores())"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, 8),
        ({"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/cpu.max": "max 100000"}, 8),
        ({"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/cpu.max": "250000 100000"}, 3),
        ({"/proc/self/cgroup": "0::/a/b", "/sys/fs/cgroup/a/b/cpu.max": "50000 100000"}, 1),
        ({"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/cpu.max": "1600000 100000"}, 8),
        ({f"{CGROUP_1}_quota_us": "200000", f"{CGROUP_1}_period_us": "100000"}, 2),
        ({f"{CGROUP_1}_quota_us": "-1", f"{CGROUP_1}_period_us": "100000"}, 8),
    ],
)
def test_cores_are_no_more_than_a_cgroup_grants(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], found: int
) -> None:
    """On a made-up machine of 8 processors; version 1 and version 2."""

    def fake(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(path) in files:
            return io.StringIO(files[str(path)])
        if str(path).startswith(("/sys/fs/cgroup/", "/proc/self/cgroup")):
            raise FileNotFoundError(path)
        return real(path, *arguments, **keywords)

    real = open
    monkeypatch.setattr("dask.system.psutil", None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr("builtins.open", fake)
    assert machine.cores() == found


def test_cores_are_found_without_torch() -> None:
    code = "import sys; from bench.core import machine; print('dask' in sys.modules); machine.cores()\n"
    code += "print({'torch', 'numpy', 'pandas', 'distributed'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "set()"]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu sse2 avx512f avx512_bf16", "bfloat16"),
        ("amx_bf16 amx_tile", "bfloat16"),
        ("fpu sse2 avx2", "float32"),
        ("not_avx512_bf16_really", "float32"),
        ("", "float32"),
    ],
)
def test_a_processor_computes_in_bf16_where_it_says_so(monkeypatch: pytest.MonkeyPatch, flags: str, found: str) -> None:
    with_cpu(monkeypatch, flags)
    assert machine.precision("cpu") == found


@pytest.mark.parametrize(("capability", "found"), [(None, "float32"), (7, "float32"), (8, "bfloat16"), (9, "bfloat16")])
def test_a_gpu_computes_in_bf16_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: int | None, found: str
) -> None:
    monkeypatch.setattr(machine, "_cuda_capability", lambda: capability)
    monkeypatch.setattr(machine, "_cpu_info", lambda: "")
    assert machine.precision("cuda") == found


def test_the_device_is_a_gpu_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(machine, "_cuda_capability", lambda: 8)
        assert machine.device() == "cuda"
        patched.setattr(machine, "_cuda_capability", lambda: None)
        assert machine.device() == "cpu"
    monkeypatch.setattr(machine, "installed", lambda package: "2.9.0+cpu")
    assert machine._cuda_capability() is None


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(machine, "installed", lambda package: "2.9.0")
    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert machine._cuda_capability() is None
    assert machine.gpu_memory() == 0


def test_the_driver_is_asked_for_capability_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        def cuInit(self, flags: int) -> int:
            return 0

        def cuDeviceGetCount(self, count: Any) -> int:
            count._obj.value = 1
            return 0

        def cuDeviceGetAttribute(self, found: Any, attribute: int, device: int) -> int:
            found._obj.value = 9
            return 0

        def cuDeviceTotalMem_v2(self, size: Any, device: int) -> int:
            size._obj.value = 80 * 2**30
            return 0

    monkeypatch.setattr(machine, "installed", lambda package: "2.9.0")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert machine._cuda_capability() == 9
    assert machine.gpu_memory() == 80 * 2**30


def test_the_environment_is_plain_and_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cpu(monkeypatch, "avx512_bf16")
    found = machine.environment()
    assert json.loads(json.dumps(found)) == found
    assert found["cpu"] == "Made Up 9000" and found["python"] == sys.version.split()[0]
    assert found["libraries"]["torch"] and found["libraries"]["numpy"]
    assert found["device"] in ("cpu", "cuda") and isinstance(found["bf16"], bool)


def test_a_system_without_cpuinfo_still_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cpu_info", lambda: "")
    assert machine._cpu_name()


def test_versions() -> None:
    assert machine.installed("numpy") and machine.installed("no-such-package-anywhere") is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "bench/core/machine.py"))
    assert machine._git_commit() is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        subprocess.run([*git, *arguments], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert machine._git_commit() == commit[:12]
    (tmp_path / "bench/new.py").write_text("x = 1\n")
    subprocess.run([*git, "add", "."], check=True)
    assert machine._git_commit() == f"{commit[:12]}-dirty"
    monkeypatch.setenv("PATH", "")
    assert machine._git_commit() is None


def test_nothing_heavy_is_imported_to_find_out() -> None:
    code = "import sys; from bench.core import machine; machine.environment(); machine.precision('cpu')"
    code += "; print(*sys.modules)"
    assert not {"torch", "numpy", "pandas"} & set(
        subprocess.check_output([sys.executable, "-c", code], text=True).split()
    )
