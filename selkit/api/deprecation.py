"""Names of the interface that are going: each warns for two minor versions before it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from warnings import warn

GRACE = 2
"""For how many minor versions a name that is going still works, the one in which it begins to warn counted."""


@dataclass(frozen=True)
class Deprecation:
    """A name that is going.

    Args:
        since: The minor version in which it begins to warn, e.g. '0.4'.
        instead: What to use in its place, as the end of a sentence: 'use RowScore'.
    """

    since: str
    instead: str

    @property
    def gone_in(self) -> str:
        """The minor version in which it is no longer there: '0.6' for what began to warn in '0.4'."""
        major, minor = minor_version(self.since)
        return f"{major}.{minor + GRACE}"

    def overdue(self, version: str) -> bool:
        """Whether it should be gone in this version of selkit."""
        return minor_version(version) >= minor_version(self.gone_in)


DEPRECATED: dict[str, Deprecation] = {}
"""Names of :mod:`selkit.api` that are going, with what to use instead."""


def warn_if_deprecated(name: str, known: Mapping[str, Deprecation] = DEPRECATED) -> None:
    """Warns where ``name`` is going; the warning points at the line that asked for the name."""
    if found := known.get(name):
        message = f"selkit.api.{name} is deprecated since selkit {found.since} and goes in {found.gone_in}"
        warn(f"{message}: {found.instead}", DeprecationWarning, stacklevel=3)


def minor_version(version: str) -> tuple[int, int]:
    """'0.4.1' as (0, 4)."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
