"""Evaluation: the bridge to lm-eval, and the length-controlled win rate."""

from selkit.evals.data import check_data, find_data
from selkit.evals.groups import Endpoint, endpoints, leaves, members
from selkit.evals.harness import (
    BenchmarkJob,
    benchmark_items,
    benchmark_key,
    item_table,
    read_items,
    run_benchmark,
    scored_rows,
)

__all__ = [
    "BenchmarkJob",
    "Endpoint",
    "benchmark_items",
    "benchmark_key",
    "check_data",
    "endpoints",
    "find_data",
    "item_table",
    "leaves",
    "members",
    "read_items",
    "run_benchmark",
    "scored_rows",
]
