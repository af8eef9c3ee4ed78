"""What a stage took: time, processor time, memory, and on which machine."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.store.gpu import gpu_use


class _Running(threading.local):
    def __init__(self) -> None:
        self.meters: list[Meter] = []


_running = _Running()


class Meter:
    """Measures the block it is used for. What nested stages take is theirs and is not counted twice."""

    def __init__(self) -> None:
        self.started = time.time()
        self._start = _clock()
        self._end: tuple[float, float] | None = None
        self._others = (0.0, 0.0)
        self._peak_before = peak_memory_bytes()

    def __enter__(self) -> Meter:
        _running.meters.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._end = _clock()
        _running.meters.remove(self)

    def leave_out(self, spent: tuple[float, float]) -> None:
        """Takes wall and processor seconds off, since another stage answers for them."""
        self._others = _plus(self._others, spent)

    def measured(self) -> dict[str, Any]:
        """What the block took, as it stands in a manifest; times in seconds, memory in bytes.

        ``peak_memory_bytes`` is the most that the process ever held until the end of the block;
        ``peak_memory_before_bytes`` is the same at its start, so that one sees whether the block raised it. Where the
        process uses GPUs, ``gpu_seconds`` are the wall seconds for which it held them, times their number.
        """
        wall, cpu = _minus(_minus(self._end or _clock(), self._start), self._others)
        return {**_report(self.started, wall, cpu), **_gpu(wall), "peak_memory_before_bytes": self._peak_before}


def measured_since(started: float) -> dict[str, Any]:
    """What this process took since ``started`` (seconds since 1970): for the manifest of a command.

    Its ``cpu_seconds`` are those of the whole process and of the children it waited for.
    """
    return _report(started, time.time() - started, _clock()[1])


def _report(started: float, wall: float, cpu: float) -> dict[str, Any]:
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": round(max(0.0, wall), 6),
        "cpu_seconds": round(max(0.0, cpu), 6),
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": dict(machine()),
        "python": platform.python_version(),
        "selkit": __version__,
    }


def _gpu(wall: float) -> dict[str, Any]:
    used = gpu_use()
    return {**used, "gpu_seconds": round(max(0.0, wall) * len(used["gpus"]), 6)} if used else {}


@contextmanager
def someone_elses() -> Iterator[None]:
    """Leaves what happens in the block out of the meter that runs in this thread, if one does."""
    start = _clock()
    try:
        yield
    finally:
        if _running.meters:
            _running.meters[-1].leave_out(_minus(_clock(), start))


def peak_memory_bytes() -> int:
    """The most memory that this process, or the largest child it waited for, ever held."""
    if sys.platform == "win32":
        return 0  # the standard library does not say
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    own = _high_water_mark() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """System, processor, usable cores and memory of this machine; no name that tells whose it is."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _total_memory(),
    }


def _high_water_mark() -> int:
    """VmHWM of Linux; ru_maxrss would also count the process that started this one."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _total_memory() -> int:
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def _clock() -> tuple[float, float]:
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def _minus(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] - b[0], a[1] - b[1]


def _plus(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] + b[0], a[1] + b[1]
