"""Processes that end half-way: what was answered is stored, and the same command asks for the rest alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

pytest.importorskip("openai")

from asking import SHORT, ask, conversations, echo

from selkit.api import DataError
from selkit.models.client import ChatService
from selkit.store import Store
from selkit.testing import ChatServer, completion, failure

CONCURRENCY = 8

PROGRAM = f"""
import sys
from asking import SHORT, conversations
from selkit.models.client import ChatService
from selkit.store import Store
service = ChatService(Store(sys.argv[1]), concurrency={CONCURRENCY})
chat = service.open(sys.argv[2])
for reply in chat.complete(conversations(str(i) for i in range(int(sys.argv[3]))), decoding=SHORT):
    print(reply.text, reply.cached, flush=True)
service.close()
"""


def start(store: Store, server: ChatServer, number: int) -> subprocess.Popen[str]:
    """Starts a process that asks ``number`` questions."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(store.root), server.endpoint(), str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("after", [20, 57, 111])
def test_a_killed_process_loses_what_was_under_way_alone(store: Store, settings: Any, after: int) -> None:
    """Scenario 39: kill -9, then the same again: at most as many requests are sent twice as were under way, and none
    whose reply was handed out."""
    with ChatServer(lambda call: completion(echo(call), delay=0.02)) as server:
        process = start(store, server, 200)
        wait_for(lambda: len(server.calls) >= after)
        process.kill()
        handed_out = [line for line in process.communicate()[0].splitlines() if line.startswith("re: ")]
        with ChatService(store, concurrency=CONCURRENCY) as service:
            replies = ask(service, server, [str(i) for i in range(200)])
        assert [reply.text for reply in replies] == [f"re: {i}" for i in range(200)]
        assert all(reply.cached for reply in replies[: len(handed_out)])
        assert 200 <= len(server.calls) <= 200 + CONCURRENCY
        assert sum(reply.cached for reply in replies) >= after - CONCURRENCY


def test_an_interrupted_process_waits_for_what_is_under_way(store: Store, settings: Any) -> None:
    """Scenario 7: Ctrl-C once: nothing more is sent, the answers under way are stored, and nothing is asked twice."""
    with ChatServer(lambda call: completion(echo(call), delay=0.3)) as server:
        process = start(store, server, 40)
        wait_for(lambda: len(server.calls) >= CONCURRENCY + 2)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=120)[1]
        assert "KeyboardInterrupt" in error
        sent = len(server.calls)
        assert sent < 40
        with ChatService(store) as service:
            replies = ask(service, server, [str(i) for i in range(40)])
        assert sum(reply.cached for reply in replies) == sent
        assert len(server.calls) == 40


@pytest.mark.slow
def test_a_second_interrupt_does_not_wait(store: Store, settings: Any) -> None:
    """Scenario 8: the process ends at once; the store is whole."""
    with ChatServer(lambda call: echo(call) if int(call.text) < 5 else completion("late", delay=60)) as server:
        process = start(store, server, 100)
        wait_for(lambda: len(server.calls) >= 5 + CONCURRENCY)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = process.stderr.readline()
        while "interrupt again" not in line:
            line = process.stderr.readline()
            assert line, "it ended without saying that it waits"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=50)  # the answers come after sixty
        assert process.returncode != 0
        server.script = echo
        with ChatService(store) as service:
            assert sum(reply.cached for reply in ask(service, server, [str(i) for i in range(100)])) == 5


def test_an_error_of_the_caller_keeps_what_was_under_way(store: Store, settings: Any) -> None:
    """A component that breaks in the middle loses no paid answer, though its error still holds the replies."""
    texts = [str(i) for i in range(40)]
    with ChatServer(lambda call: completion(echo(call), delay=0.3)) as server:
        with ChatService(store, concurrency=4) as service:
            replies = service.open(server.endpoint()).complete(conversations(texts), decoding=SHORT)
            with pytest.raises(ZeroDivisionError):
                _break_at_third(replies)
        sent = len(server.calls)
        assert sent < 40
        with ChatService(store) as service:
            assert sum(reply.cached for reply in ask(service, server, texts)) == sent


def test_a_request_that_never_had_its_turn_is_not_waited_for(store: Store, settings: Any) -> None:
    """The first of a block ends the run before the others of the block have even begun."""
    for _ in range(5):
        with ChatServer(failure(401)) as server, ChatService(store, concurrency=1) as service:
            chat = service.open(server.endpoint())
            with pytest.raises(DataError):
                list(chat.complete(conversations(str(i) for i in range(300)), decoding=SHORT))
            assert len(server.calls) == 1


def _break_at_third(replies: Any) -> None:
    for number, _ in enumerate(replies):
        1 // (2 - number)


def test_two_threads_share_a_service(service: ChatService) -> None:
    """Each gets its own replies in its own order."""
    found: dict[str, list[str]] = {}

    def work(name: str, server: ChatServer) -> None:
        found[name] = [reply.text for reply in ask(service, server, [f"{name}{i}" for i in range(100)])]

    with ChatServer(echo) as server:
        threads = [threading.Thread(target=work, args=(name, server)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {name: [f"re: {name}{i}" for i in range(100)] for name in "ab"}


FULL = """
import resource, signal, sys
from asking import SHORT, conversations
from selkit.api import DataError
from selkit.models.client import ChatService
from selkit.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
chat = ChatService(Store(sys.argv[1])).open(sys.argv[2])
got = 0
try:
    for reply in chat.complete(conversations(str(i) for i in range(2000)), decoding=SHORT):
        got += 1
except DataError as error:
    print(got, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_ends_the_run_in_a_sentence(store: Store, settings: Any) -> None:
    """Scenario 15: what was handed out before is stored; with room again the same goes on."""
    with ChatServer(lambda call: "long " * 200) as server:
        done = subprocess.run(
            [sys.executable, "-c", FULL, str(store.root), server.endpoint()],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=300,
            check=True,
        )
        got, _, sentence = done.stdout.partition(" ")
        assert "chat.sqlite3" in sentence
        assert "no room to write" in sentence or "disk I/O error" in sentence
        assert int(got) > 0
        with ChatService(store) as service:
            replies = ask(service, server, [str(i) for i in range(int(got) + 5)])
        assert all(reply.cached for reply in replies[: int(got)])


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b""])
def test_a_damaged_file_is_named(store: Store, settings: Any, damage: bytes) -> None:
    """Not guessed around: answers were paid for. An empty file is a new one."""
    store.root.mkdir(parents=True)
    (store.root / "chat.sqlite3").write_bytes(damage)
    with ChatServer("x") as server, ChatService(store) as service:
        if not damage:
            assert ask(service, server, "a")[0].text == "x"
            return
        with pytest.raises(DataError, match=r"chat\.sqlite3 cannot be used .*move that file away"):
            ask(service, server, "a")


@pytest.mark.slow
def test_many_processes_open_a_new_store_at_once(store: Store, settings: Any) -> None:
    """None fails because another makes the file."""
    with ChatServer(echo) as server:
        processes = [start(store, server, 3) for _ in range(4)]
        outputs = [process.communicate(timeout=300) for process in processes]
    assert [out.count("re: ") for out, _ in outputs] == [3, 3, 3, 3], outputs


def test_a_service_goes_to_another_process(store: Store, settings: Any) -> None:
    """Pickled, it opens connections of its own there."""
    import pickle

    with ChatServer(echo) as server, ChatService(store, max_cost=None, concurrency=3) as service:
        ask(service, server, "a")
        copy = pickle.loads(pickle.dumps(service))  # noqa: S301
        assert ask(copy, server, "a")[0].cached
        assert copy.concurrency == 3
        copy.close()


def test_a_forked_child_opens_anew(store: Store, settings: Any) -> None:
    """A child of a process that already asked has neither its thread nor its connection, and asks all the same."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    with ChatServer(echo) as server, ChatService(store) as service:
        ask(service, server, "a")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            texts = [reply.text for reply in ask(service, server, "ab")]
            os.write(writer, json.dumps(texts).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            assert json.loads(file.read()) == ["re: a", "re: b"]
        assert os.waitpid(child, 0)[1] == 0
        assert ask(service, server, "b")[0].cached
