"""Answer formats by name: how the completions of a judge that was asked in that format are read."""

from __future__ import annotations

from collections.abc import Callable

from selkit.api import (
    PairScores,
    UsageError,
    parse_output_ab,
    parse_structured,
    parse_two_score,
    parse_verdict_letter,
)

Parser = Callable[[str], float | PairScores | None]
"""From a judge's completion to the preference for the first-shown response, or its scores; None without a verdict."""

PARSERS: dict[str, Parser] = {
    "two-score": parse_two_score,
    "two-score-no-length": parse_two_score,
    "verdict-letter": parse_verdict_letter,
    "output-ab": parse_output_ab,
    "structured": parse_structured,
}
"""Parsers by the name of the template that asks for the format."""


def parser_of(template: str) -> Parser:
    """The parser of a template.

    Raises:
        UsageError: There is no such template.
    """
    if template not in PARSERS:
        raise UsageError(f"there is no template {template!r}: take one of {', '.join(PARSERS)}")
    return PARSERS[template]
