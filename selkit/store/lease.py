"""The right to make one result: at most one process, and one thread of it, holds it at a time.

The lock is the kernel's (``flock``), which frees it when its process dies in whatever way. It reaches as far as the
file system carries it: every process of one machine.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api.errors import SelkitError
from selkit.console import get_console
from selkit.files import unwritable

if TYPE_CHECKING:
    from filelock import FileLock

NOTE_AFTER = 2.0
"""Seconds of waiting after which a note says who is waited for."""

_held: set[tuple[str, int, int]] = set()


@dataclass(frozen=True)
class Lease:
    """The lease of one key.

    Args:
        folder: Where the store keeps its leases.
        digest: The key's digest.
        label: The key's stage and component, for people.
        inputs: Digests that the work needs; a clean-up leaves them alone while the lease is held.
    """

    folder: Path
    digest: str
    label: str = ""
    inputs: tuple[str, ...] = ()

    @property
    def lock_path(self) -> Path:
        """The file that is locked."""
        return self.folder / f"{self.digest}.lock"

    @property
    def holder_path(self) -> Path:
        """The file that says who holds the lease, or held it when it was killed."""
        return self.folder / f"{self.digest}.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Waits for the lease and holds it for the block; a wait is noted on stderr.

        Raises:
            SelkitError: This thread holds it already: making the result needs the result.
            DataError: The store cannot be written to.
        """
        if self.held_here():
            raise SelkitError(f"{self.label or self.digest} needs its own result to be made: a stage depends on itself")
        lock = self._lock()
        self._wait(lock)
        with self._holding(lock):
            yield

    @contextmanager
    def hold_if_free(self) -> Iterator[bool]:
        """Holds the lease for the block unless somebody else does, and says whether it is held; never waits.

        Where this thread holds it already, it simply goes on holding it.
        """
        lock = self._lock()
        if self.held_here() or not self._try(lock):
            yield self.held_here()
            return
        with self._holding(lock):
            yield True

    def held_here(self) -> bool:
        """Whether this thread holds the lease."""
        return self._mark() in _held

    def holder(self) -> dict[str, Any]:
        """Who holds the lease, or held it when it was killed: pid, host, label, inputs, started; empty if unknown."""
        with suppress(OSError, ValueError):
            found = json.loads(self.holder_path.read_text("utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def _mark(self) -> tuple[str, int, int]:
        # with the process, since a forked child has a copy of this set but not the lock
        return os.path.abspath(self.lock_path), os.getpid(), threading.get_ident()

    def _lock(self) -> FileLock:
        from filelock import FileLock  # here, since it takes longer to import than all of the store

        return FileLock(self.lock_path)

    def _try(self, lock: FileLock) -> bool:
        try:
            return _acquire(lock, 0)
        except OSError:  # nobody can hold a lease where nothing can be written
            return False

    def _wait(self, lock: FileLock) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not _acquire(lock, NOTE_AFTER):
                get_console().note(f"waiting for {_who(self.holder())}, which is making {self.label or self.digest}")
                lock.acquire()
        except OSError as error:
            raise unwritable(error, self.lock_path) from error

    @contextmanager
    def _holding(self, lock: FileLock) -> Iterator[None]:
        mark = self._mark()
        _held.add(mark)
        try:
            self._sign()
            yield
        finally:
            with suppress(OSError):
                self.holder_path.unlink()
            _held.discard(mark)
            lock.release()

    def _sign(self) -> None:
        entry = {
            "pid": os.getpid(),
            "host": platform.node(),
            "label": self.label,
            "inputs": list(self.inputs),
            "started": time.time(),
        }
        try:
            self.holder_path.write_text(json.dumps(entry), "utf-8")
        except OSError as error:
            raise unwritable(error, self.holder_path) from error


def leases(folder: Path) -> list[Lease]:
    """Every lease that is held, or was when its holder was killed, with the inputs it names."""
    found = []
    for path in sorted(folder.glob("*.json")):
        holder = Lease(folder, path.stem).holder()
        found.append(Lease(folder, path.stem, str(holder.get("label", "")), tuple(holder.get("inputs", ()))))
    return found


def needed_by_others(folder: Path, digest: str) -> bool:
    """Whether some work that is under way, and not this thread's, names a result as an input."""
    for lease in leases(folder):
        if digest in lease.inputs and not lease.held_here():
            with lease.hold_if_free() as free:
                if not free:
                    return True
    return False


def _acquire(lock: FileLock, timeout: float) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    return True


def _who(holder: Mapping[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder.get('pid')} on {holder.get('host')}"
