"""Asks scripted servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from selkit.api import ChatReply, Decoding, Turn
from selkit.models.client import ChatService
from selkit.testing import ChatServer

SHORT = Decoding(max_new_tokens=8)


def conversations(texts: Iterable[str]) -> list[list[Turn]]:
    """A conversation of one turn for each text."""
    return [[Turn("user", text)] for text in texts]


def ask(service: ChatService, server: ChatServer, texts: Iterable[str], **options: Any) -> list[ChatReply]:
    """The replies of a server to texts."""
    chat = service.open(server.endpoint())
    return list(chat.complete(conversations(texts), **{"decoding": SHORT, **options}))


def echo(call: Any) -> str:
    """A script that answers with what was asked."""
    return f"re: {call.text}"
