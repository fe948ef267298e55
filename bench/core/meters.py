"""What the machine tells of memory and energy, where it does."""

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.lazy import Lazy

resource = Lazy("resource")  # Unix only

POWERCAP = Path("/sys/class/powercap")  # of Linux: a counter for each package of processors


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MB; None where the system doesn't say."""
    try:
        used = resource.getrusage(resource.RUSAGE_SELF)
    except ImportError:
        return None
    kilo = 1 if sys.platform == "darwin" else 1024  # which counts bytes
    return float(used.ru_maxrss * kilo / 1e6)


class EnergyMeter:
    """Energy that all packages of processors, and on a GPU the first device, have used since the last reading.

    Whatever else runs on them counts in. folder: where Linux has its counters. device: `cpu` or `cuda`.
    """

    def __init__(self, device: str, folder: Path = POWERCAP) -> None:
        self._counters = sorted(folder.glob("intel-rapl:[0-9]"))
        self._gpu = _nvml() if device == "cuda" else None
        self._device = device
        self._last = self._now()

    def read(self) -> float | None:
        """Joules since the reading before; None where a part of the machine doesn't tell."""
        before, self._last = self._last, self._now()
        if before is None or self._last is None:
            return None
        return sum(_since(*pair) for pair in zip(before, self._last, strict=True))

    def _now(self) -> Sequence[tuple[float, float]] | None:
        """Each counter with where it starts again from 0, in joules."""
        try:
            found = [(_joules(one / "energy_uj"), _joules(one / "max_energy_range_uj")) for one in self._counters]
        except (OSError, ValueError):  # mostly for administrators alone
            return None
        if self._device == "cuda":
            if self._gpu is None:
                return None
            found.append((self._gpu(), float("inf")))
        return found or None


def _since(before: tuple[float, float], now: tuple[float, float]) -> float:
    used = now[0] - before[0]
    return used if used >= 0 else used + now[1]


def _joules(path: Path) -> float:
    return int(path.read_text()) / 1e6


@cache
def _nvml() -> Any:
    """A function that gives the energy of the first GPU since its driver was loaded, in joules; None without it."""
    try:
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None
    handle, used = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None
    if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(used)):
        return None

    def joules() -> float:
        library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(used))
        return used.value / 1e3

    return joules
