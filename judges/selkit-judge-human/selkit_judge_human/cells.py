"""Text in spreadsheet cells: nothing a spreadsheet would run or rewrite, and the text itself comes back unchanged.

A cell, or a line within one, that begins with a character that starts a formula (OWASP's list: = + - @, tab and
carriage return, and their full-width forms; also after blanks) gets an apostrophe in front. So does a short text with a
digit and hardly a word, which a spreadsheet would turn into a number or a date. Where such a text begins with
apostrophes it gets one more, so that taking one away always gives the original.
"""

from __future__ import annotations

import hashlib
import json
import re

LONGEST_CELL = 32_767
"""Characters that a cell of a common spreadsheet holds; it cuts longer ones."""

_BLANK = r"[^\S\r\n\t]*"  # blanks within a line: no-break and wide spaces too, but not the tab, which is a trigger
_FORMULA = rf"{_BLANK}[=+\-@\t＝＋－＠]"
_GUARDED = re.compile(rf"(?:\A|(?<=[\r\n]))'*(?={_FORMULA})|\A'*(?=[\r\n])")
_WORD = re.compile(r"[^\W\d_]+")
_LONGEST_DATE = 32
_SURROGATE = re.compile("[\ud800-\udfff]")


def neutralise(text: str) -> str:
    """The text as it goes into a cell."""
    if _is_rewritten(text):
        return "'" + text
    return _GUARDED.sub(lambda found: found.group() + "'", text)


def restore(cell: str) -> str:
    """The text that :func:`neutralise` put into a cell, whether or not the spreadsheet kept the apostrophes."""
    if cell.startswith("'") and _is_rewritten(cell[1:]):
        return cell[1:]
    return _GUARDED.sub(lambda found: found.group()[1:], cell)


def showable(text: str) -> str:
    """The text as a file in UTF-8 can hold it: a lone surrogate becomes the replacement character."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def row_check(row: str, *texts: str) -> str:
    """'h' and 16 hex digits over a row's name and texts; kinds of line break do not count, as programs change them."""
    unified = [showable(text).replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    return "h" + hashlib.sha256(json.dumps([row, *unified]).encode()).hexdigest()[:16]


def _is_rewritten(text: str) -> bool:
    """Whether a spreadsheet would take the text for a number, a date or a truth value."""
    body = text.lstrip("'")
    if len(body) > _LONGEST_DATE or "\n" in body or "\r" in body:
        return False
    if body.strip().lower() in ("true", "false"):
        return True
    # A date has the names of a day and a month at most; more words are a sentence.
    return any(character.isdigit() for character in body) and len(_WORD.findall(body)) <= 2
