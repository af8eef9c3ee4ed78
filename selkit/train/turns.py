"""From rows to what training sees: one prompt and one response for each assistant turn that trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from selkit.api import Example, Pool, PromptTemplate, Turns


class Pair(NamedTuple):
    """A text to learn: ``response`` given ``prompt``. ``turn`` counts the row's assistant turns that train, from 1."""

    id: str
    turn: int
    prompt: str
    response: str


def training_pairs(pool: Pool, template: PromptTemplate) -> Iterator[Pair]:
    """The pairs of all rows, in pool order; which assistant turns they hold is up to ``pool.turns``."""
    for example in pool:
        for turn, shown in enumerate(answered(example, pool.turns), 1):
            yield Pair(example.id, turn, template.prompt(shown), shown.response)


def answered(example: Example, turns: Turns) -> Iterable[Example]:
    """The row as it stood at each assistant turn that trains, oldest first.

    An earlier assistant turn trains where a user turn stands right before it; else there is nothing that it answers.
    """
    if turns == "last":
        return [example]
    earlier = [
        replace(example, instruction=asked.content, input="", response=answer.content, history=example.history[:place])
        for place, (asked, answer) in enumerate(zip(example.history, example.history[1:], strict=False))
        if asked.role == "user" and answer.role == "assistant"
    ]
    return [*earlier, example]
