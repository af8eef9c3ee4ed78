"""The preference in log-probabilities: AlpacaEval's formula, and what is no verdict."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_judge_openai.preference import parse_written, token_preference, written

LOGPROB = st.floats(-200, 0)


def published(m: float, big: float) -> float:
    """2 - P(m) / (P(m) + P(M)), from 1 (the first output wins) to 2, by logsumexp."""
    top = max(m, big)
    return 2 - math.exp(m - (top + math.log(math.exp(m - top) + math.exp(big - top))))


@given(LOGPROB, LOGPROB, st.dictionaries(st.sampled_from(["The", " m", "mM", "Both"]), LOGPROB))
def test_it_is_alpaca_evals_preference_turned_to_win_1(m: float, big: float, others: dict[str, float]) -> None:
    """Other tokens count for nothing; swapping the identifiers mirrors it."""
    found = token_preference({"m": m, "M": big, **others})
    assert found == pytest.approx(2 - published(m, big), abs=1e-12)
    assert token_preference({"m": big, "M": m}) == pytest.approx(1 - found, abs=1e-12)


def test_a_real_answer_by_hand() -> None:
    """The example in AlpacaEval's parser: M at -0.0176, m at -4.0488."""
    found = token_preference({"M": -0.017597131, "m": -4.048847, "Both": -14.908222})
    assert found == pytest.approx(math.exp(-4.048847) / (math.exp(-4.048847) + math.exp(-0.017597131)))
    assert found == pytest.approx(0.01744, abs=1e-5)


@pytest.mark.parametrize(
    ("logprobs", "preference"),
    [
        ({"m": -3.0}, 1.0),
        ({"M": -3.0, "x": -0.1}, 0.0),
        ({"m": -1000.0, "M": 0.0}, 0.0),
        ({"m": -0.7, "M": -0.7}, 0.5),
        ({"m": 0.0, "M": -math.inf}, 1.0),
        ({"x": -0.1}, None),
        ({" m": -0.1, "m.": -0.2}, None),
        ({}, None),
        ({"m": -math.inf, "M": -math.inf}, None),
        ({"m": math.nan, "M": -1.0}, None),
    ],
)
def test_missing_tokens(logprobs: dict[str, float], preference: float | None) -> None:
    """One missing identifier has the probability 0; without both there is no verdict."""
    assert token_preference(logprobs) == preference


@given(st.dictionaries(st.sampled_from(["m", "M", "x", "é"]), LOGPROB, min_size=1))
def test_what_is_kept_gives_the_preference_again(logprobs: dict[str, float]) -> None:
    """New readings need no new calls."""
    assert parse_written(written(logprobs)) == token_preference(logprobs)
    assert json.loads(written(logprobs)) == logprobs


@pytest.mark.parametrize("text", ["m", "M", "[]", "{}", '{"m": "-1"}', '{"m": true}', '{"m": NaN}', "[" * 100_000, ""])
def test_anything_else_is_no_verdict(text: str) -> None:
    """Not even the identifier alone: its probability is not known."""
    assert parse_written(text) is None
