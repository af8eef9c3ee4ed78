"""The conformance kit for authors of selectors, judges and benchmarks, with the pools and fixtures that it uses.

Under pytest derive a class from :class:`SelectorConformance`, :class:`JudgeConformance` or
:class:`BenchmarkConformance`; anywhere else call :func:`check_component`, or run ``selkit plugins check NAME``. All run
the same checks. Importing this package does not import pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selkit.testing.benchmark_subjects import BenchmarkSubject
    from selkit.testing.chat import ScriptedChat
    from selkit.testing.chat_server import Call, ChatServer, Served, completion, failure
    from selkit.testing.checks_benchmarks import BENCHMARK_CHECKS
    from selkit.testing.checks_judges import JUDGE_CHECKS
    from selkit.testing.checks_selectors import SELECTOR_CHECKS
    from selkit.testing.comparisons import awkward_comparisons, sample_comparisons
    from selkit.testing.conformance import BenchmarkConformance, JudgeConformance, SelectorConformance
    from selkit.testing.planted import PlantedTable, planted_table
    from selkit.testing.pools import awkward_pool, planted_pool, sample_pool
    from selkit.testing.results import Check, CheckResult, Report
    from selkit.testing.run import check_component
    from selkit.testing.subjects import JudgeSubject, SelectorSubject, make_context

_HOMES = {
    "BENCHMARK_CHECKS": "checks_benchmarks",
    "JUDGE_CHECKS": "checks_judges",
    "SELECTOR_CHECKS": "checks_selectors",
    "BenchmarkConformance": "conformance",
    "BenchmarkSubject": "benchmark_subjects",
    "Call": "chat_server",
    "ChatServer": "chat_server",
    "Check": "results",
    "CheckResult": "results",
    "JudgeConformance": "conformance",
    "JudgeSubject": "subjects",
    "PlantedTable": "planted",
    "Report": "results",
    "ScriptedChat": "chat",
    "SelectorConformance": "conformance",
    "SelectorSubject": "subjects",
    "Served": "chat_server",
    "awkward_comparisons": "comparisons",
    "awkward_pool": "pools",
    "check_component": "run",
    "completion": "chat_server",
    "failure": "chat_server",
    "make_context": "subjects",
    "planted_pool": "pools",
    "planted_table": "planted",
    "sample_comparisons": "comparisons",
    "sample_pool": "pools",
}

__all__ = [
    "BENCHMARK_CHECKS",
    "JUDGE_CHECKS",
    "SELECTOR_CHECKS",
    "BenchmarkConformance",
    "BenchmarkSubject",
    "Call",
    "ChatServer",
    "Check",
    "CheckResult",
    "JudgeConformance",
    "JudgeSubject",
    "PlantedTable",
    "Report",
    "ScriptedChat",
    "SelectorConformance",
    "SelectorSubject",
    "Served",
    "awkward_comparisons",
    "awkward_pool",
    "check_component",
    "completion",
    "failure",
    "make_context",
    "planted_pool",
    "planted_table",
    "sample_comparisons",
    "sample_pool",
]


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used: pytest is needed for the conformance classes alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(f"{__name__}.{_HOMES[name]}"), name))
