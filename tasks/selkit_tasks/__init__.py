"""Benchmarks for selkit, as lm-eval tasks."""

from __future__ import annotations

from selkit.api import Benchmark, hookimpl


@hookimpl
def selkit_benchmarks() -> list[type[Benchmark]]:
    """The benchmarks of this package."""
    from selkit_tasks.ifeval import IFEval

    return [IFEval]
