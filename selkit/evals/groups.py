"""Groups of benchmarks taken apart: which benchmarks are run, and under which names their items are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, ContractViolation
from selkit.evals.data import find_data, read_rows
from selkit.evals.harness import SAMPLE_SEED, BenchmarkJob
from selkit.plugins import check_requirements


@dataclass(frozen=True)
class Endpoint:
    """What a verdict is given on: the items of one benchmark, or of a pooled group's members together.

    Args:
        name: What tables call it: ``GROUP/MEMBER`` for a member that counts by itself.
        jobs: The benchmarks behind it.
    """

    name: str
    jobs: tuple[BenchmarkJob, ...]


def leaves(benchmark: BaseBenchmark) -> list[Benchmark]:
    """The benchmarks of a group and its groups, in order; a benchmark is its own only leaf."""
    return [one for one in walk(benchmark) if isinstance(one, Benchmark)]


def walk(benchmark: BaseBenchmark) -> Iterator[BaseBenchmark]:
    """A benchmark or group, then all that it consists of."""
    yield benchmark
    if not isinstance(benchmark, Benchmark):
        for member in members(benchmark):
            yield from walk(member)


def members(benchmark: BaseBenchmark) -> list[BaseBenchmark]:
    """What a group consists of. Raises ContractViolation for what is neither a benchmark nor a group."""
    if not isinstance(benchmark, BenchmarkGroup):
        raise ContractViolation(f"{benchmark.name!r} is neither a Benchmark nor a BenchmarkGroup")
    return list(benchmark.members())


def endpoints(
    benchmark: BaseBenchmark,
    data: Path | None = None,
    *,
    sample: int | Literal["all"] | None = None,
    seed: int = SAMPLE_SEED,
    max_new_tokens: int | None = None,
) -> list[Endpoint]:
    """The endpoints of a benchmark with their jobs, checked: what is installed, and the rows.

    Args:
        benchmark: A benchmark or a group.
        data: Where its local rows are, see :func:`selkit.evals.find_data`.
        sample: Rows of each benchmark; 'all', or None for the benchmark's own default.
        seed: Seed of the draw.
        max_new_tokens: Limits answers below each task's own limit.

    Raises:
        MissingExtra: What a benchmark needs is not installed.
        DataError: Rows are missing or are not the benchmark's.
    """

    def job(leaf: Benchmark) -> BenchmarkJob:
        check_requirements(leaf)
        files = find_data(leaf, data)
        drawn = leaf.sample if sample is None else sample
        rows = len(read_rows(files[next(iter(leaf.splits))]))
        part = drawn if isinstance(drawn, int) and drawn < rows else None
        return BenchmarkJob(leaf, files, part, max_new_tokens, seed)

    return [Endpoint(name, tuple(map(job, found))) for name, found in _endpoints(benchmark)]


def _endpoints(benchmark: BaseBenchmark) -> list[tuple[str, list[Benchmark]]]:
    if isinstance(benchmark, Benchmark) or (isinstance(benchmark, BenchmarkGroup) and benchmark.pooled):
        return [(benchmark.label, leaves(benchmark))]
    parts = [part for member in members(benchmark) for part in _endpoints(member)]
    return [(f"{benchmark.label}/{name}", found) for name, found in parts]
