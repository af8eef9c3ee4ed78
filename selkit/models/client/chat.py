"""A remote chat endpoint, as components see it: conversations in, replies out, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from selkit.api import ChatReply, Decoding, Turn
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.request import Asking, Request
from selkit.models.client.series import Series, Ticket

if TYPE_CHECKING:
    from selkit.models.client.gateway import Gateway
    from selkit.models.client.service import ChatService

BLOCK = 64
"""Conversations that are looked up together."""

AHEAD = 16
"""How far conversations are read ahead of the replies handed out, in multiples of the concurrency: so that one slow
answer does not hold up the others."""

Track = Callable[..., Iterator[ChatReply]]


class RemoteChat:
    """A model behind an OpenAI-compatible API; see :class:`selkit.api.Chat`.

    Args:
        gateway: What looks up, sends and stores.
        service: Kept alive as long as this, since connections close with it.
        account: Says what calls are charged to: digest of a key of the store.
        track: Shows progress, as :meth:`selkit.api.Context.track`.
        log: Takes notes, as :meth:`selkit.api.Context.log`.
    """

    def __init__(
        self,
        gateway: Gateway,
        service: ChatService,
        account: Callable[[], str],
        track: Track,
        log: Callable[[str], None],
    ) -> None:
        self._gateway = gateway
        self._service = service
        self._account = account
        self._track = track
        self._log = log

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""
        return self._gateway.endpoint

    @property
    def folds_system(self) -> bool:
        """Whether the settings put system turns at the head of the user's turn."""
        return self._gateway.settings.fold_system

    def complete(
        self,
        conversations: Iterable[Sequence[Turn]],
        *,
        decoding: Decoding,
        logprobs: int = 0,
        seed: int | None = None,
        sample: int = 0,
        fold_system: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Iterator[ChatReply]:
        """One reply per conversation, in order; see :meth:`selkit.api.Chat.complete`."""
        asking = Asking(
            endpoint=self.endpoint,
            decoding=decoding,
            logprobs=logprobs,
            seed=seed,
            sample=sample,
            fold_system=fold_system or self.folds_system,
            extra=extra or {},
        )
        total = len(conversations) if isinstance(conversations, Sequence) else None
        return self.ask((asking.request(conversation) for conversation in conversations), total)

    def ask(self, requests: Iterator[Request], total: int | None) -> Iterator[ChatReply]:
        """One reply per request, in order, as :meth:`complete` gives them; ``total`` requests, where that is known."""
        return self._track(self._replies(requests), total=total, description=self.endpoint.model)

    def _replies(self, requests: Iterator[Request]) -> Iterator[ChatReply]:
        window = _Window(self._gateway, self._account(), AHEAD * self._gateway.settings.concurrency)
        try:
            while block := list(islice(requests, BLOCK)):
                yield from window.push(block)
            yield from window.rest()
        finally:
            window.finish()
        for note in self._gateway.notes(window.models, window.fingerprints):
            self._log(note)


class _Window:
    """The requests whose replies were not handed out yet, in order."""

    def __init__(self, gateway: Gateway, account: str, size: int) -> None:
        self._gateway = gateway
        self._series: Series = gateway.series(account)
        self._size = size
        self._line: deque[tuple[Ticket, bool]] = deque()
        self._asked: dict[bytes, Ticket] = {}
        self.models: set[str] = set()
        self.fingerprints: set[str] = set()

    def push(self, block: list[Request]) -> Iterator[ChatReply]:
        """Takes requests up; yields the replies that are there, and more where the window is full."""
        new = []
        for request in block:
            ticket = self._asked.get(request.digest)
            again = ticket is not None
            if ticket is None:
                ticket = self._asked[request.digest] = Ticket(request)
                new.append(ticket)
            self._line.append((ticket, again))
        self._gateway.take(self._series, new)
        while self._line and (len(self._line) > self._size or self._line[0][0].reply.done()):
            yield self._next()

    def rest(self) -> Iterator[ChatReply]:
        """All replies that are left."""
        while self._line:
            yield self._next()

    def finish(self) -> None:
        """Sends no more, and waits for what is under way."""
        self._gateway.finish(self._series)

    def _next(self) -> ChatReply:
        ticket, again = self._line[0]
        reply = ticket.reply.result()
        self._line.popleft()
        self._asked.pop(ticket.request.digest, None)  # asked again later, it is found in the cache
        self.models |= {reply.model} - {""}
        self.fingerprints |= {reply.fingerprint} - {""}
        return replace(reply, cached=True) if again else reply
