"""Conversations answered turn by turn, each turn after the model's own answers to those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from selkit.api import Example, Turn
from selkit.pools import TestPrompt, TestSet

AnsweredTurns = Literal["first", "all"]
"""Which turns of the user are answered, where a test set has conversations."""

Row = dict[str, Any]
"""A row of responses.jsonl."""


def answer_turns(
    answer: Callable[[TestSet, Path | None], list[Row]], testset: TestSet, partial: Path | None = None
) -> list[Row]:
    """Answers every turn of the user; rows in the order of the test set, the turns of a conversation in a row.

    A later turn has the id of its conversation followed by ``/turn-2`` and so on, and what was said before it under
    ``history``.

    Args:
        answer: Answers prompts; the path is a file for answers as they come.
        testset: The conversations; a prompt without further turns is a conversation of one.
        partial: Where answers to the first turn are kept as they come; later ones in files of like names beside it.
    """
    said: dict[str, list[Row]] = {prompt.id: [] for prompt in testset.prompts}
    for number in range(1, 2 + max((len(prompt.turns) for prompt in testset.prompts), default=0)):
        going = [prompt for prompt in testset.prompts if len(prompt.turns) >= number - 1]
        asked = TestSet(testset.name, tuple(_turn(prompt, said[prompt.id]) for prompt in going))
        # a file of its own for every turn: what is asked in the next one depends on the answers of this one
        own = partial if partial is None or number == 1 else partial.with_stem(f"{partial.stem}-{number}")
        for prompt, row in zip(going, answer(asked, own), strict=True):
            history = _history(said[prompt.id])
            said[prompt.id].append({**row, "history": [turn._asdict() for turn in history]} if history else row)
    return [row for prompt in testset.prompts for row in said[prompt.id]]


def turn_ids(prompt: TestPrompt, turns: AnsweredTurns) -> list[str]:
    """The ids under which the answers of a conversation stand."""
    later = len(prompt.turns) if turns == "all" else 0
    return [prompt.id, *(turn_id(prompt.id, number) for number in range(2, later + 2))]


def turn_id(conversation: str, number: int) -> str:
    """The id of a later turn, from 2 on."""
    return f"{conversation}/turn-{number}"


def _turn(prompt: TestPrompt, rows: Sequence[Row]) -> TestPrompt:
    """The next turn of a conversation, of which these rows are there, as a prompt of its own."""
    if not rows:
        return replace(prompt, turns=())
    own = turn_id(prompt.id, len(rows) + 1)
    history = (*prompt.prompt.history, *_history(rows))
    return TestPrompt(own, Example(own, prompt.turns[len(rows) - 1], history=history))


def _history(rows: Sequence[Row]) -> tuple[Turn, ...]:
    return tuple(turn for row in rows for turn in (Turn("user", row["prompt"]), Turn("assistant", row["response"])))
