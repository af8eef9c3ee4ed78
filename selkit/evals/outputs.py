"""Stored outputs in place of a model: joined by id or prompt, and counted and named where they do not fit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import DataError, UsageError
from selkit.store import digest_file

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

_SHOWN = 5
_ID_COLUMNS = ("id", "key", "idx")


@dataclass(frozen=True)
class StoredOutputs:
    """The responses of a file, by id or by prompt.

    Args:
        path: The file.
        responses: Response by what it is joined by.
        by: 'id' or 'prompt'.
        used: What was asked for so far.
    """

    path: Path
    responses: Mapping[str, str]
    by: str
    used: set[str] = field(default_factory=set)

    @cached_property
    def digest(self) -> str:
        """Digest of the file."""
        return digest_file(self.path)

    def find(self, request: Instance) -> str | None:
        """The response to a request; None where there is none."""
        return self.response(_ids(request), request.args[0])

    def response(self, ids: Sequence[str], prompt: str) -> str | None:
        """The response to a prompt, by what the file is joined by; None where there is none."""
        for name in [prompt] if self.by == "prompt" else ids:
            if name in self.responses:
                self.used.add(name)
                return self.responses[name]
        return None

    def refuse_missing(self, lacking: Sequence[tuple[str, str]], total: int, partial: bool) -> None:
        """Refuses rows without a response, each given as its id and its prompt.

        Raises:
            DataError: There are some, and ``partial`` is not given; or there is no other row.
        """
        if not lacking or (partial and len(lacking) < total):
            return
        names = [prompt[:60] if self.by == "prompt" else name for name, prompt in lacking]
        hint = "" if len(lacking) == total else ": add them, or score the others with --partial"
        raise DataError(
            f"{self.path} has no response for {len(lacking)} of {total} rows, by {self.by} {shown(names)}{hint}"
        )

    def refuse_unused(self) -> None:
        """Refuses responses that nothing asked for. Raises DataError."""
        if unused := self.unused:
            raise DataError(
                f"{self.path} has {len(unused)} responses that no row asks for, by {self.by} {shown(unused)}: take "
                "them out, or score the others with --partial"
            )

    @property
    def unused(self) -> list[str]:
        """What no request asked for."""
        return sorted(set(self.responses) - self.used)


def read_outputs(path: Path) -> StoredOutputs:
    """The responses of a JSON Lines file: ``{"id", "response"}`` or ``{"prompt", "response"}`` rows.

    Raises:
        DataError: There is no such file, a row is malformed, or an id or prompt comes twice.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}: it must hold one JSON object a line, with id or prompt and response")
    rows = [_row(path, number, line) for number, line in enumerate(_lines(path), 1) if line.strip()]
    if not rows:
        raise DataError(f"{path} holds no response")
    by = "id" if all("id" in row for row in rows) else "prompt"
    lacking = [number for number, row in enumerate(rows, 1) if row.get(by) in (None, "")]
    if lacking:
        raise DataError(f"{path}: {len(lacking)} rows, the first of them row {lacking[0]}, have neither id nor prompt")
    names = [str(row[by]) for row in rows]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: {len(twice)} {by}s come twice, {shown(twice)}: keep one response for each")
    return StoredOutputs(path, dict(zip(names, (row["response"] for row in rows), strict=True)), by)


def outputs_lm(outputs: StoredOutputs, partial: bool) -> Any:
    """An lm-eval model that answers with stored outputs.

    Args:
        outputs: The outputs.
        partial: Whether rows without one are left out (``missing``), and not refused.
    """
    from lm_eval.api.model import LM

    class OutputsLM(LM):  # type: ignore[misc]
        """Stored outputs."""

        tokens = 0

        def __init__(self) -> None:
            super().__init__()
            self.missing: set[int | None] = set()

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """The stored response to each request.

            Raises:
                DataError: Some have none, and ``partial`` is not given.
            """
            found = [outputs.find(request) for request in requests]
            lacking = [request for request, text in zip(requests, found, strict=True) if text is None]
            named = [(_ids(request)[0], request.args[0]) for request in lacking]
            outputs.refuse_missing(named, len(requests), partial)
            self.missing |= {request.doc_id for request in lacking}
            return [text or "" for text in found]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """Texts have no likelihoods. Raises UsageError."""
            raise UsageError("this benchmark compares likelihoods, which stored responses do not have: name a model")

        loglikelihood_rolling = loglikelihood

    return OutputsLM()


def shown(names: Iterable[str]) -> str:
    """The first few names, for a sentence."""
    listed = list(names)
    return ", ".join(repr(name) for name in listed[:_SHOWN]) + (", ..." if len(listed) > _SHOWN else "")


def _ids(request: Instance) -> list[str]:
    """What an id may say of a request: the row's own id, else its number."""
    own = [str(request.doc[name]) for name in _ID_COLUMNS if request.doc.get(name) not in (None, "")]
    return own or [str(request.doc_id)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}, is not valid JSON: mend the line") from error
    if not isinstance(row, dict) or not isinstance(row.get("response"), str):
        raise DataError(f"{path}, line {number}: a row needs a text 'response', and an 'id' or a 'prompt'")
    return row
