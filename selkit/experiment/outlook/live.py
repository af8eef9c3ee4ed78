"""Runs that are going on: each holds a lease in its store, so that others can see it and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from selkit.api import DataError
from selkit.experiment.outlook.status import RUN, Holder, Status
from selkit.store import Store, digest_text
from selkit.store.lease import Lease

WAIT = 2.0
"""Seconds between two looks; more where a look takes long."""

_SHARE = 5
_TRIES, _PAUSE = 5, 0.05


@contextmanager
def announced(store: Store, name: str, folder: Path) -> Iterator[None]:
    """Lets others see for the block that an experiment runs; where the store cannot be written to, they do not."""
    lease = Lease(store.layout.leases, digest_text(f"run\0{folder.expanduser().absolute()}"), f"{RUN} {name}")
    with ExitStack() as held:
        for _ in range(_TRIES):  # who looks whether it is free holds it for a moment
            try:
                if held.enter_context(lease.hold_if_free()):
                    break
            except DataError:
                break
            time.sleep(_PAUSE)
        yield


def watched(
    look: Callable[[], Status], sleep: Callable[[float], None] = time.sleep, wait: float = WAIT
) -> Iterator[Status]:
    """How things stand, again and again, until no run is going on any more.

    Args:
        look: Says how things stand now.
        sleep: Waits so many seconds.
        wait: Seconds between two looks; at least five times as long as a look takes.
    """
    while True:
        began = time.monotonic()
        status = look()
        yield status
        if not status.runs:
            return
        sleep(max(wait, _SHARE * (time.monotonic() - began)))


def counted(name: str, status: Status) -> str:
    """How many cells are in which state, and how many stages are stored."""
    states = ", ".join(f"{number} {state}" for state, number in status.counts.items())
    return f"{name}: {states}; {status.stages[0]} of {status.stages[1]} stages stored"


def paced(status: Status) -> str:
    """How fast it goes; empty where nothing was done of late."""
    if not status.seconds_left:
        return ""
    return f"{status.per_hour:.1f} cells an hour of late: {duration(status.seconds_left)} left at that rate"


def details(status: Status, most: int = 12) -> list[str]:
    """How fast it goes, and a line for every cell that is under way, of very many the first."""
    rate = [paced(status)] if paced(status) else []
    running = [f"{cell.cell}: {holders(cell.running)}" for cell in status.cells if cell.running]
    return rate + running[:most] + ([f"and {len(running) - most} more"] if len(running) > most else [])


def holders(found: Iterable[Holder]) -> str:
    """Who works on what, for people."""
    return "; ".join(f"{one.stage} by process {one.pid} on {one.host} for {duration(one.seconds)}" for one in found)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
