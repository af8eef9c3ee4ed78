"""Where requests for one endpoint are handed in: first looked up in the cache, then sent where that has no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from selkit.api import ChatReply
from selkit.console import get_console
from selkit.models.client.answer import read_body, reply_of
from selkit.models.client.background import Background
from selkit.models.client.cache import AnswerCache
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.prices import Price
from selkit.models.client.sender import Sender, priced
from selkit.models.client.series import Series, Ticket
from selkit.models.client.settings import EndpointSettings

if TYPE_CHECKING:
    from selkit.models.client.tally import Tally

NOTE_AFTER = 1.0
"""Seconds of waiting for answers under way after which a note says so."""


@dataclass(eq=False)
class Gateway:
    """One endpoint, for callers in any thread.

    Args:
        endpoint: Where requests go.
        settings: Pace and patience.
        price: What tokens cost, where it is known.
        price_source: Where the price stands.
        cache: Where answers are kept; used in the thread of ``background`` alone.
        background: Where requests are sent from.
        make_sender: Makes what sends requests, at the first that the cache has no answer to.
        tally: Counts what was used.
    """

    endpoint: Endpoint
    settings: EndpointSettings
    price: Price | None
    price_source: str
    cache: AnswerCache
    background: Background
    make_sender: Callable[[], Sender]
    tally: Tally
    _sender: Sender | None = field(default=None, init=False)
    _series_open: set[Series] = field(default_factory=set, init=False)

    def series(self, account: str) -> Series:
        """A new series of requests; call :meth:`finish` at its end."""
        series = self.background.run(self._series(account))
        self._series_open.add(series)
        return series

    def take(self, series: Series, tickets: Sequence[Ticket]) -> None:
        """Answers tickets from the cache, and sends the rest."""
        if tickets:
            self.background.run(self._take(series, tickets))

    def finish(self, series: Series) -> None:
        """Sends no more of a series, and waits for what is under way, which will be paid for.

        A second Ctrl-C drops that. At the end of a process, when nothing can be waited for any more, nothing happens.
        """
        if self.background.alive:
            self._series_open.discard(series)
            try:
                _wait_for(self.background.run(self._stop(series)))
            except BaseException:
                self.background.run(self._abort(series))
                raise

    def finish_all(self) -> None:
        """As :meth:`finish`, for every series that nobody finished."""
        for series in tuple(self._series_open):
            self.finish(series)

    def notes(self, models: Iterable[str], fingerprints: Iterable[str]) -> Iterator[str]:
        """What a person should know of a series of replies, from the names that the server gave itself in them."""
        models, states = sorted(models), sorted(fingerprints)
        if len(models) > 1:
            yield f"{self.endpoint.label} answered as {', '.join(models)}: these are not answers of one model"
        elif models and not models[0].startswith(self.endpoint.model):
            yield f"{self.endpoint.label} answered as {models[0]}"
        if len(states) > 1:
            yield f"{self.endpoint.label} changed meanwhile: its system_fingerprint was {', '.join(states)}"

    async def close(self) -> None:
        """Closes connections."""
        if self._sender is not None:
            await self._sender.close()

    async def _series(self, account: str) -> Series:
        self.tally.opened(account, self.price_source)
        return Series(account, self.settings.breaker)

    async def _take(self, series: Series, tickets: Sequence[Ticket]) -> None:
        try:
            await self._hand_in(series, tickets)
        except BaseException:
            for ticket in tickets:
                ticket.reply.cancel()
            raise

    async def _hand_in(self, series: Series, tickets: Sequence[Ticket]) -> None:
        stored = self.cache.find([ticket.request.digest for ticket in tickets])
        unanswered = []
        for ticket in tickets:
            answer = stored.get(ticket.request.digest)
            if answer is None:
                unanswered.append(ticket)
            else:
                reply = priced(reply_of(read_body(answer)), self.price)
                ticket.reply.set_result(replace(reply, cached=True))
                self.tally.found(series.account)
        if unanswered:
            if self._sender is None:
                self._sender = self.make_sender()
            await self._sender.start(series, unanswered)

    async def _stop(self, series: Series) -> list[Future[ChatReply]]:
        series.stop()
        return [ticket.reply for ticket in series.open]

    async def _abort(self, series: Series) -> None:
        series.abort()


def _wait_for(replies: Sequence[Future[ChatReply]]) -> None:
    _, late = wait(replies, timeout=NOTE_AFTER)
    if late:
        get_console().note(f"waiting for {len(late)} answers under way; interrupt again to drop them")
        wait(late)
