"""Times the request client against the least time that a server's latency allows.

    python bench/request_client.py [--calls 20000] [--latency 0.2] [--concurrency 64] [--limit 1.5]

A server in a second process answers each request after the latency; with so many under way at once, calls cannot end
sooner than calls x latency / concurrency. Every answer is checked, and their order, and that each request arrived once,
before a figure is printed. The same calls are then made again, from the stored answers. With --limit the exit code is 1
where the ratio is above it.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from selkit.api import Decoding, Turn
from selkit.models.client import ChatService
from selkit.store import Store
from selkit.testing import ChatServer
from selkit.testing.chat_server import Call, completion

PROMPT = "Rate the following answer on a scale from 0 to 5 and give a reason. " * 20
"""About 1,400 characters, as the prompts of graders and judges are long."""


def main() -> int:
    """Prints both times, the ratio to the least time, and what a call takes of the processor."""
    parser = argparse.ArgumentParser(description="Time the request client against a server of fixed latency.")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that the server takes per answer")
    parser.add_argument("--concurrency", type=int, default=64, help="requests under way at once")
    parser.add_argument("--limit", type=float, default=None, help="the largest ratio that passes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _Server(arguments.latency) as server:
        ask(server.endpoint, Path(folder, "warm-up"), 2 * arguments.concurrency, arguments.concurrency)
        warm = server.arrived()
        seconds, processor = ask(server.endpoint, Path(folder, "store"), arguments.calls, arguments.concurrency)
        arrived = server.arrived() - warm
        assert arrived == arguments.calls, f"{arrived} requests arrived for {arguments.calls} questions"
        again, _ = ask(server.endpoint, Path(folder, "store"), arguments.calls, arguments.concurrency)
        assert server.arrived() - warm == arguments.calls, "a stored answer was asked for again"
    ideal = arguments.calls * arguments.latency / arguments.concurrency
    ratio = seconds / ideal
    print(f"{arguments.calls} calls of {arguments.latency} s, {arguments.concurrency} at once: all right and in order")
    print(f"{seconds:.1f} s, least possible {ideal:.1f} s, ratio {ratio:.2f}; {1000 * processor:.2f} ms of CPU a call")
    print(f"again from the store: {again:.2f} s, {arguments.calls / again:.0f} answers a second")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {platform.machine()}")
    return int(arguments.limit is not None and ratio > arguments.limit)


def ask(endpoint: str, folder: Path, calls: int, concurrency: int) -> tuple[float, float]:
    """Seconds for all calls, and processor seconds per call, with every answer checked."""
    with ChatService(Store(folder), concurrency=concurrency) as service:
        chat = service.open(endpoint)
        began, busy = time.perf_counter(), time.process_time()
        replies = [reply.text for reply in chat.complete(questions(calls), decoding=Decoding(max_new_tokens=64))]
        took, used = time.perf_counter() - began, time.process_time() - busy
    assert replies == [answer_to(question[0].content) for question in questions(calls)], "a wrong answer"
    return took, used / calls


def questions(calls: int) -> Iterator[list[Turn]]:
    """Conversations that all differ."""
    return ([Turn("user", f"{PROMPT}{number}")] for number in range(calls))


def answer_to(question: str) -> str:
    """The one right answer to a question; about 300 characters."""
    return f"4\n{hashlib.sha256(question.encode()).hexdigest()} " + "because it is so " * 14


class _Server:
    """The server in a process of its own."""

    def __init__(self, latency: float) -> None:
        self._here, there = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(latency, there), daemon=True)
        self._process = process

    def __enter__(self) -> _Server:
        self._process.start()
        self.endpoint = self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def arrived(self) -> int:
        """How many requests arrived so far."""
        self._here.send("arrived")
        return int(self._here.recv())


def _serve(latency: float, pipe: Connection) -> None:
    def script(call: Call) -> object:
        return completion(answer_to(call.text), usage=(300, 60), delay=latency)

    with ChatServer(script) as server:  # type: ignore[arg-type]
        pipe.send(server.endpoint("judge"))
        while True:
            pipe.recv()
            pipe.send(len(server.calls))


if __name__ == "__main__":
    sys.exit(main())
