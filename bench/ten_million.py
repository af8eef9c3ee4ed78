"""A synthetic pool of ten million rows, scored and cut to a budget by two workers: seconds and peak memory of each.

    python bench/ten_million.py [--rows 10000000] [--budget 100000] [--workers 2]

First, on a small pool, the choice of the workers is compared with that of one process and with a plain sort. Then the
large pool: importing it (one process, once per pool), and scoring and cutting it. Memory is the peak of the resident
set, which counts mapped pages of the pool's file too; a worker's is the largest of all. Takes about 2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 100_000
WORDS = np.array([f"w{number}" for number in range(500)], dtype=object)


def write_pool(path: Path, rows: int) -> None:
    """Rows with a response of 1 to 8 words."""
    draw, writer = np.random.default_rng(0), None
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(rows, start + CHUNK))
        lengths = draw.integers(1, 9, len(numbers))
        words = WORDS[draw.integers(0, len(WORDS), lengths.sum())]
        ends = np.cumsum(lengths)
        table = pa.table(
            {
                "id": [f"r{number:08}" for number in numbers],
                "instruction": [f"Write {number}." for number in numbers],
                "output": [" ".join(words[end - size : end]) for end, size in zip(ends, lengths, strict=True)],
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def by_plain_sort(path: Path, budget: int) -> list[str]:
    """The ids with the longest responses in characters, ties by the smaller id."""
    rows = pq.read_table(path, columns=["id", "output"]).to_pylist()
    return [row["id"] for row in sorted(rows, key=lambda row: (-len(row["output"]), row["id"]))[:budget]]


class Peaks(threading.Thread):
    """The largest resident set of a process, and of those that it started to score, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.own = self.worker = 0.0

    def run(self) -> None:
        """Looks until the process has ended."""
        while (own := _peak(self.pid)) is not None:
            self.own = max(self.own, own)
            workers = (_peak(child) for child in _children(self.pid))
            self.worker = max([self.worker, *(peak for peak in workers if peak is not None)])
            time.sleep(0.1)


def _peak(pid: int) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) / 1e6 if line else None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]
    except OSError:
        return []


def run(arguments: Sequence[str], store: Path) -> tuple[float, Peaks]:
    """Seconds and peaks of a `selkit` command."""
    started = time.perf_counter()
    environment = os.environ | {"SELKIT_STORE": str(store)}
    process = subprocess.Popen([sys.executable, "-m", "selkit", *arguments, "-q"], env=environment, stdout=-3)
    peaks = Peaks(process.pid)
    peaks.start()
    if process.wait():
        raise SystemExit(f"selkit {' '.join(arguments)} ended with status {process.returncode}")
    peaks.join()
    return time.perf_counter() - started, peaks


def select(pool: Path, budget: int, out: Path, workers: int) -> list[str]:
    """Arguments of `selkit select`: the longest responses in characters."""
    chosen = ["-s", "longest", "-p", "unit=characters", "-b", str(budget)]
    return ["select", str(pool), *chosen, "-o", str(out), "--workers", str(workers)]


def ids(out: Path) -> list[str]:
    """The chosen ids, in their order."""
    return [json.loads(line)["id"] for line in (out / "selection.jsonl").read_text("utf-8").splitlines()]


def main() -> None:
    """Compares on a small pool, then measures on the large one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--budget", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large, store = folder / "small.parquet", folder / "large.parquet", folder / "store"
        write_pool(small, 50_000)
        run(select(small, 1000, folder / "one", 1), folder / "store-one")
        run(select(small, 1000, folder / "several", options.workers), folder / "store-several")
        assert ids(folder / "several") == ids(folder / "one") == by_plain_sort(small, 1000)
        write_pool(large, options.rows)
        print(
            f"{options.rows} rows, {large.stat().st_size / 1e6:.0f} MB of Parquet; {os.cpu_count()} cores at load "
            f"{os.getloadavg()[0]:.1f}, {platform.machine()}, Python {platform.python_version()}"
        )
        seconds, peaks = run(["select", str(large), "-s", "random", "-b", "1", "-n", "-o", str(folder / "no")], store)
        print(f"import         {seconds:6.0f} s  {peaks.own:5.2f} GB peak")
        seconds, peaks = run(select(large, options.budget, folder / "out", options.workers), store)
        assert len(set(ids(folder / "out"))) == options.budget
        print(f"score and cut  {seconds:6.0f} s  {peaks.own:5.2f} GB peak, {peaks.worker:.2f} GB a worker")


if __name__ == "__main__":
    main()
