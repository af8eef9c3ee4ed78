"""Conversations: the last assistant turn is the response, and all before it is the prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selkit.api.data import Turn
from selkit.pools.fields import Fields, Unusable, is_missing, kind_of, optional_text, required_text

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "bing": "assistant",
    "bard": "assistant",
}
"""What data sets call the three roles."""

_ROLE_KEYS = ("role", "from")
_TEXT_KEYS = ("content", "value")
_ALTERNATING = ("user", "assistant")


def conversation_fields(value: Any, system: Any = None) -> Fields:
    """The row that a conversation makes; what follows the last assistant turn is left out.

    Args:
        value: A list of turns ``{role|from, content|value}``, a mapping of lists that says the same, a list of texts
            that alternate between user and assistant, or the JSON text of any of these.
        system: A system prompt that stands in a column of its own.

    Raises:
        Unusable: There is no assistant turn, no user turn before it, an unknown role, or a turn without text.
    """
    turns = with_system(read_turns(value), system)
    last = max((i for i, turn in enumerate(turns) if turn.role == "assistant"), default=None)
    if last is None:
        raise Unusable("no assistant turn")
    asked = max((i for i in range(last) if turns[i].role == "user"), default=None)
    if asked is None:
        raise Unusable("no user turn before the response")
    if any(turn.role == "assistant" for turn in turns[asked + 1 : last]):
        raise Unusable("two assistant turns in a row at the end")
    history = (*turns[:asked], *turns[asked + 1 : last])
    return Fields(
        required_text(turns[asked].content, "instruction"), "", required_text(turns[last].content, "response"), history
    )


def read_turns(value: Any) -> tuple[Turn, ...]:
    """The turns of a conversation, without system turns that say nothing. Raises Unusable as above."""
    if isinstance(value, str):
        value = _parsed(value)
    if is_missing(value):
        raise Unusable("no conversation")
    if isinstance(value, Mapping):
        value = _transposed(value)
    if not isinstance(value, Sequence):
        raise Unusable(f"the conversation is {kind_of(value)}, not a list of turns")
    turns = tuple(_turn(item, number) for number, item in enumerate(value))
    return tuple(turn for turn in turns if turn.role != "system" or turn.content.strip())


def with_system(turns: tuple[Turn, ...], system: Any) -> tuple[Turn, ...]:
    """The turns with the system prompt of another column first, unless they begin with one of their own."""
    text = optional_text(system, "system prompt")
    if not text or (turns and turns[0].role == "system"):
        return turns
    return (Turn("system", text), *turns)


def history_turns(value: Any) -> tuple[Turn, ...]:
    """The turns of a ``history`` column: turns, or LLaMA-Factory's pairs ``[question, answer]``.

    Raises:
        Unusable: It is neither.
    """
    if is_missing(value):
        return ()
    if isinstance(value, Sequence) and value and all(_is_pair(item) for item in value):
        return tuple(Turn(role, text) for pair in value for role, text in zip(_ALTERNATING, pair, strict=True))
    return read_turns(value)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable("the conversation is text, not a list of turns") from None


def _transposed(columns: Mapping[str, Any]) -> Any:
    """The turns of a mapping of lists, as which older data sets hold a list of mappings; anything else as it is."""
    lists = [value for value in columns.values() if isinstance(value, list)]
    if not lists or len(lists) < len(columns) or len({len(value) for value in lists}) > 1:
        return columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _turn(item: Any, number: int) -> Turn:
    if isinstance(item, str):
        return Turn(_ALTERNATING[number % 2], item)
    if not isinstance(item, Mapping):
        raise Unusable(f"a turn of the conversation is {kind_of(item)}")
    said = next((item[key] for key in _ROLE_KEYS if item.get(key) is not None), None)
    role = ROLES.get(said.strip().lower()) if isinstance(said, str) else None
    if role is None:
        raise Unusable("a turn has no role" if said is None else f"a turn has the unknown role {str(said)[:40]!r}")
    return Turn(role, _content(next((item[key] for key in _TEXT_KEYS if item.get(key) is not None), None), role))


def _content(value: Any, role: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        return _joined_parts(value)
    if is_missing(value):
        if role == "system":
            return ""
        raise Unusable(f"a turn of the {role} has no text")
    raise Unusable(f"a turn of the {role} is {kind_of(value)}, not text")


def _joined_parts(parts: Sequence[Mapping[str, Any]]) -> str:
    if any(not isinstance(part.get("text"), str) for part in parts):
        raise Unusable("a turn holds something other than text")
    return "".join(part["text"] for part in parts)
