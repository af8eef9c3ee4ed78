"""Finds plugin packages from their metadata, without importing any of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

from selkit.plugins.records import Candidate
from selkit.plugins.specs import PROJECT

BLOCK_VARIABLE = "SELKIT_DISABLE_PLUGINS"
"""Environment variable: entry points or distributions that must not load, separated by commas."""

ALLOW_VARIABLE = "SELKIT_PLUGINS"
"""Environment variable: the only entry points or distributions that may load; set and empty, none may."""


def candidates() -> list[Candidate]:
    """Every entry point of the group ``selkit``, by package and name; of a package found twice the first counts."""
    found: dict[tuple[str, str], Candidate] = {}
    owner: dict[str, Distribution] = {}
    for distribution, entry_point in _entry_points():
        name = distribution.name or "unknown"
        if owner.setdefault(canonical(name), distribution) is distribution:
            blocked = _blocked(entry_point.name, name)
            candidate = Candidate(entry_point, name, distribution.version or "unknown", blocked)
            found.setdefault((canonical(name), entry_point.name), candidate)
    return [found[key] for key in sorted(found)]


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    """Not ``importlib.metadata.entry_points``: there one package with malformed metadata hides all the others."""
    for distribution in distributions():
        try:
            points = [point for point in distribution.entry_points if point.group == PROJECT]
        except (ValueError, TypeError, OSError):
            continue
        for point in points:
            yield distribution, point


def _blocked(entry_point: str, distribution: str) -> str:
    names = {canonical(entry_point), canonical(distribution)}
    if names & _names_in(os.environ.get(BLOCK_VARIABLE, "")):
        return f"named in {BLOCK_VARIABLE}"
    allowed = os.environ.get(ALLOW_VARIABLE)
    if allowed is not None and not names & _names_in(allowed):
        return f"not named in {ALLOW_VARIABLE}"
    return ""


def _names_in(value: str) -> set[str]:
    return {canonical(name.strip()) for name in value.split(",") if name.strip()}
