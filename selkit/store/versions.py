"""Versions of installed packages, for keys: read once a process, since a grid of cells asks for them thousands of
times and each reading parses a file."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version


def package_version(package: str) -> str | None:
    """The version of an installed distribution; None where there is none of that name."""
    # with the path, since another path has other packages
    return _version(package, tuple(sys.path))


@lru_cache(maxsize=256)
def _version(package: str, path: tuple[str, ...]) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
