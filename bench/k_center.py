"""Times greedy k-center against the plain loop that computes every distance anew for every pick.

    python bench/k_center.py [--rows 9000] [--width 384] [--picks 400] [--pairs 7] [--limit 10]

First both must pick the same rows in the same order, of vectors in clusters brought to length 1 and of plain Gaussian
ones. Then they take turns, and the medians of their wall times are compared. With --limit the exit code is 1 where a
ratio is below it. The plain loop calls numpy.linalg.norm(X - X[c], axis=1) at each step. Both use one thread.

    python bench/k_center.py --large [--rows 50000] [--width 768] [--picks 5000]

Picks from a memory-mapped file and prints the time and the peak memory of the whole process, the pages of the file that
it read counted; with --limit 2 the exit code is 1 where that is above 2 GB. Some of the picks, the last one included,
are made again from all distances in float64, and must be the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from selkit_diversity.farthest import farthest_first

from selkit.store.measure import peak_memory_bytes

BLOCK = 2000
CLUSTERS = 200


def clustered(rows: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors around random centres, at many distances from them, brought to length 1 as those of sentence encoders."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, width), np.float32)
    draw = np.random.default_rng([seed, 1])
    distance = draw.gamma(2, 0.4, (rows, 1)).astype(np.float32)
    found = centres[draw.integers(0, CLUSTERS, rows)] + distance * draw.standard_normal((rows, width), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def gaussian(rows: int, width: int) -> NDArray[np.float32]:
    """Vectors without any structure, nearly all equally far from each other."""
    return np.random.default_rng(0).standard_normal((rows, width), np.float32)


def plain_loop(vectors: NDArray[np.float32], picks: int) -> list[int]:
    """The loop as it is usually written."""
    nearest = np.full(len(vectors), np.inf, np.float32)
    chosen = [0]
    while len(chosen) < picks:
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
        chosen.append(int(nearest.argmax()))
    return chosen


def compare(vectors: NDArray[np.float32], what: str, picks: int, pairs: int) -> float:
    """Asserts equal picks, prints both medians, and returns their ratio."""
    assert farthest_first(vectors, picks, 0)[0].tolist() == plain_loop(vectors, picks), "the two pick different rows"
    timed = [
        (seconds(lambda: plain_loop(vectors, picks)), seconds(lambda: farthest_first(vectors, picks, 0)))
        for _ in range(pairs)
    ]
    plain, ours = (statistics.median(times) for times in zip(*timed, strict=True))
    rows, width = vectors.shape
    print(f"{what}, {rows} x {width}, the same {picks} picks: ", end="")
    print(f"plain loop {plain:.2f} s, selkit {1000 * ours:.0f} ms, ratio {plain / ours:.1f}")
    return plain / ours


def large(rows: int, width: int, picks: int, limit: float) -> int:
    """Picks from a file of vectors; prints the time and the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        file = np.lib.format.open_memmap(path, "w+", np.float32, (rows, width))
        for start in range(0, rows, BLOCK):
            file[start : start + BLOCK] = clustered(min(BLOCK, rows - start), width, start)
        del file
        vectors: NDArray[np.float32] = np.load(path, mmap_mode="r")
        began, processor = time.perf_counter(), time.process_time()
        chosen, radius = farthest_first(vectors, picks, 0)
        taken, processor = time.perf_counter() - began, time.process_time() - processor
        peak = peak_memory_bytes() / 1e9
        print(f"{picks} of {rows} x {width}: {taken:.1f} s ({processor:.1f} s of processor time), ", end="")
        print(f"peak memory {peak:.2f} GB, radius {radius:.4f}; {machine()}", flush=True)
        for step in (1, picks // 10, picks - 1):
            assert again(vectors, chosen[:step]) == chosen[step], f"pick {step} is not the farthest row"
        print("picks made again in float64: the same")
    return int(limit > 0 and peak > limit)


def again(vectors: NDArray[np.float32], chosen: NDArray[np.int64]) -> int:
    """The row farthest from those chosen, from all distances in float64."""
    centres = vectors[chosen].astype(np.float64)
    squares = np.einsum("ij,ij->i", centres, centres)
    nearest = np.empty(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float64)
        rest = (squares - 2 * (block @ centres.T)).min(axis=1)
        nearest[start : start + BLOCK] = np.einsum("ij,ij->i", block, block) + rest
    nearest[chosen] = -1
    return int(nearest.argmax())


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> str:
    """The hardware and the versions, in words."""
    python, numpy = platform.python_version(), np.__version__
    return f"one thread, {os.cpu_count()} cores, {platform.machine()}, Python {python}, numpy {numpy}"


def main() -> int:
    """Measures what the options say."""
    parser = argparse.ArgumentParser(description="Time greedy k-center against the plain loop.")
    parser.add_argument("--rows", type=int, help="number of vectors (9000; with --large 50000)")
    parser.add_argument("--width", type=int, help="their width (384; with --large 768)")
    parser.add_argument("--picks", type=int, help="how many to pick (400; with --large 5000)")
    parser.add_argument("--pairs", type=int, default=7, help="how often each is run")
    parser.add_argument("--limit", type=float, default=0.0, help="smallest ratio (with --large: most GB) that passes")
    parser.add_argument("--large", action="store_true", help="pick from a large file instead")
    options = parser.parse_args()
    if options.large:
        return large(options.rows or 50_000, options.width or 768, options.picks or 5000, options.limit)
    rows, width, picks = options.rows or 9000, options.width or 384, options.picks or 400
    ratios = [
        compare(clustered(rows, width), "clustered", picks, options.pairs),
        compare(gaussian(rows, width), "Gaussian", picks, options.pairs),
    ]
    print(f"medians of {options.pairs} interleaved pairs; {machine()}")
    return int(min(ratios) < options.limit)


if __name__ == "__main__":
    sys.exit(main())
