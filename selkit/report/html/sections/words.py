"""The verdict words with a sign each."""

from __future__ import annotations

from selkit.report.html.elements import Markup, tag

MARKS = {
    "BEATS": "\N{BLACK UP-POINTING TRIANGLE}",
    "WORSE": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "EQUIVALENT": "\N{IDENTICAL TO}",
    "NOT_WORSE": "\N{GREATER-THAN OR EQUAL TO}",
    "INCONCLUSIVE": "?",
    "UNDERPOWERED": "\N{WHITE CIRCLE}",
    "INCOMPLETE": "\N{HORIZONTAL ELLIPSIS}",
}
"""A sign for every verdict word, so that none is told by its colour alone."""


def badge(word: str) -> Markup:
    """A verdict word with its sign."""
    sign = tag("span", MARKS.get(word, ""), aria_hidden="true")
    return tag("span", sign, " ", word.replace("_", " "), class_=f"badge {word.lower()}")
