"""Sends the requests of one endpoint: paced, tried again, paid for within the cap, stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from selkit.api import ChatReply
from selkit.models.client.answer import is_answer, read_body, reply_of
from selkit.models.client.cache import AnswerCache, StoredAnswer
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.faults import Fault, no_answer, out_of_reach
from selkit.models.client.pace import Pace
from selkit.models.client.prices import Price
from selkit.models.client.purse import Purse
from selkit.models.client.reach import Reach
from selkit.models.client.recorder import Recorder
from selkit.models.client.request import Request
from selkit.models.client.retries import with_retries
from selkit.models.client.series import Series, Ticket
from selkit.models.client.settings import EndpointSettings
from selkit.models.client.transport import Received, Transport

_PER_MESSAGE = 32
"""Tokens that a message can have beside those of its text, with room to spare."""


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
        self._reach = Reach(settings.contact_seconds)
        self.recorder = Recorder(cache, purse.name if purse else "")

    async def start(self, series: Series, tickets: Sequence[Ticket]) -> None:
        """Puts tickets in line; their replies arrive in their futures."""
        for ticket in tickets:
            series.take(ticket, asyncio.create_task(self._ask(series, ticket.request)))

    async def close(self) -> None:
        """Writes what is left to write, and closes the connections."""
        self.recorder.flush()
        await self.transport.close()

    async def _ask(self, series: Series, request: Request) -> ChatReply:
        async with self.pace.slot():
            series.sending()
            try:
                received, body, held = await with_retries(
                    partial(self._try, series, request),
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
            return await self._keep(series, request, received, body, held)

    async def _try(self, series: Series, request: Request) -> tuple[Received, Mapping[str, Any], float]:
        """One try: the answer, the JSON in it, and the dollars that were set aside for it."""
        held = await self._hold(request)
        try:
            series.sending()  # it may have stopped while money was waited for
        except Exception:
            await self._settle(-held)
            raise
        sent = time.monotonic()
        try:
            received = await self.transport.send(request.body)
            body = answer_in(received.text)
        except Fault as fault:
            if fault.crowded:
                self.pace.crowded(sent)
            await self._settle(0.0 if fault.billed else -held)
            if (seconds := self._reach.failed(fault)) is not None:
                raise out_of_reach(fault, seconds, self.endpoint.label) from None
            raise
        except BaseException:  # dropped half-way: it may have been paid for, so what was set aside stays spent
            await self._settle(0.0)
            raise
        self.pace.answered()
        self._reach.reached()
        return received, body, held

    async def _hold(self, request: Request) -> float:
        if self.purse is None or self.price is None:
            return 0.0
        messages = request.body.get("messages") or [{"role": "", "content": request.body["prompt"]}]
        # a token is at least one byte of text
        tokens = sum(len(m["content"].encode()) + len(m["role"]) + _PER_MESSAGE for m in messages)
        limit = request.body.get("max_completion_tokens", request.body.get("max_tokens", 0))
        dollars = self.price.at_most(tokens, limit)
        await self.purse.hold(dollars)
        return dollars

    async def _settle(self, change: float) -> None:
        """Books what was not spent of the money set aside, and lets others have it."""
        if self.purse is not None:
            if change:
                await self.recorder.add(None, change)
            self.purse.let_go()

    async def _keep(
        self, series: Series, request: Request, received: Received, body: Mapping[str, Any], held: float
    ) -> ChatReply:
        """The reply, stored: the model answered, be it with a refusal, and was paid for it."""
        reply = priced(reply_of(body), self.price)
        dollars = reply.usage.get("dollars")
        change = 0.0 if dollars is None else dollars - held
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


def answer_in(text: str) -> Mapping[str, Any]:
    """The JSON of an answer of the model. Raises Fault where the text holds none."""
    body = read_body(text)
    if body is None or not is_answer(body):
        raise no_answer(reply_of(body).reason)
    return body


def priced(reply: ChatReply, price: Price | None) -> ChatReply:
    """The reply with what it costs at present prices, where that is known."""
    dollars = None if price is None else price.dollars(reply.usage)
    return reply if dollars is None else replace(reply, usage={**reply.usage, "dollars": dollars})
