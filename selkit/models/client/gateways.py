"""What the endpoints of one process share: the thread, the stored answers, the purse, the tally."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from selkit.api import DataError, UsageError
from selkit.models.client.background import Background
from selkit.models.client.cache import AnswerCache, StoredAnswer
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.gateway import Gateway
from selkit.models.client.prices import PRICES_FILE, Price, PriceTable, read_prices
from selkit.models.client.purse import Purse
from selkit.models.client.secrets import Secret
from selkit.models.client.sender import Sender
from selkit.models.client.settings import CONFIG_HINT, ENDPOINTS_FILE, settings_of
from selkit.models.client.tally import Tally
from selkit.models.client.transport import Transport, check_client


class Gateways:
    """Opens endpoints, each once.

    Args:
        root: The store's folder.
        max_cost: Dollars that may be spent; None for no limit.
        purse: What the limit holds for.
        concurrency: Requests under way at once per endpoint, instead of what the settings say.
    """

    def __init__(self, root: Path, max_cost: float | None, purse: str, concurrency: int | None) -> None:
        self._cache = AnswerCache(root)
        self._background = Background()
        self.tally = Tally(root, self._cache)
        self._purse = None if max_cost is None else Purse(self._cache, purse, max_cost)
        self._told = False
        self._concurrency = concurrency
        self._prices: PriceTable = read_prices()
        self._open_ones: dict[Endpoint, Gateway] = {}

    def gateway(self, endpoint: Endpoint, log: Callable[[str], None]) -> Gateway:
        """The gateway of an endpoint, checked as far as that goes without asking it."""
        if endpoint not in self._open_ones:
            self._open_ones[endpoint] = self._open(endpoint, log)
        return self._open_ones[endpoint]

    def find(self, digests: Sequence[bytes]) -> dict[bytes, str]:
        """Stored answers by the digest of their request."""
        return self._background.run(self._find(digests))

    def keep(self, answer: StoredAnswer) -> None:
        """Stores an answer."""
        self._background.run(self._keep(answer))

    def close(self) -> None:
        """Waits for answers under way, closes connections and files, and enters what was used into the ledger."""
        if self._background.is_current:  # the collector of garbage may call from any thread
            threading.Thread(target=self.close, name="selkit-closing").start()
        elif self._background.alive:
            for gateway in self._open_ones.values():
                gateway.finish_all()
            self._background.run(self._close())
            self._background.stop()

    def _open(self, endpoint: Endpoint, log: Callable[[str], None]) -> Gateway:
        settings = settings_of(endpoint)
        if self._concurrency is not None:
            settings = settings.model_copy(update={"concurrency": self._concurrency})
        variable = settings.key_variable or endpoint.key_variable
        key = Secret.from_environment(variable)
        price = self._price(endpoint, log)
        self._check(endpoint, variable, key)
        self._tell_spent(log)

        def make_sender() -> Sender:
            check_client()
            _need_key(endpoint, variable, key)
            transport = Transport(endpoint, key, settings.timeout, settings.concurrency)
            return Sender(endpoint, transport, settings, self._cache, price, self._purse)

        source = self._prices.source(endpoint)
        return Gateway(endpoint, settings, price, source, self._cache, self._background, make_sender, self.tally)

    def _price(self, endpoint: Endpoint, log: Callable[[str], None]) -> Price | None:
        price = self._prices.of(endpoint)
        if price is None and self._purse is not None:
            raise UsageError(
                f"the price of {endpoint.label} is not known, so no cap on dollars can be kept: "
                f"add it to {PRICES_FILE} ({CONFIG_HINT}), with 0 for a server of your own"
            )
        if price is None and endpoint.openai:
            log(f"the price of {endpoint.model} is not known: its dollars are not counted")
        return price

    def _tell_spent(self, log: Callable[[str], None]) -> None:
        """Says once what earlier calls took from the purse, those of another experiment of the same name too."""
        if self._purse is None or self._told:
            return
        self._told = True
        if spent := self._background.run(self._spent(self._purse)):
            log(f"of the cap of ${self._purse.cap:g}, ${spent:.2f} were spent earlier under the same name")

    def _check(self, endpoint: Endpoint, variable: str, key: Secret) -> None:
        """Without a key or a client there may still be stored answers, e.g. to be parsed in another way."""
        if not self._background.run(self._knows(endpoint)):
            check_client()
            _need_key(endpoint, variable, key)

    async def _knows(self, endpoint: Endpoint) -> bool:
        return self._cache.knows(endpoint.url, endpoint.model)

    async def _spent(self, purse: Purse) -> float:
        return self._cache.spent(purse.name) if self._cache.path.exists() else 0.0

    async def _find(self, digests: Sequence[bytes]) -> dict[bytes, str]:
        return self._cache.find(digests)

    async def _keep(self, answer: StoredAnswer) -> None:
        self._cache.add([answer])

    async def _close(self) -> None:
        for gateway in self._open_ones.values():
            await gateway.close()
        self.tally.enter()
        self._cache.close()


def _need_key(endpoint: Endpoint, variable: str, key: Secret) -> None:
    key.check(variable)
    if variable and not key:
        raise DataError(
            f"there is no key for {endpoint.label}: set ${variable}, or name another variable in {ENDPOINTS_FILE}"
        )
