"""Random and longest over a synthetic pool of a million rows: seconds and peak memory of the whole command.

    python bench/select_million.py [--rows 1000000] [--budget 10000]

Writes the pool to a temporary folder, checks both selections against a plain sort and a plain count, and prints one
line each. Every command starts with an empty store, so that reading the pool is part of what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = [f"word{i}" for i in range(2000)]


def write_pool(path: Path, rows: int) -> list[tuple[int, str]]:
    """Writes the pool; returns (words in the response, id) of every row."""
    draw = random.Random(0)
    lengths = []
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            response = " ".join(draw.choices(WORDS, k=draw.randint(3, 60)))
            row = {"id": f"row-{i:07d}", "instruction": f"Write text number {i}.", "input": "", "output": response}
            lengths.append((response.count(" ") + 1, row["id"]))
            file.write(json.dumps(row) + "\n")
    return lengths


def run(pool: Path, selector: list[str], budget: int, folder: Path) -> tuple[float, float, list[str]]:
    """Seconds, peak gigabytes and chosen ids of one `selkit select`."""
    out = folder / selector[0]
    command = [sys.executable, "-m", "selkit", "select", str(pool), "--selector", *selector, "--budget", str(budget)]
    environment = os.environ | {"SELKIT_STORE": str(folder / f"store-{selector[0]}")}
    started = time.perf_counter()
    process = subprocess.Popen([*command, "-o", str(out), "-q"], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    ids = [json.loads(line)["id"] for line in (out / "selection.jsonl").read_text(encoding="utf-8").splitlines()]
    return seconds, _gigabytes(usage), ids


def _gigabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    """Measures both selectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--budget", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lengths = write_pool(folder / "pool.jsonl", options.rows)
        size = (folder / "pool.jsonl").stat().st_size / 1e6
        print(
            f"{options.rows} rows, {size:.0f} MB; {os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}"
        )
        expected = [i for _, i in sorted(lengths, key=lambda pair: (-pair[0], pair[1]))[: options.budget]]
        for selector in (["random"], ["longest", "-p", "unit=words"]):
            seconds, gigabytes, ids = run(folder / "pool.jsonl", selector, options.budget, folder)
            assert len(set(ids)) == options.budget
            assert selector[0] == "random" or ids == expected
            print(f"{selector[0]:<8} {seconds:6.1f} s  {gigabytes:5.2f} GB peak")


if __name__ == "__main__":
    main()
