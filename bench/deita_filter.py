"""Times DEITA's Repr Filter against the row-by-row way in which its published code works.

    OMP_NUM_THREADS=1 python bench/deita_filter.py [--rows 4000] [--width 1024] [--pairs 3] [--limit 40]

First both must keep the same rows of the same clustered vectors. Then they take turns, and the medians of their wall
times are compared. With --limit the exit code is 1 where the ratio is below it. Both get one thread: on a busy machine
the thousands of tiny steps of the row-by-row way wait for each other's threads, which would flatter the ratio.

    OMP_NUM_THREADS=1 python bench/deita_filter.py --large [--rows 300000] [--width 384]

Walks through a memory-mapped file to its end, most of it near-duplicates, and prints the time and the peak of what was
allocated. A thousandth of the decisions are made again one by one in float64, and must be the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from selkit_deita.filter import Filtered, cosine, repr_filter

THRESHOLD = 0.9
BLOCK = 10_000


def clustered(rows: int, width: int, clusters: int, spread: float = 0.5, seed: int = 0) -> NDArray[np.float32]:
    """Vectors around random centres; with a spread of 0.5 similarities within a cluster lie between 0.8 and 1."""
    centres = np.random.default_rng(0).standard_normal((clusters, width), np.float32)
    draw = np.random.default_rng([seed, 1])
    distance = draw.uniform(0.05, spread, (rows, 1)).astype(np.float32)
    noise = draw.standard_normal((rows, width), np.float32)
    found: NDArray[np.float32] = centres[draw.integers(0, clusters, rows)] + distance * noise
    return found


def row_by_row(embeddings: list[list[float]], rows: int, threshold: float) -> list[int]:
    """What the published code does (hkust-nlp/deita, commit b279f2c, selection/filter/base.py).

    Each row is a step. It copies all kept rows out of a float64 matrix, makes a float32 tensor of them, brings both
    sides to length 1 twice, writes the similarities into a fresh tensor, does the same for the row with itself, and
    looks whether any is above the threshold.
    """
    import torch

    def similarities(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        found = torch.zeros((len(one), len(other)), dtype=torch.float32)
        for _ in range(2):
            one, other = one / one.norm(dim=1)[:, None], other / other.norm(dim=1)[:, None]
        found[:] = one @ other.T
        return found

    matrix = np.array(embeddings)
    kept = [0]
    for row in range(1, len(matrix)):
        current = torch.tensor(matrix[row : row + 1], dtype=torch.float32)
        existing = torch.tensor(matrix[kept], dtype=torch.float32)
        alike = (similarities(current, existing) > threshold).any()
        itself = (similarities(current, current).tril(-1) > threshold).any()
        if not bool(alike | itself):
            kept.append(row)
        if len(kept) >= rows:
            break
    return kept


def compare(rows: int, width: int, pairs: int, limit: float) -> int:
    """Asserts equal rows and prints both medians and their ratio."""
    vectors = clustered(rows, width, max(1, rows // 4))
    listed = vectors.tolist()  # the published code keeps embeddings as lists of floats
    order = np.arange(rows)
    kept = repr_filter(vectors, order, rows, THRESHOLD).kept.tolist()
    assert kept == row_by_row(listed, rows, THRESHOLD), "the two filters keep different rows"
    print(f"both keep the same {len(kept)} of {rows} rows at similarity {THRESHOLD}, width {width}")
    timed = []
    for _ in range(pairs):
        plain = seconds(lambda: row_by_row(listed, rows, THRESHOLD))
        timed.append((plain, seconds(lambda: repr_filter(vectors, order, rows, THRESHOLD))))
    plain, ours = (statistics.median(times) for times in zip(*timed, strict=True))
    print(f"row by row: {plain:.2f} s, selkit: {ours:.3f} s, ratio {plain / ours:.0f}")
    print(f"median of {pairs} interleaved pairs; {machine()}")
    return int(plain / ours < limit)


def walk_through(rows: int, width: int) -> int:
    """Filters a file of vectors to its end and prints the time and the peak of what was allocated."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.lib.format.open_memmap(Path(folder) / "vectors.npy", "w+", np.float32, (rows, width))
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            vectors[start : start + size] = clustered(size, width, max(1, rows // 40), 0.35, start)
        tracemalloc.start()
        began = time.perf_counter()
        found = repr_filter(vectors, np.arange(rows), rows, THRESHOLD)
        taken = time.perf_counter() - began
        peak = tracemalloc.get_traced_memory()[1] / 1e9
        tracemalloc.stop()
        check(vectors, found)
    print(f"{found.examined} of {rows} rows x {width} ({rows * width * 4 / 1e9:.2f} GB), {len(found.kept)} kept")
    print(f"{taken:.1f} s, {peak:.2f} GB allocated at the peak; {machine()}")
    return 0


def check(vectors: NDArray[np.float32], found: Filtered) -> None:
    """Decides a thousandth of the rows again, one by one in float64."""
    kept = set(found.kept.tolist())
    for row in range(0, found.examined, 1000):
        before = found.kept[found.kept < row]
        similar = cosine(np.repeat(vectors[row : row + 1], len(before), axis=0), vectors[before])
        assert (row in kept) == (not (similar > THRESHOLD).any()), f"row {row} was decided wrongly"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> str:
    """The hardware and the threads, in words."""
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return f"{os.cpu_count()} cores, {platform.machine()}, threads: {threads}, Python {platform.python_version()}"


def main() -> int:
    """Measures what the options say."""
    parser = argparse.ArgumentParser(description="Time DEITA's Repr Filter against the row-by-row way.")
    parser.add_argument("--rows", type=int, help="number of vectors (4000; with --large 300000)")
    parser.add_argument("--width", type=int, help="their width (1024; with --large 384)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is run")
    parser.add_argument("--limit", type=float, default=0.0, help="the smallest ratio that passes")
    parser.add_argument("--large", action="store_true", help="walk through a large file instead")
    options = parser.parse_args()
    if options.large:
        return walk_through(options.rows or 300_000, options.width or 384)
    return compare(options.rows or 4000, options.width or 1024, options.pairs, options.limit)


if __name__ == "__main__":
    sys.exit(main())
