"""A series of requests: what its members share while they are asked."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from selkit.api import ChatReply, Outcome, SelkitError, WorkFailed
from selkit.models.client.faults import Fault
from selkit.models.client.request import Request


@dataclass(eq=False, slots=True)
class Ticket:
    """A request whose reply is awaited."""

    request: Request
    reply: Future[ChatReply] = field(default_factory=Future)


class Stopped(Exception):
    """Nobody waits for this request any more, and it was not sent."""


class Series:
    """What the requests of one series share: whether they go on, and how they went. Used in the event loop.

    Args:
        account: What the calls are paid for: digest of a key of the store.
        breaker: Requests that must fail one after the other for the series to stop.

    Attributes:
        open: Tickets whose reply is still to come.
    """

    def __init__(self, account: str, breaker: int) -> None:
        self.account = account
        self.breaker = breaker
        self.open: set[Ticket] = set()
        self._waiting: set[asyncio.Task[ChatReply]] = set()
        self._under_way: set[asyncio.Task[ChatReply]] = set()
        self._ended = asyncio.Event()
        self._error: SelkitError | None = None
        self._failures = 0
        self._last_reason = ""

    def take(self, ticket: Ticket, task: asyncio.Task[ChatReply]) -> None:
        """A ticket whose reply a task is to bring."""
        self.open.add(ticket)
        self._waiting.add(task)
        task.add_done_callback(partial(self._deliver, ticket))

    def sending(self) -> None:
        """The running task's turn has come: from now on its answer is waited for. Raises what it gets if there is no
        more sending."""
        task = asyncio.current_task()
        if task in self._waiting:
            self._waiting.discard(task)
            self._under_way.add(task)
        if self._ended.is_set():
            raise self._end()

    def stop(self, error: SelkitError | None = None) -> None:
        """Nothing more is sent; what is under way goes on to its end. With an error, that is what the rest gets."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
            for task in tuple(self._waiting):
                task.cancel()

    def abort(self) -> None:
        """Drops also what is under way."""
        self.stop()
        for task in tuple(self._under_way):
            task.cancel()

    async def pause(self, seconds: float) -> None:
        """Waits, unless the series stops meanwhile; then raises what the request gets."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return
        raise self._end()

    def answered(self) -> None:
        """A request was answered."""
        self._failures = 0

    def failed(self, fault: Fault, label: str) -> None:
        """A request failed for good. Stops the series where that shows that no further one will fare better."""
        if fault.fatal is not None:
            self.stop(fault.fatal)
        if fault.outcome not in (Outcome.API_ERROR, Outcome.TIMEOUT):
            return
        # a refused request may be its own fault (too long, say), unless the very same is said of one after the other
        alike = fault.transient or fault.reason == self._last_reason
        self._failures = self._failures + 1 if alike else 1
        self._last_reason = fault.reason
        if self._failures >= self.breaker:
            self.stop(
                WorkFailed(
                    f"{label} failed {self._failures} requests in a row, the last with: {fault.reason}; "
                    "the answers so far are stored; run the same command again when the server is well"
                )
            )

    def _end(self) -> Exception:
        return self._error or Stopped()

    def _deliver(self, ticket: Ticket, task: asyncio.Task[ChatReply]) -> None:
        self._waiting.discard(task)
        self._under_way.discard(task)
        self.open.discard(ticket)
        if task.cancelled():
            ticket.reply.set_exception(self._end())
        elif error := task.exception():
            if isinstance(error, SelkitError):
                self.stop(error)
            ticket.reply.set_exception(error)
        else:
            ticket.reply.set_result(task.result())
