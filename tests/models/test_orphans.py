"""Processes that a library started do not outlive a command that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, subprocess, sys, time
from selkit.models.orphans import children_of, guard_new
other = subprocess.Popen(["sleep", "300"])
before = children_of(os.getpid())
child = subprocess.Popen([sys.executable, "-c", "import subprocess, time; p = subprocess.Popen(['sleep', '300']); "
                          "print(p.pid, flush=True); time.sleep(300)"], stdout=subprocess.PIPE, text=True)
grandchild = int(child.stdout.readline())
guard = guard_new(before)
if sys.argv[1] == "release":
    guard.release()
print(other.pid, child.pid, grandchild, flush=True)
time.sleep(300)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system has no /proc")
@pytest.mark.parametrize(("how", "left"), [("guard", [True, False, False]), ("release", [True, True, True])])
def test_what_was_started_ends_with_the_command(how: str, left: list[bool]) -> None:
    """Scenario 5: kill -9: what was started since ends, with what that started; what was there before does not."""
    command = subprocess.Popen([sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    pids = [int(word) for word in command.stdout.readline().split()]
    try:
        assert all(map(alive, pids))
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
        limit = time.monotonic() + (120 if how == "guard" else 1)
        while [alive(pid) for pid in pids] != left or (how == "release" and time.monotonic() < limit):
            if time.monotonic() > limit:
                break
            time.sleep(0.05)
        assert [alive(pid) for pid in pids] == left
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)
        command.stdout.close()
