"""What a kill can cost at most: never more paid answers than requests may be under way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from selkit.api import Decoding, Turn
from selkit.models.client import ChatService, recorder
from selkit.store import Store
from selkit.testing.chat_server import Call, ChatServer

pytest.importorskip("openai")


def test_a_slot_is_free_when_its_answer_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where storing takes long: requests sent less answers stored are never more than the concurrency."""
    monkeypatch.setattr(recorder, "INTERVAL", 0.1)
    lost: list[int] = []

    def script(call: Call) -> str:
        with sqlite3.connect(tmp_path / "chat.sqlite3") as database:
            (stored,) = database.execute("select count(*) from answers").fetchone()
        lost.append(call.number - stored)
        return "fine"

    with ChatServer(script) as server, ChatService(Store(tmp_path), concurrency=2) as service:
        asked = [[Turn("user", str(number))] for number in range(12)]
        replies = list(service(server.endpoint()).complete(asked, decoding=Decoding(max_new_tokens=4)))
    assert [reply.text for reply in replies] == ["fine"] * 12
    assert max(lost) <= 2
