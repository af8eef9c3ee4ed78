"""Runs every check on a component, without pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selkit.api import BaseBenchmark, BaseSelector, ChatReply, Component, PairwiseJudge, PromptJudge, UsageError
from selkit.select import Arms
from selkit.testing.benchmark_subjects import BenchmarkSubject
from selkit.testing.checks_benchmarks import BENCHMARK_CHECKS, minimum_for_benchmark
from selkit.testing.checks_judges import JUDGE_CHECKS, minimum_for_judge
from selkit.testing.checks_selectors import SELECTOR_CHECKS, minimum_for_selector
from selkit.testing.guards import undisturbed
from selkit.testing.pools import sample_pool
from selkit.testing.results import Check, Report, with_opt_outs, xfail_faults
from selkit.testing.subjects import JudgeSubject, SelectorSubject, Subject
from selkit.testing.trial import refusal

Completions = Mapping[str, float] | Sequence[tuple[str | ChatReply, float]]
"""Answers of a judge's model, each with the preference for the first-shown response that it stands for."""

LEAST_ROWS = 10
"""Rows that a pool must have for the checks: among fewer, budgets and seeds make no difference that could be seen."""

_CHECKS: tuple[tuple[type[Component], tuple[Check[Any], ...]], ...] = (
    (BaseSelector, SELECTOR_CHECKS),
    (PairwiseJudge, JUDGE_CHECKS),
    (BaseBenchmark, BENCHMARK_CHECKS),
)


def check_component(component: Component, *, xfails: Mapping[str, str] | None = None, **sample: Any) -> Report:
    """Runs the conformance checks on a component. What it prints to stdout goes to stderr; notes and progress
    are shown with ``-v`` alone.

    It is run once before. Where it refuses to run because something must be given or installed first, that is the
    report's ``refusal``, and the checks that would run it are skipped.

    Args:
        component: A selector, a judge or a benchmark.
        xfails: Checks that are known to fail, each with the reason.
        **sample: What the component is tried on: ``pool``, ``base_model`` and ``arms`` of a
            :class:`SelectorSubject`; ``comparisons`` and ``completions`` of a :class:`JudgeSubject`; ``data``,
            ``right`` and ``whole`` of a :class:`BenchmarkSubject`.

    Raises:
        UsageError: The component is of another kind, an opt-out names no check or gives no reason, or the pool is
            too small.
    """
    xfails = xfails or {}
    checks = checks_for(component)
    if fault := xfail_faults(xfails, [check.name for check in checks]):
        raise UsageError(fault)
    with tempfile.TemporaryDirectory(prefix="selkit-check-") as folder, undisturbed():
        subject = make_subject(component, Path(folder), **sample)
        subject.refusal = refusal(subject)
        results = tuple(with_opt_outs(check(subject), xfails) for check in checks)
    return Report(component.name, subject.kind, results, minimum_for(component), subject.refusal)


def checks_for(component: Component) -> tuple[Check[Any], ...]:
    """Every check of the component's kind.

    Raises:
        UsageError: There are no checks for this kind.
    """
    for base, checks in _CHECKS:
        if isinstance(component, base):
            return checks
    raise UsageError(f"there are no checks for {type(component).__name__}: it is no selector, judge or benchmark")


def minimum_for(component: Component) -> int:
    """How many checks must run for a component of this kind."""
    if isinstance(component, BaseSelector):
        return minimum_for_selector(component)
    if isinstance(component, BaseBenchmark):
        return minimum_for_benchmark(component)
    assert isinstance(component, PairwiseJudge)
    return minimum_for_judge(component)


def make_subject(component: Component, folder: Path, **sample: Any) -> Subject:
    """The component with what it is tried on; what is None takes the default.

    Raises:
        UsageError: The pool is too small for budgets to differ.
    """
    given = {name: value for name, value in sample.items() if value is not None}
    if isinstance(component, PairwiseJudge):
        own = component.examples if isinstance(component, PromptJudge) else ()
        given["completions"] = _completions(given.get("completions") or own)
        return JudgeSubject(component, folder, **given)
    if isinstance(component, BaseBenchmark):
        return BenchmarkSubject(component, folder, **given)
    assert isinstance(component, BaseSelector)
    if "pool" in given and len(given["pool"]) < LEAST_ROWS:
        raise UsageError(f"the checks need a pool of at least {LEAST_ROWS} rows, and this one has {len(given['pool'])}")
    if component.after_others and "arms" not in given:
        given["arms"] = _other_arm(given)
    return SelectorSubject(component, folder, **given)


def _other_arm(given: Mapping[str, Any]) -> Arms:
    """An arm called 'other' that chose a sixth of the rows, of all lengths, for selectors that look at others."""
    rows = given.get("pool") or sample_pool()
    by_length = sorted(rows, key=lambda row: (len(row.response), row.id))
    chosen = {"other": tuple(row.id for row in by_length[::6])}
    return Arms(chosen=chosen, named=chosen)


def _completions(given: Completions) -> list[tuple[str | ChatReply, float]]:
    return list(given.items() if isinstance(given, Mapping) else given)
