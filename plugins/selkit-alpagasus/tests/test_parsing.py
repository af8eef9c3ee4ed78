"""The three rules on answers as graders give them, and on nasty ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_alpagasus.parsing import (
    EMPTY,
    NO_SCORE,
    OUTSIDE,
    RULES,
    SEVERAL,
    Reading,
    original,
    single_number,
    substring,
)

# Answer, and what 'original', 'substring' and 'single-number' make of it: a score, or the reason why there is none.
TABLE: tuple[tuple[str, float | str, float | str, float | str], ...] = (
    ("4.5", 4.5, 4, 4.5),
    ("4.5\n\nThe response is accurate, and 2 of 3 facts are right.", 4.5, 2, 4.5),
    ("5", 5, 5, 5),
    ("5.0", 5, 0, 5),
    ("4.0\nGood.", 4, 0, 4),
    ("0", 0, 0, 0),
    ("-0", 0, 0, NO_SCORE),
    (" 3 ", 3, 3, 3),
    ("3\r\nFine.", 3, 3, 3),
    ("Score: 4", NO_SCORE, 4, 4),
    ("Score:4", 4, 4, 4),
    ("Score:4.5", 4, 4, 4.5),
    ("Score:\n4.5", 4, 4, NO_SCORE),
    ("score: 4.5", 4.5, 4, 4.5),
    ("score: 4 score: 3", 4, 3, SEVERAL),
    ("score: four\nScore:4", NO_SCORE, 4, NO_SCORE),
    ("The score: 3.5\nbecause", 3.5, 3, 3.5),
    ("\n4", NO_SCORE, 4, 4),
    ("4,5", NO_SCORE, 4, 4.5),
    ("4, 5", NO_SCORE, 4, SEVERAL),
    ("4 5", NO_SCORE, 4, SEVERAL),
    ("5/5", NO_SCORE, 5, 5),
    ("4.5 / 5.0", NO_SCORE, 0, 4.5),
    ("4/5/2023", NO_SCORE, 0, NO_SCORE),
    ("4/50", NO_SCORE, 0, NO_SCORE),
    ("3 out of 5.", NO_SCORE, 3, 3),
    ("I would rate 4.", NO_SCORE, 4, 4),
    ("**Score:** 4.5", NO_SCORE, 4, 4.5),
    ("[[3]]", NO_SCORE, 3, 3),
    ("On a scale of 0 to 5, a 3", NO_SCORE, 0, SEVERAL),
    ("4-5", NO_SCORE, 4, NO_SCORE),
    ("4 - 5", NO_SCORE, 4, SEVERAL),
    ("10", OUTSIDE, 0, OUTSIDE),
    ("6", OUTSIDE, NO_SCORE, OUTSIDE),
    ("-1", OUTSIDE, 1, NO_SCORE),
    ("90%", NO_SCORE, 0, NO_SCORE),
    ("4.555", 4.555, 4, NO_SCORE),
    ("1,000", NO_SCORE, 0, NO_SCORE),
    ("1e0", 1, 0, NO_SCORE),
    ("nan", OUTSIDE, NO_SCORE, NO_SCORE),
    ("inf", OUTSIDE, NO_SCORE, NO_SCORE),
    ("", EMPTY, EMPTY, EMPTY),
    (" \n\t", EMPTY, EMPTY, EMPTY),
    ("０", 0, NO_SCORE, 0),
    ("４．５", NO_SCORE, NO_SCORE, 4.5),
    ("٤", 4, NO_SCORE, 4),
    ("五分", NO_SCORE, NO_SCORE, NO_SCORE),
    ("four", NO_SCORE, NO_SCORE, NO_SCORE),
    ("GPT4 says 3", NO_SCORE, 3, SEVERAL),
    ("I cannot rate this.", NO_SCORE, NO_SCORE, NO_SCORE),
    ('{"score": 4}', NO_SCORE, 4, 4),
)


@pytest.mark.parametrize(("answer", "chen", "diddee", "ours"), TABLE, ids=[repr(row[0]) for row in TABLE])
def test_every_rule_reads_as_documented(answer: str, chen: float | str, diddee: float | str, ours: float | str) -> None:
    """The published rules with their faults, the third one without; what is no score has a reason and no number."""
    for rule, expected in zip(("original", "substring", "single-number"), (chen, diddee, ours), strict=True):
        wanted = Reading(None, expected) if isinstance(expected, str) else Reading(float(expected))
        assert RULES[rule](answer) == wanted, rule


@given(st.text() | st.text(alphabet="012345.,/ \n-Scoreút:"))
def test_no_answer_gives_a_number_outside_the_scale_or_a_guess(answer: str) -> None:
    """Whatever a grader writes: a number from 0 to 5 and no reason, or no number and a reason."""
    for rule in RULES.values():
        reading = rule(answer)
        if reading.score is None:
            assert reading.reason
        else:
            assert 0 <= reading.score <= 5
            assert reading.reason == ""


@given(
    st.integers(0, 10).map(lambda halves: halves / 2),
    st.sampled_from(("{}", "{}/5", "{} out of 5", "Score: {}", "**{}**", "I would rate it {}.", " {} ", "\n\n{}")),
    st.text(),
)
def test_a_plain_score_is_read_whatever_the_explanation_says(score: float, form: str, explanation: str) -> None:
    """Half points in the usual forms; only the first line counts for single-number and for a bare number."""
    first = form.format(f"{score:g}")
    assert single_number(f"{first}\n{explanation}") == Reading(score)
    assert original(f"{score:g}\n{explanation}") == Reading(score)


@given(st.text(alphabet="0123456789.ab\n"))
def test_the_published_digit_rule_is_the_smallest_digit_up_to_five(answer: str) -> None:
    """As the code of 'Chasing Random' does it: a search for '0', then for '1', and so on."""
    digits = [int(digit) for digit in re.findall("[0-5]", answer)]
    assert substring(answer).score == (float(min(digits)) if digits else None)
