"""Sends one request with the openai client, and says what came of it."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selkit.api import MissingExtra, Outcome
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.faults import Fault, status_fault
from selkit.models.client.secrets import Secret

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

CONNECT_SECONDS = 15.0
"""How long a connection may take to open."""

_UNSENT = frozenset(
    {"ClientConnectorError", "ClientConnectorDNSError", "ConnectionRefusedError", "ConnectionTimeoutError"}
)
"""Exceptions of aiohttp that say that no connection was made. (Those of httpx2 that they become say less: a server that
drops a connection half-way looks there like one that could not be reached.)"""


@dataclass(frozen=True, slots=True)
class Received:
    """A body that came with a good status, without keys; ``seconds`` from sending to its last byte."""

    text: str
    request_id: str
    seconds: float


def check_client() -> None:
    """Raises MissingExtra where what sends requests is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("openai", "aiohttp", "tenacity")):
        raise MissingExtra.of("asking an API", "openai")


class Transport:
    """The openai client for one endpoint. Lives in one event loop.

    Args:
        endpoint: Where requests go.
        key: The key, or an empty one.
        timeout: Seconds that a call may take in all.
        connections: The most connections to open.
    """

    def __init__(self, endpoint: Endpoint, key: Secret, timeout: float, connections: int) -> None:
        self.endpoint = endpoint
        self._key = key
        key.hide_in_logs()
        self._timeout = timeout
        self._client = _client(endpoint, key, connections)
        self._options = _options(key)

    async def send(self, body: Mapping[str, Any]) -> Received:
        """Sends a request once.

        Raises:
            Fault: There is no good answer; the text of the fault holds no key.
        """
        import httpx2
        import openai

        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    _path(body), cast_to=httpx2.Response, body=body, options=self._options
                )
            text, name = response.text, response.headers.get("x-request-id", "")
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} s"
            fault = Fault(reason, Outcome.TIMEOUT, transient=True, billed=True)
        except openai.APIStatusError as error:
            fault = self._status(error)
        except openai.APIConnectionError as error:
            fault = self._broken(error)
        except openai.OpenAIError as error:
            fault = Fault(self._key.scrub_message(str(error)), billed=True)
        else:
            return Received(self.scrub(text), self.scrub(name), time.perf_counter() - started)
        raise fault  # outside the handlers: what the library raised holds the request with its key

    def scrub(self, text: str) -> str:
        """``text`` without the key."""
        return self._key.scrub(text)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def _status(self, error: APIStatusError) -> Fault:
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        body = error.body if error.body is not None else error.response.text
        return status_fault(error.status_code, headers, _scrubbed(body, self._key), self.endpoint.label)

    def _broken(self, error: APIConnectionError) -> Fault:
        causes = _causes(error)
        unsent = not _UNSENT.isdisjoint(type(cause).__name__ for cause in causes)
        root = causes[-1]
        said = " ".join(self._key.scrub_message(str(root)).split()) or type(root).__name__
        what = "cannot be reached" if unsent else "dropped the connection"
        return Fault(f"the server {what} ({said})", transient=True, billed=not unsent, unsent=unsent)


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and what led to it, down to the root."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return causes


def _path(body: Mapping[str, Any]) -> str:
    """Conversations go to the chat API, texts to be gone on with to the completions API."""
    return "/chat/completions" if "messages" in body else "/completions"


def _client(endpoint: Endpoint, key: Secret, connections: int) -> AsyncOpenAI:
    import httpx2
    import openai

    # aiohttp takes half the time per call of httpx2's own connections, which look at each other at every request
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    http = openai.DefaultAioHttpClient(limits=limits)
    return openai.AsyncOpenAI(
        api_key=key.reveal() or "none",
        base_url=endpoint.url,
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),  # the time of the whole call is kept by `send`
        max_retries=0,
        http_client=http,
    )


def _options(key: Secret) -> Any:
    """What each request is sent with: no header that asks for entry where there is no key."""
    import openai

    return {} if key else {"headers": {"Authorization": openai.Omit()}}


def _scrubbed(body: Any, key: Secret) -> Any:
    """The body of an error without keys, as deep as its code and message lie."""
    if isinstance(body, dict):
        return {name: _scrubbed(value, key) for name, value in body.items()}
    return key.scrub_message(body) if isinstance(body, str) else body
