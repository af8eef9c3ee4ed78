"""Stored outputs in place of a model: joined by id or prompt, and counted and named where they do not fit."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import Benchmark, DataError, UsageError
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
        double: Ids or prompts that come twice with different responses, which stand for no row.
        numbered: The benchmark of each id that was taken for the number of a row.
    """

    path: Path
    responses: Mapping[str, str]
    by: str
    used: set[str] = field(default_factory=set)
    double: Sequence[str] = ()
    numbered: dict[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Digest of the file."""
        return digest_file(self.path)

    def find(self, request: Instance, label: str) -> str | None:
        """The response to a request of a benchmark; None where there is none.

        Raises:
            DataError: It goes by the number of a row, and has been taken for a row of another benchmark.
        """
        number = str(request.doc_id)
        names = _ids(request)
        found = self.response([*names, f"{label}/{number}"] if names == [number] else names, request.args[0])
        if found is not None and self.by == "id" and names == [number] and number in self.responses:
            other = self.numbered.setdefault(number, label)
            if other != label:
                raise DataError(
                    f"{self.path}: id {number!r} is the number of a row of {other} and of {label}: write it as "
                    f"{label}/{number}, and so all others, or give prompts in place of ids"
                )
        return found

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
        hint = "" if len(lacking) == total else ": add them, or score the others with --partial"
        raise DataError(f"{self.path} has no response for {len(lacking)} of {total} rows, {self.named(lacking)}{hint}")

    def named(self, rows: Sequence[tuple[str, str]]) -> str:
        """The first few of some rows, each given as its id and its prompt, by what the file is joined by."""
        return f"by {self.by} {shown(prompt[:60] if self.by == 'prompt' else name for name, prompt in rows)}"

    def refuse_unused(self) -> None:
        """Refuses responses that nothing asked for. Raises DataError."""
        if unused := self.unused:
            raise DataError(
                f"{self.path} has {len(unused)} responses that no row asks for, by {self.by} {shown(unused)}: take "
                "them out, or score the others with --partial"
            )

    def left_out(self) -> list[str]:
        """What stands for no row, as clauses."""
        unused = self.unused
        return [
            *([f"{len(unused)} responses that no row asks for, by {self.by} {shown(unused)}"] if unused else []),
            *(
                [f"{len(self.double)} {self.by}s that come twice with different responses, {shown(self.double)}"]
                if self.double
                else []
            ),
        ]

    @property
    def unused(self) -> list[str]:
        """What no request asked for."""
        return sorted(set(self.responses) - self.used)


def read_outputs(path: Path, *, partial: bool = False) -> StoredOutputs:
    """The responses of a JSON Lines file: ``{"id", "response"}`` or ``{"prompt", "response"}`` rows.

    Args:
        path: The file.
        partial: Whether an id or prompt that comes twice with different responses is left out, and not refused.

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
    if twice and not partial:
        raise DataError(
            f"{path}: {len(twice)} {by}s come twice, {shown(twice)}: keep one response for each, or score the others "
            "with --partial"
        )
    different = dict.fromkeys(zip(names, (row["response"] for row in rows), strict=True))
    double = sorted(name for name, count in Counter(name for name, _ in different).items() if count > 1)
    kept = {name: text for name, text in different if name not in double}
    return StoredOutputs(path, kept, by, double=tuple(double))


def outputs_lm(outputs: StoredOutputs, partial: bool, benchmark: Benchmark) -> Any:
    """An lm-eval model that answers with stored outputs.

    Its ``remarks()`` are clauses on what was left out and on what could not be read.

    Args:
        outputs: The outputs.
        partial: Whether rows without one are left out (``missing``), and not refused.
        benchmark: Reads which choice an output names, where the task compares choices.
    """
    from lm_eval.api.model import LM

    class OutputsLM(LM):  # type: ignore[misc]
        """Stored outputs."""

        tokens = 0

        def __init__(self) -> None:
            super().__init__()
            self.asked: set[int | None] = set()
            self.missing: dict[int | None, tuple[str, str]] = {}
            self.unread: set[int | None] = set()

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """The stored response to each request.

            Raises:
                DataError: Some have none, and ``partial`` is not given.
            """
            return [text or "" for text in self._found(requests)]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """0 for the choice that the stored response names, -1 for another one, NaN where it names none.

            Raises:
                UsageError: The benchmark reads no responses.
                DataError: Some have none, and ``partial`` is not given; or none names a choice.
            """
            benchmark.choice_of("")  # whether it reads any is said before what is missing
            named = [None if text is None else benchmark.choice_of(text) for text in self._found(requests)]
            if all(one is None for one in named):
                raise DataError(
                    f"no response of {outputs.path} names a choice of {benchmark.label!r}: see what it asks"
                )
            numbers = {request.doc_id for request, one in zip(requests, named, strict=True) if one is None}
            self.unread |= numbers - set(self.missing)
            pairs = zip(requests, named, strict=True)
            return [(math.nan if one is None else float(one == request.idx) - 1, False) for request, one in pairs]

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Texts have no likelihoods. Raises UsageError."""
            raise UsageError("this benchmark measures perplexity, which stored responses do not have")

        def _found(self, requests: list[Instance]) -> list[str | None]:
            found = [outputs.find(request, benchmark.label) for request in requests]
            self.asked |= {request.doc_id for request in requests}
            lacking = [request for request, text in zip(requests, found, strict=True) if text is None]
            self.missing |= {request.doc_id: (_ids(request)[0], request.args[0]) for request in lacking}
            outputs.refuse_missing(list(self.missing.values()), len(self.asked), partial)
            return found

        def remarks(self) -> list[str]:
            """What was left out, and what could not be read, as clauses."""
            lacking, total = list(self.missing.values()), len(self.asked)
            left = f"{len(lacking)} of {total} questions have no stored response and are left out"
            return [
                *([f"{left}, {outputs.named(lacking)}"] if lacking else []),
                *([f"{len(self.unread)} of {total} responses name no choice and are not right"] if self.unread else []),
            ]

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
