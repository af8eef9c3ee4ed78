"""Times ``selkit stats`` on 50 arms x 10 runs x 8 benchmarks x 1,000 items: four million scores in one Parquet file.

    python bench/verdicts.py [--rounds 3] [--limit 10] [--memory 2]

The command runs in processes of its own: median wall time, processor time and the largest resident memory. Before they
are printed, the verdicts on one benchmark are held against the formula in plain numpy. The exit code is 1 where one
is above the limits (seconds of wall time, GB).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ARMS, RUNS, BENCHMARKS, ITEMS = 50, 10, 8, 1000


def main() -> int:
    """Prints what the command takes."""
    parser = argparse.ArgumentParser(description="Time selkit stats on four million scores.")
    parser.add_argument("--rounds", type=int, default=3, help="how often it runs")
    parser.add_argument("--limit", type=float, default=10.0, help="the most seconds that pass")
    parser.add_argument("--memory", type=float, default=2.0, help="the most GB that pass")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        scores = write(path)
        measured = [measure(path) for _ in range(arguments.rounds)]
    check(scores, measured[0][3])
    wall, cpu, memory = (statistics.median(values) for values in list(zip(*measured, strict=True))[:3])
    print(f"{ARMS} arms x {RUNS} runs x {BENCHMARKS} benchmarks x {ITEMS} items: {wall:.1f} s, {memory:.2f} GB")
    print(f"processor time {cpu:.1f} s; median of {arguments.rounds}; load {os.getloadavg()[0]:.1f}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version.split()[0]}")
    return int(wall > arguments.limit or memory > arguments.memory)


def write(path: Path) -> np.ndarray:
    """A table of right and wrong answers, shape (arms, runs, benchmarks, items), written to ``path``."""
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.8, (1, 1, BENCHMARKS, ITEMS)) + rng.normal(0, 0.01, (ARMS, RUNS, 1, 1))
    scores = (rng.random((ARMS, RUNS, BENCHMARKS, ITEMS)) < chance).astype(float)
    arm, run, benchmark, item = (axis.ravel() for axis in np.indices(scores.shape, dtype=np.int32))
    columns = {
        "arm": named(arm, ["random", *(f"arm-{k:02}" for k in range(1, ARMS))]),
        "run": run,
        "item": named(item, [f"item-{k:04}" for k in range(ITEMS)]),
        "benchmark": named(benchmark, [f"bench-{k}" for k in range(BENCHMARKS)]),
        "score": scores.ravel(),
    }
    pq.write_table(pa.table(columns), path)
    return scores


def named(codes: np.ndarray, names: list[str]) -> pa.Array:
    """Names in place of codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string())


def measure(path: Path) -> tuple[float, float, float, list[dict[str, Any]]]:
    """Wall seconds, processor seconds, GB and the verdicts of one run of the command."""
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "selkit", "stats", str(path), "--json"], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        out.seek(0)
        verdicts = json.load(out)["verdicts"]
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2, verdicts


def check(scores: np.ndarray, verdicts: list[dict[str, Any]]) -> None:
    """Effects and standard errors of the first benchmark by the formula of docs/explanation/verdict.md."""
    rows = {row["arm"]: row for row in verdicts if row["benchmark"] == "bench-0"}
    matrices = scores[:, :, 0, :]
    means = matrices.mean(-1)
    pooled = means[1:].var(-1, ddof=1).mean()
    residual = matrices - means[..., None] - matrices.mean(1, keepdims=True) + means.mean(1)[:, None, None]
    left = (residual**2).sum((1, 2)) / ((RUNS - 1) * (ITEMS - 1)) / (ITEMS * RUNS)
    checked = 0
    for place in range(1, ARMS):
        row = rows[f"arm-{place:02}"]
        if "heteroscedastic" in row["flags"]:
            continue
        items = (matrices[place].mean(0) - matrices[0].mean(0)).var(ddof=1) / ITEMS
        runs = (pooled + means[0].var(ddof=1)) / RUNS
        variance = max(runs + items - left[place] - left[0], runs, items)
        assert math.isclose(row["effect"], 100 * (means[place].mean() - means[0].mean()), abs_tol=1e-9)
        assert math.isclose(row["se"], 100 * math.sqrt(variance), rel_tol=1e-9)
        checked += 1
    assert checked > ARMS / 2


if __name__ == "__main__":
    sys.exit(main())
