"""Waiting for what other processes do: long enough for a machine that is busy, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 300.0
"""Seconds after which something that takes a few on an idle machine counts as hanging."""


def until(look: Callable[[], Found], seconds: float = PATIENCE, pause: float = 0.02) -> Found:
    """Looks until there is something; returns it.

    Raises:
        AssertionError: There is nothing after so many seconds.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(pause)
    return found


def settled(look: Callable[[], Found], quiet: float = 3.0, seconds: float = PATIENCE) -> Found:
    """Looks until what is found has stayed the same for ``quiet`` seconds; returns it.

    Raises:
        AssertionError: It goes on changing after so many seconds.
    """
    end = time.monotonic() + seconds
    found, since = look(), time.monotonic()
    while time.monotonic() - since < quiet:
        assert time.monotonic() < end, f"still changing after {seconds:g} s"
        time.sleep(0.1)
        if (now := look()) != found:
            found, since = now, time.monotonic()
    return found
