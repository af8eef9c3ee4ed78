"""Folders and files that environment variables name: a mistyped one shows only when its data is missed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from selkit.doctor.finding import Finding

FOLDERS = ("SELKIT_POOLS", "SELKIT_TESTSETS", "SELKIT_SHARED_DATA", "SELKIT_LC_ASSETS")
FILES = ("SELKIT_ENDPOINTS", "SELKIT_PRICES")


def place_findings() -> Iterator[Finding]:
    """One line per variable that is set."""
    for names, kind, there in ((FOLDERS, "folder", Path.is_dir), (FILES, "file", Path.is_file)):
        for name in names:
            if value := os.environ.get(name, ""):
                yield _place(name, Path(value).expanduser(), kind, there(Path(value).expanduser()))


def _place(name: str, path: Path, kind: str, there: bool) -> Finding:
    if not there:
        return Finding("data", "failed", f"{name} names {path}, and there is no such {kind}", "correct it or unset it")
    if not os.access(path, os.R_OK):
        return Finding("data", "failed", f"{name} names {path}, which may not be read", "change its permissions")
    return Finding("data", "ok", f"{name} is {path}")
