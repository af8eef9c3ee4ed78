"""What a person should know of a grader's answers: those without a score, and those that two rules read differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from selkit_alpagasus.parsing import Reading, single_number

QUOTES = 3
"""Answers of each kind that are quoted, as they come: a pass that fails early has said why."""

QUOTED = 80
"""Characters of a quoted answer."""


@dataclass
class Remarks:
    """Notes on the answers of one pass.

    Args:
        log: Takes a note.
    """

    log: Callable[[str], None]
    unread: int = 0
    disputed: int = 0

    def add(self, row_id: str, text: str, reading: Reading) -> None:
        """Takes note of the answer about one row and of what the rule made of it."""
        other = single_number(text).score
        if reading.score is None:
            self.unread += 1
            if self.unread <= QUOTES:
                hint = "" if other is None else f" (-p parse=single-number reads {other:g})"
                self.log(f"alpagasus: row {row_id!r}: {reading.reason}: {quote(text)}{hint}")
        elif other is not None and other != reading.score:
            self.disputed += 1
            if self.disputed <= QUOTES:
                self.log(
                    f"alpagasus: row {row_id!r}: {quote(text)} is {reading.score:g} by the rule in use, and {other:g} "
                    "by single-number"
                )

    def close(self) -> None:
        """Says how many there were, where not all were quoted."""
        if self.unread > QUOTES:
            self.log(f"alpagasus: {self.unread} answers in all hold no score that the rule can read")
        if self.disputed > QUOTES:
            self.log(f"alpagasus: {self.disputed} answers in all would be read differently by single-number")


def quote(text: str) -> str:
    """An answer in quotation marks, on one line and not too long."""
    words = " ".join(text.split())
    return repr(words if len(words) <= QUOTED else f"{words[:QUOTED]}…")
