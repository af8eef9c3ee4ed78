"""A server of this machine that speaks OpenAI's chat protocol and answers from a script, with every kind of failure.

    with ChatServer("8 9") as server:
        component = MyScorer(endpoint=server.endpoint())

It needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

USAGE = (11, 3)
"""Tokens of every scripted answer: those of the prompt, those of the answer."""


@dataclass(frozen=True)
class Call:
    """A request that arrived.

    Args:
        number: 1 for the first.
        body: Its JSON.
        headers: Its headers, by names in small letters.
        path: Its path.
        at: When it arrived, on the clock ``time.monotonic``.
    """

    number: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    path: str
    at: float

    @property
    def text(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])

    @property
    def roles(self) -> list[str]:
        """The roles of the messages."""
        return [message["role"] for message in self.body["messages"]]


@dataclass(frozen=True)
class Served:
    """What the server sends.

    Args:
        body: A JSON value, or the very text that is sent.
        status: HTTP status code.
        headers: Further headers.
        delay: Seconds before the first byte.
        cut_after: Bytes of the whole response after which the connection is dropped; None to send it all.
        trickle: Seconds between two pieces of 16 bytes; 0 sends it in one.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut_after: int | None = None
    trickle: float = 0.0

    def bytes(self) -> bytes:
        """The response as it goes over the wire."""
        content = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + content


Answer = str | Served
Script = Answer | Callable[[Call], Answer]


def completion(
    text: str | None,
    *,
    finish_reason: str | None = "stop",
    refusal: str | None = None,
    usage: tuple[int, int] | None = USAGE,
    logprobs: Sequence[Mapping[str, float]] | None = None,
    model: str = "",
    **served: Any,
) -> Served:
    """An answer of a model.

    Args:
        text: What it wrote.
        finish_reason: 'stop', 'length', 'content_filter', ...
        refusal: What it wrote instead, where it refuses.
        usage: Tokens of the prompt and of the answer; None leaves the count out.
        logprobs: For each token of the answer the log-probabilities of the likeliest ones, the chosen one first.
        model: The name it gives itself; by default the one it was asked for.
        **served: See :class:`Served`.
    """
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": refusal},
        "finish_reason": finish_reason,
        "logprobs": None if logprobs is None else {"content": [_position(top) for top in logprobs]},
    }
    body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    body["choices"] = [choice]
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return Served(body, **served)


def failure(status: int, code: str = "", message: str = "scripted failure", **served: Any) -> Served:
    """An error as OpenAI's API sends it, e.g. ``failure(429, 'insufficient_quota')``; see :class:`Served`."""
    return Served({"error": {"message": message, "type": code or "error", "code": code or None}}, status, **served)


class ChatServer:
    """Serves while its ``with`` block runs.

    Args:
        script: The answer to everything, or a function from a call to the answer. A text stands for its completion.
        delay: Seconds before every answer.

    Attributes:
        calls: Every request that arrived, in order.
        under_way: Requests that wait for their answer now.
        most_at_once: The most requests that were under way together.
    """

    def __init__(self, script: Script, *, delay: float = 0.0) -> None:
        self.script = script
        self.delay = delay
        self.calls: list[Call] = []
        self.most_at_once = 0
        self.under_way = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._port}/v1"

    def endpoint(self, model: str = "scripted") -> str:
        """The reference under which components ask it."""
        return f"{self.url}#{model}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while call := await self._read(reader):
                self.under_way += 1
                self.most_at_once = max(self.most_at_once, self.under_way)
                try:
                    whole = await self._answer(call, writer)
                finally:
                    self.under_way -= 1
                if not whole:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the server is stopping
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Call | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(content) if content else {}
        call = Call(len(self.calls) + 1, body, headers, first.split()[1], time.monotonic())
        self.calls.append(call)
        return call

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        """Sends the answer; whether all of it."""
        answer = self.script(call) if callable(self.script) else self.script
        served = completion(answer) if isinstance(answer, str) else answer
        if isinstance(served.body, dict) and served.body.get("model") == "":
            served = replace(served, body={**served.body, "model": call.body.get("model")})
        await asyncio.sleep(self.delay + served.delay)
        data = served.bytes()[: served.cut_after]
        step = 16 if served.trickle else max(1, len(data))
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(served.trickle)
        return served.cut_after is None


def _position(top: Mapping[str, float]) -> dict[str, Any]:
    entries = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in top.items()]
    return {**entries[0], "top_logprobs": entries}
