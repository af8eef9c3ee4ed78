"""Conversations as an API takes them."""

from __future__ import annotations

from collections.abc import Sequence

from selkit.api import Turn, UsageError

ROLES = ("system", "user", "assistant")


def messages_of(conversation: Sequence[Turn], *, fold_system: bool = False) -> list[dict[str, str]]:
    """A conversation as a list of messages.

    Args:
        conversation: The turns, oldest first; the last one is what the model answers.
        fold_system: Whether system turns are put at the head of the user turn after them, for models without such a
            role; two line breaks stand between.

    Raises:
        UsageError: The conversation is empty, a role is unknown, or the last turn is not the user's.
    """
    turns = [Turn(*turn) for turn in conversation]
    for turn in turns:
        if turn.role not in ROLES:
            raise UsageError(f"a conversation has the role {turn.role!r}: roles are {', '.join(ROLES)}")
    if not turns or turns[-1].role != "user":
        raise UsageError("a conversation must end with a turn of the user, which the model answers")
    if fold_system:
        turns = folded(turns)
    return [{"role": turn.role, "content": encodable(turn.content)} for turn in turns]


def folded(turns: Sequence[Turn]) -> list[Turn]:
    """The turns without those of the system, whose texts stand at the head of the next turn of the user."""
    result: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if turn.role == "system":
            waiting.append(turn.content)
        elif turn.role == "user" and waiting:
            result.append(Turn("user", "\n\n".join([*waiting, turn.content])))
            waiting = []
        else:
            result.append(turn)
    return result


def encodable(text: str) -> str:
    """``text`` with a replacement character for every lone surrogate, which has no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
