"""Stores answers as they come, several in one transaction where they come together."""

from __future__ import annotations

import asyncio

from selkit.models.client.cache import AnswerCache, StoredAnswer

INTERVAL = 0.002
"""Seconds in which answers are gathered for one transaction."""


class Recorder:
    """Writes to the cache from the event loop.

    Args:
        cache: Where to.
        purse: Name of the purse that changes are booked to; empty for none.
    """

    def __init__(self, cache: AnswerCache, purse: str = "") -> None:
        self._cache = cache
        self._purse = purse
        self._rows: list[StoredAnswer] = []
        self._change = 0.0
        self._written: asyncio.Future[None] | None = None

    async def add(self, row: StoredAnswer | None, change: float = 0.0) -> None:
        """Returns when the answer is stored and the change (dollars) is booked; raises DataError where that fails."""
        if row is not None:
            self._rows.append(row)
        self._change += change
        if self._written is None:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_later(INTERVAL, self.flush)
        # shielded, since others wait for the same transaction
        await asyncio.shield(self._written)

    def flush(self) -> None:
        """Writes what was gathered now."""
        written, self._written = self._written, None
        if written is None:
            return
        rows, self._rows = self._rows, []
        change, self._change = self._change, 0.0
        try:
            self._cache.add(rows, purse=self._purse, change=change)
        except Exception as error:
            written.set_exception(error)
            written.exception()  # seen, should nobody wait any more
        else:
            written.set_result(None)
