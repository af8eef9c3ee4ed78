"""Whether a server was ever there: one that never was has a wrong address more often than a passing fault."""

from __future__ import annotations

import time

from selkit.models.client.faults import Fault


class Reach:
    """Notices a server that nobody reaches.

    Args:
        patience: Seconds that it may take to be there.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._reached = False
        self._since: float | None = None

    def reached(self) -> None:
        """It was there: from now on every fault is a passing one."""
        self._reached = True

    def failed(self, fault: Fault) -> float | None:
        """Seconds since the first try, where nothing ever reached the server and patience is at its end; else None."""
        if not fault.unsent:
            self.reached()
        if self._reached:
            return None
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        waited = now - self._since
        return waited if waited >= self._patience else None
