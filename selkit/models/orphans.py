"""Ends the processes that a library started when this process is gone, however it went.

vLLM's processes wait for ever for a command that was killed with kill -9, and keep their memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_WATCH = """
import os, signal, sys
sys.stdin.buffer.read()
for pid in map(int, sys.argv[1:]):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def children_of(pid: int) -> set[int]:
    """The processes that a process started, theirs too; empty where the system has no /proc."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    found: set[int] = set()
    while new := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= new
    return found


class Guard:
    """Kills processes as soon as this one is gone: a small process waits for the end of a pipe that this one holds.

    Args:
        pids: What to kill.
    """

    def __init__(self, pids: set[int]) -> None:
        words = [sys.executable, "-S", "-E", "-c", _WATCH, *map(str, sorted(pids))]
        # a session of its own, so that Ctrl-C does not end it before the others
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) if pids else None

    def release(self) -> None:
        """Kills nothing any more: the processes were ended in their own way."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def guard_new(before: set[int]) -> Guard:
    """Guards what this process started since ``before``, which :func:`children_of` returned.

    Python's own tracker of shared memory is left to itself: it ends after the others, and clears up behind them.
    """
    return Guard({pid for pid in children_of(os.getpid()) - before if not _is_tracker(pid)})


def _is_tracker(pid: int) -> bool:
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
