"""A large pool is read a piece at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 200_000

READ = """
import sys
from selkit.pools import load_pool
from selkit.store import Store
base = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
pool = load_pool(sys.argv[1], store=Store(sys.argv[2]) if len(sys.argv) > 2 else None)
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(len(pool), peak - base)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the memory of a process")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A file of 400 MB is read within 160 MB; its second load from the store maps it and reads nothing."""
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(ROWS):
            file.write(json.dumps({"instruction": f"Say {number}.", "output": "word " * 400, "n": number}) + "\n")
    assert path.stat().st_size > 400e6
    rows, peak = _read(path)
    assert rows == ROWS
    assert peak < 160e3, f"{peak} kB for a file of {path.stat().st_size // 1000} kB"
    store = str(tmp_path / "store")
    _read(path, store)
    rows, peak = _read(path, store)
    assert rows == ROWS
    assert peak < 30e3, f"{peak} kB to map a finished import"


def _read(*arguments: Path | str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    rows, kilobytes = done.stdout.split()
    return int(rows), int(kilobytes)
