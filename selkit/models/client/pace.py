"""How many requests are under way at once: as many as allowed, and fewer where the server is asked too much."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from typing import Any


class Pace:
    """A limit on requests under way that halves when the server complains, and grows back by one with each round of
    answers (additive increase, multiplicative decrease, as in TCP's control of congestion).

    Args:
        most: Requests under way at once, at most.
    """

    def __init__(self, most: int) -> None:
        import anyio

        self.most = most
        self._limiter = anyio.CapacityLimiter(most)
        self._halved = 0.0
        self._good = 0

    @property
    def limit(self) -> int:
        """Requests under way at once, at present."""
        return int(self._limiter.total_tokens)

    def slot(self) -> AbstractAsyncContextManager[Any]:
        """A place among the requests under way; waits for one."""
        slot: AbstractAsyncContextManager[Any] = self._limiter
        return slot

    def crowded(self, sent: float) -> None:
        """A request sent at ``sent`` (``time.monotonic``) met a full server. Of those that were under way together only
        the first counts."""
        if sent >= self._halved:
            self._halved = time.monotonic()
            self._good = 0
            self._limiter.total_tokens = max(1, self.limit // 2)

    def answered(self) -> None:
        """A request was answered."""
        self._good += 1
        if self.limit < self.most and self._good >= self.limit:
            self._good = 0
            self._limiter.total_tokens = self.limit + 1
