"""The chat endpoints of a command: one event loop, one cache, one cap."""

from __future__ import annotations

import math
import os
import secrets
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selkit.api import Chat, UsageError
from selkit.console import get_console
from selkit.files import digest_text
from selkit.models.client.endpoints import Endpoint, parse_endpoint
from selkit.store import Store

if TYPE_CHECKING:
    from selkit.models.client.chat import RemoteChat
    from selkit.models.client.gateways import Gateways


@dataclass(eq=False)
class ChatService:
    """Serves :meth:`selkit.api.Context.chat`. Cheap to make: nothing is opened before it is needed.

    Args:
        store: Where answers are kept and costs are entered, by default the user's store.
        max_cost: Dollars that may be spent in all from ``purse``, by earlier and other processes too; None for no cap.
        purse: Name of what the limit holds for, e.g. the digest of a key: whoever names the same, now or later, shares
            it. By default it holds for this service and its copies in other processes.
        concurrency: Requests under way at once per endpoint, instead of what the settings say.

    Raises:
        UsageError: The cap is no number of dollars, or the concurrency none of requests.
    """

    store: Store = field(default_factory=Store)
    max_cost: float | None = None
    purse: str = ""
    concurrency: int | None = None
    _gateways: Gateways | None = field(default=None, init=False, repr=False)
    _process: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.max_cost is not None and not 0 <= self.max_cost < math.inf:
            raise UsageError(f"a cap of {self.max_cost} dollars is none: give a number from 0 on")
        if self.concurrency is not None and self.concurrency < 1:
            raise UsageError(f"{self.concurrency} requests at once are none: give a whole number from 1 on")
        self.purse = self.purse or f"service-{secrets.token_hex(16)}"

    def __call__(self, endpoint: str) -> Chat:
        """As :meth:`open`, with progress and notes shown on the console."""
        return self.open(endpoint)

    def open(
        self,
        endpoint: str,
        *,
        account: Callable[[], str] | None = None,
        device: str | None = None,
        track: Callable[..., Iterator[Any]] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> Chat:
        """The endpoint of a reference (:mod:`selkit.models.client.endpoints`); asks no network.

        Args:
            endpoint: The reference.
            account: Says what calls are charged to: digest of a key of the store.
            device: What a local model runs on.
            track: Shows progress.
            log: Takes notes.

        Raises:
            UsageError: The reference or a file of settings is malformed, or there is a cap and the price is not known.
            DataError: There is no key, or no such model.
            MissingExtra: What sends requests or runs the model is not installed.
        """
        found = parse_endpoint(endpoint)
        account = account or (lambda: digest_text(f"chat\0{endpoint}"))
        if found is None:
            from selkit.models.client.local import LocalChat
            from selkit.models.context import default_device

            return LocalChat(endpoint, device or default_device(), self, account, track or get_console().track)
        return self.remote(found, account=account, track=track, log=log)

    def remote(
        self,
        endpoint: Endpoint,
        *,
        account: Callable[[], str] | None = None,
        track: Callable[..., Iterator[Any]] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> RemoteChat:
        """A model behind an API; the arguments and errors are those of :meth:`open`."""
        from selkit.models.client.chat import RemoteChat

        log = log or get_console().note
        account = account or (lambda: digest_text(f"chat\0{endpoint.label}"))
        gateway = self.opened().gateway(endpoint, log)
        return RemoteChat(gateway, self, account, track or get_console().track, log)

    def opened(self) -> Gateways:
        """The endpoints of this process."""
        # a forked child has neither the thread nor the right to the file
        if self._gateways is None or self._process != os.getpid():
            from selkit.models.client.gateways import Gateways

            self._gateways = Gateways(self.store.root, self.max_cost, self.purse, self.concurrency)
            self._process = os.getpid()
            weakref.finalize(self, self._gateways.close)
        return self._gateways

    def close(self) -> None:
        """Closes connections and enters what was used into the ledger; the next :meth:`open` opens anew."""
        if self._gateways is not None and self._process == os.getpid():
            self._gateways.close()
        self._gateways = None

    def __enter__(self) -> ChatService:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # for another process, which opens connections of its own
        return {**self.__dict__, "_gateways": None, "_process": 0}

    def __exit__(self, *_: object) -> None:
        self.close()
