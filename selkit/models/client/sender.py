"""Sends the requests of one endpoint: paced, tried again, paid for within the cap, stored."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

from selkit.api import ChatReply, Outcome, SelkitError, WorkFailed
from selkit.models.client.answer import is_answer, read_body, reply_of
from selkit.models.client.cache import AnswerCache, StoredAnswer
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.faults import Fault
from selkit.models.client.pace import Pace
from selkit.models.client.prices import Price
from selkit.models.client.purse import Purse
from selkit.models.client.recorder import Recorder
from selkit.models.client.request import Request
from selkit.models.client.retries import with_retries
from selkit.models.client.settings import EndpointSettings
from selkit.models.client.transport import Received, Transport

_PER_MESSAGE = 32
"""Tokens that a message can have beside those of its text, with room to spare."""


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
    """

    def __init__(self, account: str, breaker: int) -> None:
        self.account = account
        self.breaker = breaker
        self.outcomes: Counter[str] = Counter()
        self.waiting: set[asyncio.Task[None]] = set()
        self.under_way: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._error: SelkitError | None = None
        self._failures = 0
        self._last_reason = ""

    def stop(self, error: SelkitError | None = None) -> None:
        """Nothing more is sent; what is under way goes on to its end. With an error, that is what the rest gets."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
            for task in tuple(self.waiting):
                task.cancel()

    def abort(self) -> None:
        """Drops also what is under way."""
        self.stop()
        for task in tuple(self.under_way):
            task.cancel()

    def end(self) -> Exception:
        """What a request gets that was not sent because the series stopped."""
        return self._error or Stopped()

    @property
    def ended(self) -> bool:
        """Whether nothing more is sent."""
        return self._ended.is_set()

    async def pause(self, seconds: float) -> None:
        """Waits, unless the series stops meanwhile; then raises what the request gets."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return
        raise self.end()

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


class Sender:
    """The requests of one endpoint. Lives in one event loop.

    Args:
        endpoint: Where requests go.
        transport: What sends them.
        settings: Pace and patience.
        cache: Where answers are kept.
        price: What tokens cost, where it is known.
        purse: The limit on dollars, where there is one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        settings: EndpointSettings,
        cache: AnswerCache,
        price: Price | None,
        purse: Purse | None,
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.settings = settings
        self.price = price
        self.purse = purse
        self.pace = Pace(settings.concurrency)
        self.recorder = Recorder(cache, purse.name if purse else "")

    async def start(self, series: Series, tickets: Sequence[Ticket]) -> None:
        """Puts tickets in line; their replies arrive in their futures."""
        for ticket in tickets:
            task = asyncio.create_task(self._serve(series, ticket))
            series.waiting.add(task)
            task.add_done_callback(series.waiting.discard)
            task.add_done_callback(series.under_way.discard)

    async def close(self) -> None:
        """Writes what is left to write, and closes the connections."""
        self.recorder.flush()
        await self.transport.close()

    async def _serve(self, series: Series, ticket: Ticket) -> None:
        try:
            reply = await self._ask(series, ticket.request)
        except asyncio.CancelledError:
            ticket.reply.set_exception(series.end())
        except Exception as error:
            if isinstance(error, SelkitError):
                series.stop(error)
            ticket.reply.set_exception(error)
        else:
            series.outcomes[reply.outcome] += 1
            ticket.reply.set_result(reply)

    async def _ask(self, series: Series, request: Request) -> ChatReply:
        if series.ended:
            raise series.end()
        async with self.pace.slot():
            task = asyncio.current_task()
            assert task is not None
            series.waiting.discard(task)
            series.under_way.add(task)
            if series.ended:
                raise series.end()
            try:
                received, held = await with_retries(
                    partial(self._try, request),
                    seconds=self.settings.retry_seconds,
                    backoff=self.settings.backoff,
                    pause=series.pause,
                )
            except Fault as fault:
                series.failed(fault, self.endpoint.label)
                if fault.fatal is not None:
                    raise fault.fatal from None
                return ChatReply("", fault.outcome, fault.reason)
            series.answered()
            # within the slot: a kill must not lose more answers than requests may be under way
            return await self._keep(series, request, received, held)

    async def _try(self, request: Request) -> tuple[Received, float]:
        """One try: the answer, and the dollars that were set aside for it."""
        held = await self._hold(request)
        sent = time.monotonic()
        try:
            received = await self.transport.send(request.body)
        except Fault as fault:
            if fault.crowded:
                self.pace.crowded(sent)
            await self._settle(0.0 if fault.billed else -held)
            raise
        except BaseException:  # dropped half-way: it may have been paid for, so what was set aside stays spent
            if self.purse is not None:
                self.purse.let_go()
            raise
        self.pace.answered()
        return received, held

    async def _hold(self, request: Request) -> float:
        if self.purse is None or self.price is None:
            return 0.0
        messages = request.body["messages"]
        # a token is at least one byte of text
        tokens = sum(len(m["content"].encode()) + len(m["role"]) + _PER_MESSAGE for m in messages)
        limit = request.body.get("max_completion_tokens", request.body.get("max_tokens", 0))
        dollars = self.price.at_most(tokens, limit)
        await self.purse.hold(dollars)
        return dollars

    async def _settle(self, change: float) -> None:
        if self.purse is not None:
            if change:
                await self.recorder.add(None, change)
            self.purse.let_go()

    async def _keep(self, series: Series, request: Request, received: Received, held: float) -> ChatReply:
        """The reply, stored if it holds an answer of the model, be it a refusal: that was paid for."""
        body = read_body(received.text)
        reply = priced(reply_of(body), self.price)
        dollars = reply.usage.get("dollars")
        change = 0.0 if dollars is None else dollars - held
        row = None
        if is_answer(body):
            row = StoredAnswer.of(
                replace(request, text=self.transport.scrub(request.text)),
                url=self.endpoint.url,
                model=self.endpoint.model,
                answer=received.text,
                account=series.account,
                seconds=received.seconds,
                usage=reply.usage,
                dollars=dollars,
                request_id=received.request_id,
            )
        try:
            await self.recorder.add(row, change if self.purse else 0.0)
        finally:
            if self.purse is not None:
                self.purse.let_go()
        return reply


def priced(reply: ChatReply, price: Price | None) -> ChatReply:
    """The reply with what it costs at present prices, where that is known."""
    dollars = None if price is None else price.dollars(reply.usage)
    return reply if dollars is None else replace(reply, usage={**reply.usage, "dollars": dollars})
