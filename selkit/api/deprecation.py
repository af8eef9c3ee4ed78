"""What is going: names, hooks, arguments of hooks, parameters. Each warns for two minor versions before it goes.

- a name of :mod:`selkit.api`: an entry in :data:`DEPRECATED`;
- a hook: ``@hookspec(warn_on_impl=Going("hook selkit_x", Deprecation(...)))``, and implementing it warns;
- an argument of a hook: ``@hookspec(warn_on_impl_args={"x": Going("argument x of selkit_y", Deprecation(...))})``;
- a parameter of a component: an entry in the class's ``deprecated``, and giving it is noted on stderr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from warnings import warn

GRACE = 2
"""For how many minor versions a name that is going still works, the one in which it begins to warn counted."""


@dataclass(frozen=True)
class Deprecation:
    """When and for what something goes.

    Args:
        since: The minor version, of the package that it belongs to, in which it begins to warn, e.g. '0.4'.
        instead: What to use in its place, as the end of a sentence: 'use RowScore'.
    """

    since: str
    instead: str

    @property
    def gone_in(self) -> str:
        """The minor version in which it is no longer there: '0.6' for what began to warn in '0.4'."""
        major, minor = minor_version(self.since)
        return f"{major}.{minor + GRACE}"

    def sentence(self, package: str = "selkit") -> str:
        """The end of a sentence: since which version of ``package``, until which, and what to use."""
        return f"is deprecated since {package} {self.since} and goes in {self.gone_in}: {self.instead}"

    def overdue(self, version: str) -> bool:
        """Whether it should be gone in this version of selkit."""
        return minor_version(version) >= minor_version(self.gone_in)


class Going(DeprecationWarning):
    """The warning that something is going.

    Args:
        what: What it is, e.g. 'hook selkit_readers'.
        going: Since when, and what to use in its place.
    """

    def __init__(self, what: str, going: Deprecation) -> None:
        super().__init__(f"{what} {going.sentence()}")
        self.going = going


DEPRECATED: dict[str, Deprecation] = {}
"""Names of :mod:`selkit.api` that are going, with what to use instead."""


def warn_if_deprecated(name: str, known: Mapping[str, Deprecation] = DEPRECATED) -> None:
    """Warns where ``name`` is going; the warning points at the line that asked for the name."""
    if found := known.get(name):
        warn(Going(f"selkit.api.{name}", found), stacklevel=3)


def minor_version(version: str) -> tuple[int, int]:
    """'0.4.1' as (0, 4)."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
