"""From a grader's answer to a score: the rules of the published code, and one that reads what they misread.

Each rule looks at the answer alone. What it cannot read is no score, with the reason; never a number in place of one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

LOWEST, HIGHEST = 0.0, 5.0
"""The scale that every rubric asks for."""

RuleName = Literal["original", "substring", "single-number"]

EMPTY = "the grader's answer is empty"
NO_SCORE = "no score in the grader's answer"
SEVERAL = "more than one number in the line of the grader's answer that should hold the score"
OUTSIDE = f"the score in the grader's answer is not from {LOWEST:.0f} to {HIGHEST:.0f}"

_OUT_OF_FIVE = re.compile(r"\s*(?:/|\bout of\b)\s*5(?:[.,]0+)?(?![\w.,/]*\d)", re.IGNORECASE)
_WITH_DIGIT = re.compile(r"[\w.,/%+-]*\d[\w.,/%+-]*")
_NUMBER = re.compile(r"\d+(?:[.,]\d{1,2})?")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule makes of an answer: a score from 0 to 5, or None and the reason."""

    score: float | None
    reason: str = ""


def original(answer: str) -> Reading:
    """The rule of Alpagasus's code (``rating/chatgpt_rating.py`` of gpt4life/alpagasus), with both fallbacks.

    The first line as a number; else, where the answer holds 'score:', the rest of that line; else, where it holds
    'Score:', the one character after it. So 'Score:4.5' is 4, and 'Score: 4' (a space comes first) is unreadable.
    """
    if not answer.strip():
        return Reading(None, EMPTY)
    value = _as_float(answer.split("\n")[0])
    if value is None and "score:" in answer:
        value = _as_float(answer.split("score:")[1].split("\n")[0])
    elif value is None and "Score:" in answer:
        value = _as_float(answer.split("Score:")[1].strip("\n")[:1])
    return _within_scale(value)


def substring(answer: str) -> Reading:
    """The rule of 'Chasing Random' (``src/preprocessor/scorer.py``): the smallest digit from 0 to 5 that occurs at all.

    Right for whole scores; '4.5' is 4, and '4.0' and '5.0' are 0.
    """
    if not answer.strip():
        return Reading(None, EMPTY)
    return _within_scale(next((float(digit) for digit in "012345" if digit in answer), None))


def single_number(answer: str) -> Reading:
    """Reads the one number in the first line that is not blank: '4.5', '4,5', 'Score: 4', '5/5', '4 out of 5'.

    Two numbers there are ambiguous and none is chosen. Digits of other scripts count as what they are.
    """
    line = next((line for line in unicodedata.normalize("NFKC", answer).splitlines() if line.strip()), "")
    if not line:
        return Reading(None, EMPTY)
    found = [word.rstrip(".,") for word in _WITH_DIGIT.findall(_OUT_OF_FIVE.sub("", line))]
    if len(found) > 1:
        return Reading(None, SEVERAL)
    if not found or not _NUMBER.fullmatch(found[0]):
        return Reading(None, NO_SCORE)
    return _within_scale(_as_float(found[0].replace(",", ".")))


RULES: Mapping[str, Callable[[str], Reading]] = {
    "original": original,
    "substring": substring,
    "single-number": single_number,
}
"""The rules by name."""


def _within_scale(value: float | None) -> Reading:
    if value is None:
        return Reading(None, NO_SCORE)
    if math.isnan(value) or not LOWEST <= value <= HIGHEST:
        return Reading(None, OUTSIDE)
    return Reading(abs(value))  # '-0' is 0


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
