"""Parsers of judges' completions: golden texts, contradictions, nothing guessed (RELIABILITY scenarios 32, 34, 35)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import (
    VERDICT_SCHEMA,
    PairScores,
    parse_output_ab,
    parse_structured,
    parse_two_score,
    parse_verdict_letter,
)
from selkit.testing.comparisons import GARBAGE, INJECTIONS

PARSERS = (parse_two_score, parse_verdict_letter, parse_output_ab, parse_structured)


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("8 9\nAssistant 2 was more detailed: 10 of 10.", (8, 9)),
        ("8, 9", (8, 9)),
        ("8,9\n", (8, 9)),
        ("8.5 9", (8.5, 9)),
        ("7 7", (7, 7)),
        ("10\t0", (10, 0)),
        ("\n \n8 9\r\nBoth ...", (8, 9)),
        ("8/10 9/10", (8, 9)),
        ("8 / 10, 9 / 10", (8, 9)),
        ("**8 9**", (8, 9)),
        ("Scores: 8; 9.", (8, 9)),
        ("Assistant 1: 8, Assistant 2: 9", (8, 9)),
        ("Assistant 2: 9 Assistant 1: 8/10", (8, 9)),
        ("assistant 1's score: 8, assistant 2's score: 9.5", (8, 9.5)),
        ("Score of Assistant 1: 8, Score of Assistant 2: 9", (8, 9)),
    ],
)
def test_two_scores_stand_on_the_first_line(text: str, scores: tuple[float, float]) -> None:
    """The forms that are read; in the named form the names decide, not the order."""
    assert parse_two_score(text) == PairScores(*map(float, scores))


@pytest.mark.parametrize(
    "text",
    [
        "Here are the scores:\n8 9",
        "8\n9",
        "Assistant 1: 8\nAssistant 2: 9",
        "8 9 10",
        "8,5 9",
        "8/9",
        "8/5 9/5",
        "8 9 because both are good",
        "85 90",
        "10.5 9",
        "-1 -1",
        "8 nine",
        "8",
        "Assistant 1: 8, Assistant 1: 9",
        "Assistant 1 gets 8 and Assistant 2 gets 9",
        "٨ ٩",
        "８ ９",
        "1e1 2e0",
        "nan inf",
    ],
)
def test_what_is_not_two_scores_is_not_guessed(text: str) -> None:
    """Words before, two lines, a third number, another scale, other digits: no verdict."""
    assert parse_two_score(text) is None


@pytest.mark.parametrize(
    ("text", "preference"),
    [
        ("Both answer, but A says why.\n\n[[A]]", 1.0),
        ("[[B]]", 0.0),
        ("My final verdict is tie: [[C]].", 0.5),
        ("[[B]] it is. Final verdict: [[B]]", 0.0),
        ("The matrix [[1, 2], [3, 4]] is right in A. [[A]]", 1.0),
        ("[[A]] at first sight, but no: [[B]]", None),
        ("[[A]] or [[C]]", None),
        ("[[a]]", None),
        ("［［A］］", None),
        ("[A]", None),
        ("[[ A ]]", None),
        ("[[A>B]]", None),
        ("[[D]]", None),
        ("A is better", None),
    ],
)
def test_verdict_letters(text: str, preference: float | None) -> None:
    """Scenario 34: one letter, once or often; a contradiction or another spelling is no verdict."""
    assert parse_verdict_letter(text) == preference


@pytest.mark.parametrize(
    ("text", "preference"),
    [
        ("Output (a)", 1.0),
        (" Output (b)\n", 0.0),
        ("Output (b).", 0.0),
        ("**Output (a)**", 1.0),
        ("# Output (a) is better.", 1.0),
        ("Output (b)\n\nOutput (a) misses the point.", 0.0),
        ("Output (b) is better.\n\nOutput (a) asks only one question.", 0.0),
        ("Output (a) lists them. Output (b) does not. Therefore, Output (a) is better.", 1.0),
        ("Some think Output (a) is better because it is long.\n\nTherefore, Output (b) is better.", 0.0),
        ("Output (a) is not better, and Output (b) is better.", 0.0),
        ("Output (b) is better in tone, Output (b) does as asked, and then the text was", 0.0),
        ("Assistant (a) says Output (a) is better, but I conclude that Output (b) is better.", 0.0),
        ("Therefore, neither Output (a) nor Output (b) is better.", None),
        ("Therefore, both Output (a) and Output (b) are equally good.", None),
        ("Output (a) is better.\n\nIt is shorter. Therefore, Output (b) is better.", None),
        ("Output (a) is better in tone. Output (b) is better in content. That is all.", None),
        ("I cannot say whether Output (a) is better.", None),
        ("I do not think that Output (a) is better.", None),
        ("Output (a) is incorrect.\n\nThe code has an error.", None),
        ("Output (a): Yes\nOutput (b): No", None),
        ("output (a)", None),
        ("Output A", None),
        ("(a)", None),
    ],
)
def test_outputs_a_and_b(text: str, preference: float | None) -> None:
    """The first line alone, else the conclusion, else what every statement says; a contradiction is no verdict."""
    assert parse_output_ab(text) == preference


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_has_no_verdict(text: str) -> None:
    """In no format."""
    assert [parse(text) for parse in PARSERS] == [None] * len(PARSERS)


@given(st.text(max_size=200))
def test_any_text_is_read_or_not(text: str) -> None:
    """No text breaks a parser, and a verdict is one."""
    for parse in PARSERS:
        found = parse(text)
        preference = found.preference if isinstance(found, PairScores) else found
        assert preference in (None, 0.0, 0.5, 1.0)


numbers = st.integers(0, 10).map(float) | st.sampled_from([0.5, 7.5, 9.5])


@given(numbers, numbers, st.text(max_size=100))
def test_nothing_behind_the_first_line_changes_the_scores(first: float, second: float, rest: str) -> None:
    """An explanation may quote what it likes, fake scores and the responses included."""
    for quoted in (rest, *INJECTIONS):
        assert parse_two_score(f"{first:g} {second:g}\n{quoted}") == PairScores(first, second)


@given(st.sampled_from("ABC"), st.lists(st.sampled_from("ABC"), max_size=3))
def test_a_letter_counts_only_where_no_other_stands(letter: str, others: list[str]) -> None:
    """Scenario 32: whatever the places."""
    text = " ".join(f"so [[{one}]]" for one in [letter, *others])
    agreed = set(others) <= {letter}
    assert parse_verdict_letter(text) == ({"A": 1.0, "B": 0.0, "C": 0.5}[letter] if agreed else None)


def test_scores_prefer_the_higher() -> None:
    """1, 0.5 and 0 for the response that was shown first."""
    assert [PairScores(*pair).preference for pair in ((9, 8), (8, 8), (7.5, 8))] == [1.0, 0.5, 0.0]


STRUCTURED = {"A": 1.0, "B": 0.0, "tie": 0.5}
"""The words of a structured verdict."""


@given(st.text(), st.sampled_from(sorted(STRUCTURED)), st.booleans())
def test_a_structured_verdict_is_read_whatever_it_explains(explanation: str, word: str, verdict_first: bool) -> None:
    """Quotes, braces and verdicts inside the explanation are its text; the order of the keys says nothing."""
    found = {"explanation": explanation, "verdict": word}
    written = dict(reversed(found.items())) if verdict_first else found
    assert parse_structured(json.dumps(written, indent=1)) == STRUCTURED[word]


@pytest.mark.parametrize(
    "text",
    [
        '{"explanation": "x", "verdict": NaN}',
        '{"explanation": NaN, "verdict": "A"}',
        '{"explanation": Infinity, "verdict": "A"}',
        '{"explanation": "x", "verdict": "A", "score": 1}',
        '{"explanation": "x", "verdict": "A", "verdict": "B"}',
        '{"explanation": "x", "verdict": "A", "verdict": "A"}',
        '{"explanation": "x", "explanation": "y", "verdict": "A"}',
        '{"verdict": "A"}',
        '{"explanation": "x"}',
        '{"explanation": "x", "verdict": "a"}',
        '{"explanation": "x", "verdict": "C"}',
        '{"explanation": "x", "verdict": ["A"]}',
        '{"explanation": "x", "verdict": {"A": 1}}',
        '{"explanation": 1, "verdict": "A"}',
        '{"explanation": "x", "verdict": 1}',
        '{"explanation": "x", "verdict": "A"',
        '{"explanation": "x", "verdict": "A"} {"explanation": "x", "verdict": "B"}',
        '```json\n{"explanation": "x", "verdict": "A"}\n```',
        'The verdict: {"explanation": "x", "verdict": "A"}',
        '[{"explanation": "x", "verdict": "A"}]',
        "[" * 100_000,
        "null",
        "A",
    ],
)
def test_what_breaks_the_schema_is_no_verdict(text: str) -> None:
    """Scenario 35: NaN, further keys, keys that come twice, other types and words, text around it: never repaired."""
    assert parse_structured(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=True) | st.sampled_from([*STRUCTURED, "x"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["explanation", "verdict", "x"]), inner),
        max_leaves=6,
    )
)
def test_any_json_is_a_verdict_where_it_keeps_to_the_schema_and_only_there(value: Any) -> None:
    """Scenario 35, against a check of the published schema written out anew."""
    keeps = (
        isinstance(value, dict)
        and sorted(value) == sorted(VERDICT_SCHEMA["required"])
        and isinstance(value["explanation"], str)
        and value["verdict"] in VERDICT_SCHEMA["properties"]["verdict"]["enum"]
    )
    assert (parse_structured(json.dumps(value)) is not None) == keeps
