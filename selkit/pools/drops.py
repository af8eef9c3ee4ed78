"""The rows that are left out while a pool is read: each with an id, a reason and a line, all of them counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from selkit.api.data import Dropped
from selkit.api.errors import DataError

KEPT = 1000
"""How many dropped rows are listed one by one; all of them are counted by reason."""


class DropLog:
    """Collects what is left out of one file.

    Args:
        label: What messages call the file.
        skip_bad_lines: Whether a line that cannot be read is dropped; otherwise it stops reading.
    """

    def __init__(self, label: str, *, skip_bad_lines: bool = False) -> None:
        self.label = label
        self.skip_bad_lines = skip_bad_lines
        self.counts: Counter[str] = Counter()
        self.listed: list[Dropped] = []

    def drop(self, row_id: str, reason: str, line: int | None) -> None:
        """Leaves out a valid row that cannot be used."""
        self.counts[reason] += 1
        if len(self.listed) < KEPT:
            self.listed.append(Dropped(row_id, reason, line))

    def bad_line(self, line: int, reason: str, detail: str, raw: bytes) -> None:
        """Leaves out a line that cannot be read; its id is made of its bytes.

        Raises:
            DataError: Bad lines are not to be skipped.
        """
        if not self.skip_bad_lines:
            said = f" ({detail})" if detail else ""
            raise DataError(
                f"{self.label}, line {line}, is {reason}{said}: mend the line, "
                "or leave out such lines with --skip-bad-lines (skip_bad_lines: true)"
            )
        self.drop(hashlib.sha256(raw).hexdigest()[:16], reason, line)


def row_id(own: object, text: str) -> str:
    """The id of a row that is left out: its own where that is text that can be stored, else made of its text."""
    if isinstance(own, str) and own.strip() and not any("\ud800" <= c <= "\udfff" for c in own):
        return own
    if isinstance(own, int) and not isinstance(own, bool):
        return str(own)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def summary(counts: Mapping[str, int], listed: Sequence[Dropped] = ()) -> str:
    """What was left out, most frequent reason first, with the first few lines: '2 x no response (lines 3, 8)'."""
    parts = []
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lines = [str(row.line) for row in listed if row.reason == reason and row.line is not None]
        parts.append(f"{count} x {reason}{_lines(lines, count)}")
    return "; ".join(parts)


def _lines(lines: Sequence[str], count: int, shown: int = 10) -> str:
    if not lines:
        return ""
    more = ", ..." if count > min(shown, len(lines)) else ""
    return f" (line{'s' if count > 1 else ''} {', '.join(lines[:shown])}{more})"


def merged(all_counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several counts by reason."""
    total: Counter[str] = Counter()
    for counts in all_counts:
        total.update(counts)
    return dict(total)
