"""Responses to judge: reading them and joining two files by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selkit.api import Comparison, DataError, EarlierTurn
from selkit.files import digest_text
from selkit.judge.rows import read_rows


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to one prompt; ``earlier`` are the turns before it, as what the user said and what was answered.

    ``named`` is False where the file has no ids and the id is a digest of the prompt.
    """

    id: str
    prompt: str
    response: str
    earlier: tuple[tuple[str, str], ...] = ()
    named: bool = True


def read_responses(path: Path) -> dict[str, Response]:
    """The responses of a responses.jsonl, or of AlpacaEval's model_outputs.json, by id, in the order of the file.

    AlpacaEval's rows have ``instruction`` and ``output``, and mostly no id: then it is a digest of the instruction.

    Raises:
        DataError: The file is missing or empty, or a row has no id or response or a malformed history, or an id comes
            twice.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}: make one with `selkit generate MODEL --prompts ... -o {path}`")
    responses: dict[str, Response] = {}
    for number, row in read_rows(path):
        one = _response(row, f"{path}, line {number}")
        if one.id in responses:
            what = f"the id {one.id!r}" if one.named else f"the instruction {one.prompt[:40]!r}"
            raise DataError(f"{path}, line {number}: {what} comes twice; judge one sample a prompt")
        responses[one.id] = one
    if not responses:
        raise DataError(f"{path} holds no response")
    return responses


def _response(row: Mapping[str, Any], where: str) -> Response:
    """The response in a row."""
    alpaca = "output" in row and "response" not in row
    text, prompt = (row.get("output"), row.get("instruction")) if alpaca else (row.get("response"), row.get("prompt"))
    named = row.get("id") not in (None, "")
    if not isinstance(text, str) or not (named or (alpaca and isinstance(prompt, str))):
        raise DataError(f"{where}: a response needs an 'id' and a text 'response', or 'instruction' and 'output'")
    earlier = _earlier(row.get("history") or [])
    if earlier is None:
        raise DataError(f"{where}: 'history' must hold turns of user and assistant by turns")
    prompt = str("" if prompt is None else prompt)
    return Response(str(row["id"]) if named else prompt_id(prompt), prompt, text, earlier, named)


def prompt_id(prompt: str) -> str:
    """What stands for the id of a response that has none: 16 hex digits of the SHA-256 of its prompt."""
    return digest_text(prompt)[:16]


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
    one, other = with_ids(one, _ids_by_prompt(other)), with_ids(other, _ids_by_prompt(one))
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


def with_ids(responses: Mapping[str, Response], ids: Mapping[str, str]) -> dict[str, Response]:
    """Responses of a file without ids under the ids of their prompts; those that have ids of their own stay.

    Args:
        responses: The responses by id.
        ids: Id by prompt.
    """
    named = (one if one.named else replace(one, id=ids.get(one.prompt, one.id)) for one in responses.values())
    return {one.id: one for one in named}


def compared(one: Response, other: Response) -> Comparison:
    """The comparison of two responses to the same prompt."""
    turns = zip(one.earlier, other.earlier, strict=False)  # files whose users said different things are refused
    earlier = tuple(EarlierTurn(said, answer, others) for (said, answer), (_, others) in turns)
    return Comparison(one.id, one.prompt, one.response, other.response, earlier=earlier)


def _ids_by_prompt(responses: Mapping[str, Response]) -> dict[str, str]:
    return {one.prompt: one.id for one in responses.values() if one.named}


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
