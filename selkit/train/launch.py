"""Starts the processes that train one model on this machine, and says what went wrong in one of them.

Each runs :mod:`selkit.train.rank` on a folder that holds the job and takes the reason of a failure. The
processes end when this one does, however it ends. Where a batch does not fit into the memory of one of them, all are
started again: the cut that fits is remembered beside the output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selkit.api import DataError, MissingExtra, Pool, SelkitError, UsageError, WorkFailed
from selkit.console import get_console
from selkit.train.machine import rank_environment

JOB = "job.json"
"""File with the job, as :mod:`selkit.train.worker` reads it."""

_ROWS = "rows.jsonl"
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0  # for the others to say why they failed too, and then to end by themselves
_ERRORS: tuple[type[SelkitError], ...] = (UsageError, MissingExtra, DataError, WorkFailed)


def failure_file(rank: int | str) -> str:
    """Name of the file in which a process leaves its :class:`Failure`."""
    return f"failed-{rank}.json"


@dataclass(frozen=True)
class Failure:
    """Why a process ended: its exit code, its sentence, and whether starting again with a smaller cut may help."""

    exit_code: int
    text: str
    again: bool = False


def launch(job: Mapping[str, Any], pool: Pool, processes: int, device: str, threads: int | None) -> None:
    """Trains in ``processes`` processes of this machine.

    Args:
        job: Arguments of :func:`selkit.train.train` as plain JSON values, without the data.
        pool: The rows to train on.
        processes: Processes to start.
        device: 'cpu' or 'cuda'; each process takes the GPU of its number.
        threads: CPU threads of each process; None shares them out on a CPU.

    Raises:
        SelkitError: What one of the processes raised, or that it was killed.
    """
    from selkit.pools import write_jsonl

    if threads is None and device == "cpu":
        threads = max(1, (os.cpu_count() or 1) // processes)
    with TemporaryDirectory(prefix="selkit-launch-") as name:
        folder = Path(name)
        write_jsonl(pool, folder / _ROWS)
        told = {**job, "data": str(folder / _ROWS), "turns": pool.turns, "threads": threads}
        (folder / JOB).write_text(json.dumps(told), "utf-8")
        while failure := _run(folder, processes, device, threads):
            if not failure.again:
                raise _error(failure)
            get_console().note(failure.text)


def _run(folder: Path, world: int, device: str, threads: int | None) -> Failure | None:
    """Runs all processes to their end; the failure of the first that fails ends the others."""
    from torch.distributed import TCPStore

    for old in folder.glob(failure_file("*")):
        old.unlink()
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with ExitStack() as stack:
        logs = [stack.enter_context(open(folder / f"stderr-{rank}.txt", "wb")) for rank in range(world)]
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_stop, started)
        for rank in range(world):
            command = [sys.executable, "-m", "selkit.train.rank", str(folder), *_flags()]
            environment = rank_environment(rank, world, store.port, device, threads)
            options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "env": environment}
            # Only the first shows its progress; a session of their own keeps Ctrl-C for this process, which ends them.
            options |= {"stderr": None if rank == 0 else logs[rank], "start_new_session": True}
            started.append(subprocess.Popen(command, **options))
        return _wait(started, folder)


def _flags() -> list[str]:
    console = get_console()
    return [*(["-q"] if console.quiet else []), *["-v"] * console.verbose]


def _wait(started: Sequence[subprocess.Popen[bytes]], folder: Path) -> Failure | None:
    while True:
        codes = [process.poll() for process in started]
        if any(codes):
            break
        if all(code == 0 for code in codes):
            return None
        time.sleep(_POLL_SECONDS)
    first = next(rank for rank, code in enumerate(codes) if code)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and any(process.poll() is None for process in started):
        time.sleep(_POLL_SECONDS)
    return _failure(folder, first, started[first].returncode)


def _failure(folder: Path, first: int, code: int) -> Failure:
    """What the processes left written of their failure; one that could be mended counts before all others."""
    found = []
    for path in sorted(folder.glob(failure_file("*"))):
        with suppress(OSError, ValueError, TypeError):
            found.append(Failure(**json.loads(path.read_text("utf-8"))))
    if found:
        return next((failure for failure in found if failure.again), found[0])
    lines = (folder / f"stderr-{first}.txt").read_text("utf-8", "replace").strip().splitlines()
    why = "it was killed, perhaps for want of memory" if code == -9 else lines[-1] if lines else f"exit code {code}"
    return Failure(1, f"process {first} of the training ended ({why}): run the same command again")


def _error(failure: Failure) -> SelkitError:
    kinds = {kind.exit_code: kind for kind in _ERRORS}
    return kinds.get(failure.exit_code, SelkitError)(failure.text)


def _stop(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends what still runs: first it is asked to, then it has to."""
    for process in started:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
