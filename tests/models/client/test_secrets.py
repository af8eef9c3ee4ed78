"""No key reaches anything that is shown or stored."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import DataError
from selkit.models.client.secrets import Secret

KEY = "sk-marked/7f3a9c2e51d84b60+end"


@given(text=st.text(), key=st.from_regex(r"[!-~]{20,40}", fullmatch=True))
def test_a_key_is_taken_out_wherever_it_stands(text: str, key: str) -> None:
    """And all else stays as it was."""
    secret = Secret(key)
    assert key not in secret.scrub(text + key + text)
    if key not in text:
        assert secret.scrub(text) == text


def test_a_stand_in_for_a_key_may_stand_in_texts() -> None:
    """'EMPTY' and the like are no secrets, and answers that hold the word stay whole; in messages long ones go."""
    for word in ("EMPTY", "none", "lm-studio", "not-needed"):
        assert Secret(word).scrub(f"an {word} answer") == f"an {word} answer"
    assert "not-needed" not in Secret("not-needed").scrub_message("wrong key: not-needed")


def test_messages_lose_the_key_in_every_form() -> None:
    """As it is and quoted for an address; also other secrets of the environment."""
    message = Secret(KEY).scrub_message(f"no {KEY} at http://x/?key={quote(KEY, safe='')}")
    assert "7f3a9c2e51d84b60" not in message


def test_a_secret_does_not_show_itself() -> None:
    """Neither printed nor formatted, nor pickled."""
    secret = Secret(KEY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", repr({"key": secret})):
        assert "marked" not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    assert not Secret("")
    assert secret


@pytest.mark.parametrize("key", ["sk “quoted” 123456789", "two words 123456789", "sk-\x07-123456789"])
def test_what_cannot_be_a_key_is_refused_unseen(key: str) -> None:
    """A library would show it in its own error."""
    with pytest.raises(DataError, match=r"\$MY_KEY holds blanks") as caught:
        Secret(key).check("MY_KEY")
    assert "123456789" not in str(caught.value)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A marked key in the environment, and every log of every library at its most talkative."""
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    names = ("openai", "httpx2", "httpcore2", "aiohttp", "asyncio", "tenacity")
    with caplog.at_level(logging.DEBUG):
        for name in names:
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def test_no_key_in_anything_that_a_run_leaves(
    marked: pytest.LogCaptureFixture, service: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies, exceptions with their tracebacks, logs, output, and every file of the store; the server repeats the key
    in answers, in headers and in each kind of error."""
    from asking import SHORT, conversations

    from selkit.testing import ChatServer, Served, completion, failure

    said = f"wrong key {KEY}, that is {quote(KEY, safe='')}"
    kinds = {
        "answer": completion(f"the key is {KEY}", headers={"x-request-id": KEY}),
        "refusal": completion(None, refusal=said),
        "error": failure(400, KEY, said, headers={"x-echo": KEY}),
        "text": Served(said, 500),
        "broken": Served(f'{{"key": "{KEY}'),
        "asked": completion("fine"),
    }
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(_no_patience(service.store.root.parent)))
    shown = []
    with ChatServer(lambda call: kinds[call.text.split()[0]]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        chat = service.open("openai:gpt-4o")
        texts = [*list(kinds)[:-1], f"asked with {KEY}"]
        shown += [repr(reply) for reply in chat.complete(conversations(texts), decoding=SHORT)]
        assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.calls)
        for status in (401, 403, 404, 429):
            server.script = failure(status, "insufficient_quota", said)
            with pytest.raises(Exception, match="stored") as caught:
                list(chat.complete(conversations([str(status)]), decoding=SHORT))
            shown += traceback.format_exception(caught.value)
    shown += [repr(service), repr(chat), repr(vars(chat))]
    service.close()
    output = capfd.readouterr()
    everything = "\n".join([*shown, marked.text, output.out, output.err])
    assert "7f3a9c2e51d84b60" not in everything
    files = [path for path in service.store.root.rglob("*") if path.is_file()]
    assert any(path.name == "chat.sqlite3" for path in files)
    assert not [path for path in files if b"7f3a9c2e51d84b60" in path.read_bytes()]


def _no_patience(folder: Path) -> Path:
    path = folder / "no-patience.yaml"
    path.write_text("default: {retry_seconds: 0}", "utf-8")
    return path


def test_no_key_in_the_traceback_of_a_command(tmp_path: Path) -> None:
    """With SELKIT_DEBUG, which prints whole tracebacks with their causes."""
    pytest.importorskip("openai")
    from selkit.testing import ChatServer, failure

    code = """
import sys, traceback
from asking import SHORT, conversations
from selkit.models.client import ChatService
from selkit.store import Store
try:
    list(ChatService(Store(sys.argv[1])).open("openai:gpt-4o").complete(conversations(["q"]), decoding=SHORT))
except Exception as error:
    traceback.print_exception(error)
    print(repr(error.__cause__), repr(error.__context__))
"""
    with ChatServer(failure(401, "invalid_api_key", f"Incorrect API key provided: {KEY}")) as server:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "OPENAI_LOG": "debug"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
        )
    assert "refuses the key" in done.stderr
    assert "7f3a9c2e51d84b60" not in done.stdout + done.stderr
