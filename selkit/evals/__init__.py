"""Evaluation: the bridge to lm-eval, and the length-controlled win rate."""

from selkit.evals.harness import BenchmarkJob, benchmark_key, find_data, read_items, run_benchmark

__all__ = ["BenchmarkJob", "benchmark_key", "find_data", "read_items", "run_benchmark"]
