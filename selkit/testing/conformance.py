"""The checks as pytest classes: derive one, name the component, and every check is a test.

    class TestOverlap(SelectorConformance):
        component = Overlap(min_words=2)

``component`` is a component, a component class, a function that returns a component, or a pytest fixture of that name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from inspect import getattr_static
from pathlib import Path
from typing import Any, ClassVar

import pytest

from selkit.api import Comparison, Component, Pool, SelkitError
from selkit.select import Arms
from selkit.testing.checks_benchmarks import BENCHMARK_CHECKS
from selkit.testing.checks_judges import JUDGE_CHECKS
from selkit.testing.checks_selectors import SELECTOR_CHECKS
from selkit.testing.results import OPTED_OUT, Check, CheckResult, Report, with_opt_outs, xfail_faults
from selkit.testing.run import Completions, make_subject, minimum_for
from selkit.testing.subjects import Subject
from selkit.testing.trial import refusal


class Conformance:
    """What the classes below share. Tests of the kit cannot be overridden or removed; opt out with a reason.

    Attributes:
        component: The component, its class, a function that returns it, or a fixture.
        xfails: Checks that are known to fail, by name, each with the reason.
    """

    component: ClassVar[Any] = None
    xfails: ClassVar[Mapping[str, str]] = {}
    checks: ClassVar[tuple[Check[Any], ...]] = ()
    _found: ClassVar[dict[str, CheckResult]]
    _tried: ClassVar[dict[str, SelkitError | None]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._found, cls._tried = {}, {}
        kit = next(base for base in reversed(cls.__mro__) if issubclass(base, Conformance) and base is not Conformance)
        if kit is cls:
            return
        for name in (*(f"test_{check.name}" for check in kit.checks), "test_enough_checks_ran", "checks", "subject"):
            if getattr_static(cls, name) is not getattr_static(kit, name):
                raise TypeError(
                    f"{cls.__name__} overrides {name} of the conformance kit: opt out of a check with "
                    f"xfails = {{{name.removeprefix('test_')!r}: 'the reason'}}"
                )
        if fault := xfail_faults(cls.xfails, [check.name for check in kit.checks]):
            raise TypeError(f"{cls.__name__}: {fault}")

    def sample(self) -> dict[str, Any]:
        """What the component is tried on, as :func:`selkit.testing.check_component` takes it."""
        return {}

    @pytest.fixture
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
        """The component with what it is tried on."""
        made = make_subject(_component(self, request), tmp_path, **self.sample())
        made.refusal = self._refusal(made)
        return made

    def _refusal(self, subject: Subject) -> SelkitError | None:
        """What a trial run has shown, made once per class and component."""
        key = _key(subject)
        if key not in self._tried:
            self._tried[key] = refusal(subject)
        return self._tried[key]

    def _result(self, check: Check[Any], subject: Subject) -> CheckResult:
        """The result of a check, computed once per class and component."""
        key = f"{check.name} {_key(subject)}"
        if key not in self._found:
            self._found[key] = with_opt_outs(check(subject), self.xfails)
        return self._found[key]


class SelectorConformance(Conformance):
    """Every check of a selector as a test.

    Attributes:
        pool: A pool that the selector can work on (or a function without arguments that returns one), where the
            sample pool will not do.
        base_model: Reference of the model for unset model parameters, e.g. 'tiny:llama'.
        arms: The other arms, for a selector that compares itself with them.
    """

    checks = SELECTOR_CHECKS
    pool: ClassVar[Any] = None
    base_model: ClassVar[str | None] = None
    arms: ClassVar[Arms | None] = None

    def sample(self) -> dict[str, Any]:
        """The pool, the base model and the other arms."""
        pool = type(self).pool
        made = pool if pool is None or isinstance(pool, Pool) else pool()
        return {"pool": made, "base_model": self.base_model, "arms": self.arms}


class JudgeConformance(Conformance):
    """Every check of a judge as a test.

    Attributes:
        completions: For a judge that is a prompt: answers of its model, each with the preference that it stands for,
            where the judge's own ``examples`` will not do.
        comparisons: Comparisons that the judge can judge, where the sample will not do.
    """

    checks = JUDGE_CHECKS
    completions: ClassVar[Completions] = ()
    comparisons: ClassVar[list[Comparison] | None] = None

    def sample(self) -> dict[str, Any]:
        """The completions and the comparisons."""
        return {"completions": self.completions, "comparisons": self.comparisons}


class BenchmarkConformance(Conformance):
    """Every check of a benchmark or a group of benchmarks as a test.

    Attributes:
        data: The folder that holds its rows, or the rows by the name of their file, or a function without arguments
            that returns either; by default they are looked for among the shared data, as in ``selkit eval``.
        right: A function from a row to the answer that earns full marks.
        whole: Whether these rows are all of the published ones, so that they must be as many as declared.
    """

    checks = BENCHMARK_CHECKS
    data: ClassVar[Any] = None
    right: ClassVar[Any] = None
    whole: ClassVar[bool] = False

    def sample(self) -> dict[str, Any]:
        """The rows and the right answers."""
        data, right = type(self).data, getattr_static(type(self), "right")
        right = right.__func__ if isinstance(right, staticmethod) else right
        return {"data": data() if callable(data) else data, "right": right, "whole": self.whole}


def _key(subject: Subject) -> str:
    return json.dumps([subject.component.name, subject.component.parameters()], default=str)


def _component(case: Conformance, request: pytest.FixtureRequest) -> Component:
    given: Any = type(case).component
    if isinstance(given, Component):
        return given
    if isinstance(given, type) and issubclass(given, Component):
        return given()
    made: Any
    try:
        made = request.getfixturevalue("component")
    except pytest.FixtureLookupError:
        if given is None:
            raise
        made = case.component()
    component: Component = made
    return component


def _test_of(check: Check[Any]) -> Callable[[Conformance, Subject], None]:
    def test(self: Conformance, subject: Subject) -> None:
        result = self._result(check, subject)
        if result.reason.startswith(OPTED_OUT):
            pytest.xfail(result.reason)
        if result.status == "skipped":
            pytest.skip(result.reason)
        if result.status == "failed":
            raise AssertionError(result.reason) from result.error

    test.__name__ = f"test_{check.name}"
    test.__qualname__ = f"Conformance.test_{check.name}"
    test.__doc__ = check.about
    return test


def _test_enough_checks_ran(
    self: Conformance, subject: Subject, record_property: Callable[[str, object], None]
) -> None:
    """Enough checks ran to mean anything: a declaration that switches most of them off does not pass."""
    results = tuple(self._result(check, subject) for check in self.checks)
    report = Report(subject.component.name, subject.kind, results, minimum_for(subject.component), subject.refusal)
    record_property("conformance", report.summary())
    if report.ran < report.minimum:
        pytest.fail(str(report), pytrace=False)


for _kit in (SelectorConformance, JudgeConformance, BenchmarkConformance):
    _tests = {f"test_{check.name}": _test_of(check) for check in _kit.checks}
    # Set last, so that it runs last.
    for _name, _test in {**_tests, "test_enough_checks_ran": _test_enough_checks_ran}.items():
        setattr(_kit, _name, _test)
