"""What a component is tried on, read from files and texts: for those who are not in Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from selkit.api import ChatReply, Comparison, DataError, MissingExtra, Pool, UsageError
from selkit.plugins.builtin.given import Subset
from selkit.select import Arms, select
from selkit.testing.benchmark_subjects import RightAnswer

SELECTION = "selection.jsonl"
"""The file of a selection's folder that has its rows."""


def read_completions(path: Path) -> list[tuple[str | ChatReply, float]]:
    """Answers of a judge's model, each with the preference that it stands for.

    Args:
        path: JSON: an object from text to preference, or a list of objects with ``text`` and ``preference``, and where
            the text is not all of the answer the other fields of :class:`ChatReply` (``outcome``, ``logprobs``, ...).

    Raises:
        DataError: The file is not there, or holds something else.
    """
    found = _json(path)
    if isinstance(found, dict):
        found = [{"text": text, "preference": preference} for text, preference in found.items()]
    rows = found if isinstance(found, list) else [found]
    if rows and all(_is_completion(row) for row in rows):
        return [(_answer(row), float(row["preference"])) for row in rows]
    raise DataError(
        f"{path} must hold one JSON object from an answer's text to its preference, 1 to 0, or a list of objects with "
        f"text, preference and fields of a reply: {', '.join(sorted(_REPLY - {'text'}))}"
    )


def read_comparisons(path: Path) -> list[Comparison]:
    """Comparisons that a judge can judge, from JSON lines with id, prompt, first and second, and maybe reference.

    Raises:
        DataError: The file is not there, or a line holds something else.
    """
    rows = [_json_line(line, path, number) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    if not rows:
        raise DataError(f"{path} holds no comparison")
    return rows


def read_arms(named: Iterable[str], pool: Pool) -> Arms:
    """Other arms, each 'NAME=FILE': a selection's folder, or a file of ids or rows of the pool.

    Raises:
        UsageError: One of them has no name or no file.
        DataError: A file is not there, or has no row of the pool.
    """
    chosen = {}
    for text in named:
        name, _, place = text.partition("=")
        if not name.strip() or not place.strip():
            raise UsageError(f"an arm is given as NAME=FILE, and {text!r:.80} is not")
        file = Path(place.strip())
        file = file / SELECTION if file.is_dir() else file
        chosen[name.strip()] = select(pool, Subset(file=file)).ids
    return Arms(chosen=chosen, named=chosen)


def right_by_template(template: str) -> RightAnswer:
    """The right answer to a row from a Jinja template such as '{{answer}}', as lm-eval's ``doc_to_target`` is one.

    Raises:
        UsageError: It is no template.
        MissingExtra: lm-eval is not installed.
    """
    try:
        from jinja2 import TemplateSyntaxError
        from lm_eval.utils import apply_template, env
    except ImportError as error:
        raise MissingExtra.of("the right answer as a template", "eval") from error
    try:
        env.parse(template)
    except TemplateSyntaxError as error:
        raise UsageError(f"the right answer is a Jinja template such as '{{{{answer}}}}': {error}") from error

    def right(row: Mapping[str, Any]) -> str:
        return str(apply_template(template, dict(row)))

    return right


_REPLY = {field.name for field in fields(ChatReply)}


def _is_completion(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or set(row) - _REPLY - {"preference"}:
        return False
    return isinstance(row.get("preference"), (int, float)) and not isinstance(row["preference"], bool)


def _answer(row: Mapping[str, Any]) -> str | ChatReply:
    reply = {name: value for name, value in row.items() if name != "preference"}
    if set(reply) == {"text"}:
        return str(reply["text"])
    return ChatReply(**reply | {"logprobs": tuple(reply.get("logprobs", ()))})


def _json_line(line: str, path: Path, number: int) -> Comparison:
    known = {"id", "prompt", "first", "second", "reference"}
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"line {number} of {path} is not JSON: {error}") from error
    texts = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in known - {"reference"})
    if not texts or set(row) - known or not isinstance(row.get("reference"), (str, type(None))):
        raise DataError(f"line {number} of {path} is no comparison: it has the texts id, prompt, first and second")
    return Comparison(**row)


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
