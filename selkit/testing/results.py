"""What a check says, and what many of them say together."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from selkit import __version__
from selkit.api import API_VERSION, SelkitError
from selkit.testing.guards import kept_state

S = TypeVar("S")
Status = Literal["passed", "failed", "skipped"]

OPTED_OUT = "opted out: "
"""How the reason of a result begins whose failure the author has declared."""


class Broken(AssertionError):
    """A check found that the component breaks its contract; the text says how, in one sentence."""


class NotApplicable(Exception):
    """A check cannot say anything about this component; the text says why."""


@dataclass(frozen=True)
class CheckResult:
    """What one check says.

    Args:
        name: The check's name.
        status: 'passed', 'failed' or 'skipped'.
        reason: Why it failed or was skipped; empty where it passed.
        error: The exception behind a failure.
    """

    name: str
    status: Status
    reason: str = ""
    error: BaseException | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Check(Generic[S]):
    """A check: call it with a subject to get its :class:`CheckResult`.

    Args:
        function: Raises :class:`Broken` where the component breaks its contract; anything else that it raises counts
            as a failure too.
        applies: Says why the check does not apply to a subject; empty where it does.
    """

    function: Callable[[S], None]
    applies: Callable[[S], str]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def about(self) -> str:
        """What the check is about, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __call__(self, subject: S) -> CheckResult:
        """Checks the subject; nothing that its component raises, and no state that it changes, gets out."""
        try:
            if reason := self.applies(subject):
                return CheckResult(self.name, "skipped", reason)
            with kept_state():
                self.function(subject)
        except NotApplicable as refusal:
            return CheckResult(self.name, "skipped", str(refusal))
        except Broken as broken:
            return CheckResult(self.name, "failed", str(broken), broken)
        except (Exception, SystemExit) as error:
            return CheckResult(self.name, "failed", f"it raised {_told(error)}", error)
        return CheckResult(self.name, "passed")


def _told(error: BaseException) -> str:
    """The exception in words; where it has none of its own, as a bare assert, the line that raised it."""
    name, text = type(error).__name__, str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if text or not frames:
        return f"{name}: {text}"
    return f"{name} in line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line}"


def check(applies: Callable[[Any], str]) -> Callable[[Callable[[S], None]], Check[S]]:
    """Makes a function a :class:`Check` that runs where ``applies`` finds nothing against it."""
    return lambda function: Check(function, applies)


def expect(condition: bool, otherwise: str) -> None:
    """Raises :class:`Broken` with the sentence ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise Broken(otherwise)


def with_opt_outs(result: CheckResult, xfails: Mapping[str, str]) -> CheckResult:
    """The result where the author has declared that the check fails, and why.

    A failure is then skipped with the author's reason. A check that passes all the same fails, so that an opt-out goes
    as soon as it is no longer needed.
    """
    if result.name not in xfails or result.status == "skipped":
        return result
    if result.status == "passed":
        return replace(result, status="failed", reason="it passes: take it out of xfails")
    return replace(result, status="skipped", reason=f"{OPTED_OUT}{xfails[result.name]} ({result.reason})")


def xfail_faults(xfails: Mapping[str, str], names: Sequence[str]) -> str:
    """What is wrong with the opt-outs themselves, in one sentence; empty where nothing is."""
    unknown = sorted(set(xfails) - set(names))
    if unknown:
        return f"xfails names checks that do not exist: {', '.join(unknown)}"
    silent = sorted(name for name, reason in xfails.items() if not reason.strip())
    return f"xfails gives no reason for {', '.join(silent)}" if silent else ""


@dataclass(frozen=True)
class Report:
    """What all checks say of one component.

    Args:
        component: Its name.
        kind: 'selector', 'judge' or 'benchmark'.
        results: One result per check.
        minimum: How many checks must have run for the report to mean anything.
        refusal: Why the component could not be run at all, where something must be given or installed first.
    """

    component: str
    kind: str
    results: tuple[CheckResult, ...]
    minimum: int
    refusal: SelkitError | None = field(default=None, repr=False, compare=False)

    def of_status(self, status: Status) -> tuple[CheckResult, ...]:
        """The results of this status."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def ran(self) -> int:
        """How many checks ran: passed or failed."""
        return len(self.results) - len(self.of_status("skipped"))

    @property
    def ok(self) -> bool:
        """Whether no check failed and enough of them ran."""
        return not self.of_status("failed") and self.ran >= self.minimum

    def summary(self) -> str:
        """One line: how many checks ran, failed and were skipped."""
        failed, skipped = len(self.of_status("failed")), len(self.of_status("skipped"))
        few = f"; too few ran: at least {self.minimum} must" if self.ran < self.minimum else ""
        was = "was" if skipped == 1 else "were"
        return f"{self.component} ({self.kind}): {self.ran} checks ran, {failed} failed, {skipped} {was} skipped{few}"

    def __str__(self) -> str:
        told: dict[tuple[str, str], list[str]] = {}
        for result in self.results:
            told.setdefault((result.status, result.reason), []).append(result.name)
        lines = [f"  {status} {', '.join(names)}: {reason}" for (status, reason), names in told.items() if reason]
        return "\n".join([self.summary(), *lines])

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            "selkit": __version__,
            "api_version": API_VERSION,
            "component": self.component,
            "kind": self.kind,
            "ok": self.ok,
            "ran": self.ran,
            "failed": len(self.of_status("failed")),
            "skipped": len(self.of_status("skipped")),
            "minimum": self.minimum,
            "refused": str(self.refusal or ""),
            "checks": [{"name": r.name, "status": r.status, "reason": r.reason} for r in self.results],
        }
