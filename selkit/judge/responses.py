"""Responses to judge: reading them and joining two files by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Comparison, DataError, EarlierTurn
from selkit.judge.rows import read_rows


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to one prompt; ``earlier`` are the turns before it, as what the user said and what was answered."""

    id: str
    prompt: str
    response: str
    earlier: tuple[tuple[str, str], ...] = ()


def read_responses(path: Path) -> dict[str, Response]:
    """The responses of a responses.jsonl by id, in the order of the file.

    Raises:
        DataError: The file is missing or empty, or a row has no id or response or a malformed history, or an id comes
            twice.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}: make one with `selkit generate MODEL --prompts ... -o {path}`")
    responses: dict[str, Response] = {}
    for number, row in read_rows(path):
        if not isinstance(row.get("response"), str) or row.get("id") in (None, ""):
            raise DataError(f"{path}, line {number}: a response needs an 'id' and a text 'response'")
        row_id = str(row["id"])
        if row_id in responses:
            raise DataError(f"{path}, line {number}: the id {row_id!r} comes twice; judge one sample a prompt")
        earlier = _earlier(row.get("history") or [])
        if earlier is None:
            raise DataError(f"{path}, line {number}: 'history' must hold turns of user and assistant by turns")
        responses[row_id] = Response(row_id, str(row.get("prompt", "")), row["response"], earlier)
    if not responses:
        raise DataError(f"{path} holds no response")
    return responses


def responses_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Response]:
    """The responses in rows of a responses.jsonl that selkit wrote, by id."""
    return {
        row["id"]: Response(row["id"], row["prompt"], row["response"], _earlier(row.get("history") or []) or ())
        for row in rows
    }


def join_responses(first: Mapping[str, Response], second: Mapping[str, Response]) -> tuple[list[Comparison], list[str]]:
    """Comparisons of the responses that share an id, in the order of ``first``, and the ids that only one side has."""
    comparisons = [compared(one, second[row_id]) for row_id, one in first.items() if row_id in second]
    return comparisons, sorted(set(first) ^ set(second))


def join_files(first: Path, second: Path) -> tuple[list[Comparison], list[str]]:
    """As :func:`join_responses`, of two files.

    Raises:
        DataError: A file is malformed, or they have no id in common or other prompts under one id.
    """
    one, other = read_responses(first), read_responses(second)
    comparisons, unmatched = join_responses(one, other)
    if not comparisons:
        raise DataError(f"{first} and {second} have no id in common: are they answers to the same prompts?")
    strange = [c.id for c in comparisons if _asked(one[c.id]) != _asked(other[c.id])]
    if strange:
        raise DataError(
            f"{first} and {second} have different prompts under {len(strange)} of their ids, e.g. {strange[0]!r}: "
            "compare answers to the same prompts"
        )
    return comparisons, unmatched


def compared(one: Response, other: Response) -> Comparison:
    """The comparison of two responses to the same prompt."""
    turns = zip(one.earlier, other.earlier, strict=False)  # files whose users said different things are refused
    earlier = tuple(EarlierTurn(said, answer, others) for (said, answer), (_, others) in turns)
    return Comparison(one.id, one.prompt, one.response, other.response, earlier=earlier)


def _asked(response: Response) -> tuple[str, ...]:
    """All that the user said."""
    return (*(said for said, _ in response.earlier), response.prompt)


def _earlier(history: Any) -> tuple[tuple[str, str], ...] | None:
    """The turns of a history in pairs; None where it is none."""
    if not isinstance(history, list) or len(history) % 2:
        return None
    for number, turn in enumerate(history):
        role = ("user", "assistant")[number % 2]
        if not isinstance(turn, dict) or turn.get("role") != role or not isinstance(turn.get("content"), str):
            return None
    texts = [turn["content"] for turn in history]
    return tuple(zip(texts[::2], texts[1::2], strict=True))
