"""The texts that the scorer and the embedder read.

Training and inference of the authors differ: their training texts leave the input out where it is empty, their
inference always names it. Both are templates here.
"""

from __future__ import annotations

from typing import Literal

from selkit.api import DataError, Example

Template = Literal["always-input", "omit-empty-input"]
"""Whether ``Input:`` stands there where the input is empty: in the authors' inference yes, in their training no."""

_RESPONSE = "Response: "


def anchor(row: Example, template: Template) -> str:
    """Instruction and input of the row's last turn."""
    if template == "omit-empty-input" and not row.input:
        return f"Instruction: {row.instruction}"
    return f"Instruction: {row.instruction} Input: {row.input}"


def answer(row: Example) -> str:
    """The row's response."""
    return f"{_RESPONSE}{row.response}"


def whole(row: Example, template: Template) -> str:
    """Instruction, input and response of the row's last turn as one text."""
    return f"{anchor(row, template)} {answer(row)}"


def parts(text: str) -> tuple[str, str]:
    """A whole text cut into anchor and answer, at the first ``Response:``.

    Raises:
        DataError: The text has no response.
    """
    before, mark, after = text.partition(f" {_RESPONSE}")
    if not mark:
        raise DataError(f"the text {text[:60]!r} has no ' Response: ' in it: write 'Instruction: ... Response: ...'")
    return before, f"{_RESPONSE}{after}"
