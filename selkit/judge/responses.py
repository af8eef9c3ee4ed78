"""Responses to judge: reading them and joining two files by id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Comparison, DataError


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
    for number, row in enumerate(_rows(path), 1):
        if not isinstance(row, dict) or not isinstance(row.get("response"), str) or row.get("id") in (None, ""):
            raise DataError(f"{path}, row {number}: a response needs an 'id' and a text 'response'")
        row_id = str(row["id"])
        if row_id in responses:
            raise DataError(f"{path}, row {number}: the id {row_id!r} comes twice; judge one sample a prompt")
        responses[row_id] = Response(row_id, str(row.get("prompt", "")), row["response"])
    if not responses:
        raise DataError(f"{path} holds no response")
    return responses


def _rows(path: Path) -> Iterator[Any]:
    # Not the store's reader: it takes a last line without a line break for a torn one, and people's files end so.
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}, is not valid JSON: mend the line") from error


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
