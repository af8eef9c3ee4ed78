"""Seconds and peak memory of the quickstart, and of the same command again when it is finished; size of its page.

    python bench/quickstart.py

Runs in a temporary folder with a store of its own. Checks first that the oracle beats random and that the second run
writes the same report outside `measured`, and that report.html has less than 2 MB.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any


def run(folder: Path) -> tuple[float, float, dict[str, Any]]:
    """Seconds, peak gigabytes of all its processes together, and report.json of one `selkit run`."""
    environment = os.environ | {"SELKIT_STORE": str(folder / "store")}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "selkit", "run", "-q", "-o", "out"], cwd=folder, env=environment)
    peak = _Peak(process.pid)
    code = process.wait()
    seconds = time.perf_counter() - started
    if code:
        raise SystemExit(f"selkit run ended with exit code {code}")
    return seconds, peak.gigabytes(), json.loads((folder / "out/report/report.json").read_text(encoding="utf-8"))


class _Peak(threading.Thread):
    """Samples the memory of a process and its children five times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._peak = pid, 0
        self.start()

    def run(self) -> None:
        while (now := sum(_resident(pid) for pid in _family(self._pid))) or not self._peak:
            self._peak = max(self._peak, now)
            time.sleep(0.2)

    def gigabytes(self) -> float:
        """The most that was seen."""
        return self._peak / 1e9


def _family(pid: int) -> list[int]:
    found = [pid]
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split():
        found += _family(int(child))
    return found


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measures both runs."""
    with tempfile.TemporaryDirectory() as name:
        first_seconds, first_peak, first = run(Path(name))
        second_seconds, second_peak, second = run(Path(name))
        page = (Path(name) / "out/report/report.html").stat().st_size / 1e6
    oracle = next(row for row in first["verdicts"] if row["arm"] == "oracle")
    assert oracle["verdict"] == "BEATS", oracle
    assert oracle["ci_low"] > 0, oracle
    assert {**first, "measured": None} == {**second, "measured": None}
    assert page < 2, f"report.html has {page:.2f} MB"
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"oracle over random: {oracle['effect']:.1f} points ({oracle['ci_low']:.1f} to {oracle['ci_high']:.1f})")
    print(f"first run   {first_seconds:6.1f} s  {first_peak:5.2f} GB peak")
    print(f"second run  {second_seconds:6.1f} s  {second_peak:5.2f} GB peak")
    print(f"report.html {page:6.2f} MB")


if __name__ == "__main__":
    main()
