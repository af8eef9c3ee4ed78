"""Evaluation: the bridge to lm-eval, and the length-controlled win rate."""

from selkit.evals.data import check_data, find_data
from selkit.evals.harness import BenchmarkJob, benchmark_key, read_items, run_benchmark

__all__ = ["BenchmarkJob", "benchmark_key", "check_data", "find_data", "read_items", "run_benchmark"]
