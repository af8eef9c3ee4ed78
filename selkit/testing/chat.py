"""A chat endpoint that answers from a script, for judges that are a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from selkit.api import ChatReply, Decoding, Turn

USAGE = {"input": 11.0, "output": 3.0}
"""What every scripted answer costs, in tokens."""

Answer = str | ChatReply


class ScriptedChat:
    """Answers every conversation from a script and keeps what it was asked.

    Args:
        answer: The answer to everything, or a function from the text of a conversation to the answer.
    """

    def __init__(self, answer: Answer | Callable[[str], Answer]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def complete(
        self, conversations: Iterable[Sequence[Turn]], *, decoding: Decoding, **options: Any
    ) -> Iterator[ChatReply]:
        """One reply per conversation, in order, with :data:`USAGE`."""
        for conversation in conversations:
            text = "\n".join(turn.content for turn in conversation)
            self.asked.append(text)
            answer = self._answer(text) if callable(self._answer) else self._answer
            reply = ChatReply(answer) if isinstance(answer, str) else answer
            yield replace(reply, usage={**USAGE, **reply.usage})
