"""A limit on dollars, which holds for every process that spends from the same purse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from selkit.api import Outcome
from selkit.models.client.cache import AnswerCache
from selkit.models.client.faults import Fault


@dataclass(eq=False)
class Purse:
    """Sets aside what a call can cost at most before it is sent, and books what it did cost when it is answered.

    What a killed process had set aside stays spent, since its calls may have been paid for.

    Args:
        cache: Where the sum is kept.
        name: Name of the purse.
        cap: Dollars that may be spent in all, by earlier processes too.
    """

    cache: AnswerCache
    name: str
    cap: float
    empty: bool = field(default=False, init=False)
    _held: int = field(default=0, init=False)
    _freed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def hold(self, dollars: float) -> None:
        """Sets money aside; where there is too little, waits for what calls under way give back.

        Raises:
            Fault: The call could pass the cap, whatever those under way turn out to cost. So it is for all later ones,
                also for cheaper ones: which questions are answered must not depend on their length.
        """
        while not self.empty:
            if self.cache.reserve(self.name, dollars, self.cap):
                self._held += 1
                return
            if not self._held:
                self.empty = True
                break
            self._freed.clear()
            await self._freed.wait()
        reason = f"not asked: the cap of ${self.cap:g} could be passed"
        raise Fault(reason, Outcome.BUDGET_STOP)

    def let_go(self) -> None:
        """A call has ended and what it left was, or is about to be, booked."""
        self._held -= 1
        self._freed.set()
