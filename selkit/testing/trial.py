"""One run before the checks: what a component still needs is said once, and not by every check in turn."""

from __future__ import annotations

from selkit.api import ComponentError, DataError, SelkitError, UsageError, errors
from selkit.testing.guards import kept_state
from selkit.testing.subjects import Subject

_NOT_GIVEN = (UsageError, DataError)
"""What is raised where something must be given first; what else is raised, but for what must be installed, is for the
checks to find."""


def refusal(subject: Subject) -> SelkitError | None:
    """Why the component cannot run on what it was given, and what can be given; None where it can be checked.

    A component that breaks in any other way can be checked: its checks say how.
    """
    try:
        with kept_state():
            subject.try_out()
    except ComponentError as error:
        return error
    except _NOT_GIVEN as error:
        return _kind_of(error)(f"{error}; the checks take {_listed(subject.ways())}")
    except (Exception, SystemExit):
        return None
    return None


def _kind_of(error: SelkitError) -> type[SelkitError]:
    """The class of :mod:`selkit.api.errors` behind an error: a plugin's own may not be made from a sentence."""
    return next(cls for cls in type(error).__mro__ if cls.__module__ == errors.__name__)


def _listed(ways: list[str]) -> str:
    *most, last = ways
    return f"{', '.join(most)} and {last}" if most else last
