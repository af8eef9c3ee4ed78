"""Folders as a command would use them: can something be written there, and how much room is left."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

GIB = 2**30


def nearest(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def refusal(path: Path) -> str:
    """Why nothing can be written to a folder, or to where it would be made; empty where something can.

    Tried with a file that has no name: permissions alone do not tell of file systems that can only be read.
    """
    place = path
    try:
        place = nearest(path)
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"selkit")
    except OSError as error:
        return f"nothing can be written to {place} ({error.strerror})"
    return ""


def free_bytes(path: Path) -> int | None:
    """Bytes free on the disk of a folder; None where the system does not say."""
    try:
        return shutil.disk_usage(nearest(path)).free
    except OSError:
        return None
