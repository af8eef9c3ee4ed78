"""Responses to judge: reading them and joining two files by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selkit.api import Comparison, DataError
from selkit.judge.rows import read_rows


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to one prompt."""

    id: str
    prompt: str
    response: str


def read_responses(path: Path) -> dict[str, Response]:
    """The responses of a responses.jsonl by id, in the order of the file.

    Raises:
        DataError: The file is missing or empty, or a row has no id or response, or an id comes twice.
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
        responses[row_id] = Response(row_id, str(row.get("prompt", "")), row["response"])
    if not responses:
        raise DataError(f"{path} holds no response")
    return responses


def join_responses(
    first: Mapping[str, Response], second: Mapping[str, Response], references: Mapping[str, str | None] | None = None
) -> tuple[list[Comparison], list[str]]:
    """Comparisons of the responses that share an id, in the order of ``first``, and the ids that only one side has."""
    references = references or {}
    comparisons = [
        Comparison(row_id, one.prompt, one.response, second[row_id].response, references.get(row_id))
        for row_id, one in first.items()
        if row_id in second
    ]
    return comparisons, sorted(set(first) ^ set(second))


def join_files(
    first: Path, second: Path, references: Mapping[str, str | None] | None = None
) -> tuple[list[Comparison], list[str]]:
    """As :func:`join_responses`, of two files.

    Raises:
        DataError: A file is malformed, or they have no id in common or other prompts under one id.
    """
    one, other = read_responses(first), read_responses(second)
    comparisons, unmatched = join_responses(one, other, references)
    if not comparisons:
        raise DataError(f"{first} and {second} have no id in common: are they answers to the same prompts?")
    strange = [c.id for c in comparisons if one[c.id].prompt != other[c.id].prompt]
    if strange:
        raise DataError(
            f"{first} and {second} have different prompts under {len(strange)} of their ids, e.g. {strange[0]!r}: "
            "compare answers to the same prompts"
        )
    return comparisons, unmatched
