"""What is to be seen of processes."""

from __future__ import annotations

import os
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked about does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state_and_parent(pid)[0] != "Z"


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run; none on a system without /proc."""
    numbers = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    found = {number: _state_and_parent(number) for number in numbers}
    return sorted(number for number, (state, parent) in found.items() if parent == pid and state != "Z")


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has gone
        return "", 0
    return state, int(parent)
