"""This machine: processors, accelerator, fast precisions and description, all found without importing torch."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from bench.core.lazy import dask_system

LIBRARIES = ("torch", "torchvision", "numpy", "pandas", "scikit-image", "seaborn", "distributed")
FAST_BF16 = ("avx512_bf16", "amx_bf16")
ROUNDING = ("avx2", "avx512f", *FAST_BF16, "asimd", "sve", "bf16")  # by which of these sums are taken apart otherwise
CUDA_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR


def cores() -> int:
    """Processors that this process may use, by its affinity and by the CPU quota of its cgroup, rounded up."""
    return dask_system.cpu_count()


def device() -> Literal["cpu", "cuda"]:
    """The device that `auto` resolves to: cuda where both torch and the driver support it, else cpu."""
    return "cuda" if _cuda_capability() else "cpu"


def precision(on: str) -> Literal["float32", "bfloat16"]:
    """The precision that `auto` resolves to on a device: bfloat16 where the hardware computes in it, else float32."""
    fast = (_cuda_capability() or 0) >= 8 if on == "cuda" else any(flag in _cpu_flags() for flag in FAST_BF16)
    return "bfloat16" if fast else "float32"


def arithmetic(on: str) -> str:
    """What the last digits of results on a device depend on: torch's version, and the GPU or what a processor can.

    >>> arithmetic("cpu").partition(": torch ")[0]
    'cpu'
    """
    flags = [flag for flag in ROUNDING if flag in _cpu_flags()]
    unit = _gpu_name() if on == "cuda" else " ".join(flags) or platform.machine()
    return f"{on}: torch {_torch()}, {unit}"


def environment() -> dict[str, Any]:
    """Versions, processor, accelerator and git commit: the conditions under which results were produced."""
    return {
        "noise-bench": installed("noise-bench"),
        "python": platform.python_version(),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": cores(),
        "device": device(),
        "bf16": precision(device()) == "bfloat16",
        "git_commit": _git_commit(),
    }


def installed(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cuda_capability() -> int | None:
    """Major compute capability of the first visible CUDA device; None without one."""
    driver, major = _cuda_driver(), ctypes.c_int()
    if driver is None or driver.cuDeviceGetAttribute(ctypes.byref(major), CUDA_MAJOR, 0):
        return None
    return major.value


@cache
def _torch() -> str | None:
    return installed("torch")  # which reads the package's metadata each time


@cache
def _gpu_name() -> str:
    """The first visible CUDA device."""
    driver, name = _cuda_driver(), ctypes.create_string_buffer(100)
    if driver is None or driver.cuDeviceGetName(name, len(name), 0):
        return "a GPU"
    return name.value.decode(errors="replace")


def gpu_memory() -> int:
    """Bytes of memory of the first visible CUDA device, 0 without one."""
    driver, size = _cuda_driver(), ctypes.c_size_t()
    if driver is None or driver.cuDeviceTotalMem_v2(ctypes.byref(size), 0):
        return 0
    return size.value


def has_compiler() -> bool:
    """Whether there is a C++ compiler, which torch.compile needs on a processor."""
    return any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++", "cl")))


def memory() -> int:
    """Bytes of memory of this machine, 0 where the system doesn't say."""
    known = getattr(os, "sysconf_names", {})
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if "SC_PHYS_PAGES" in known else 0


def _cuda_driver() -> Any:
    """NVIDIA's driver, initialised, where torch is built for CUDA and a device is visible; None otherwise."""
    torch_version = installed("torch") or "+cpu"
    if torch_version.endswith("+cpu") or sys.platform == "darwin":
        return None
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    return driver


@cache
def _cpu_info() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _cpu_field(key: str) -> str:
    for line in _cpu_info().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _cpu_flags() -> list[str]:
    return (_cpu_field("flags") or _cpu_field("Features")).split()


def _cpu_name() -> str:
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """The commit of the checkout this package runs from, `-dirty` with local changes; None outside a checkout."""
    folder = Path(__file__).parents[1]
    if not (folder.parent / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None
