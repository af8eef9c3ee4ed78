"""The conformance kit, on each way of reading an answer."""

from __future__ import annotations

import pytest
from selkit_judge_openai.judge import OpenAI

from selkit.api import ChatReply
from selkit.testing import JudgeConformance

SCORES = {"8 6\nThe first is better.": 1.0, "6, 8": 0.0, "7 7": 0.5}
STRUCTURED = {
    '{"explanation": "The first is right.", "verdict": "A"}': 1.0,
    '{"explanation": "The second is right.", "verdict": "B"}': 0.0,
    '{"verdict": "tie", "explanation": "Both are."}': 0.5,
}
LETTERS = {"The first one. [[A]]": 1.0, "[[B]]": 0.0, "A tie: [[C]]": 0.5}


def one_token(first: float, second: float) -> ChatReply:
    """What a model answers that gives the identifiers these log-probabilities."""
    likeliest = "m" if first > second else "M"
    return ChatReply(
        likeliest, "truncated", "the answer ended at the token limit", logprobs=({"m": first, "M": second},)
    )


class TestTwoScore(JudgeConformance):
    """Shen's prompt."""

    component = OpenAI
    completions = SCORES


class TestVerdictLetter(JudgeConformance):
    """CaR's prompt, with keyed marks."""

    component = OpenAI(template="verdict-letter", prompt="car", delimiters="keyed")
    completions = LETTERS


class TestAlpacaEval(JudgeConformance):
    """Log-probabilities of one token."""

    component = OpenAI(template="alpaca-eval")
    completions = ((one_token(0.0, -900.0), 1.0), (one_token(-900.0, 0.0), 0.0), (one_token(-1.0, -1.0), 0.5))


@pytest.mark.slow
class TestPairQuality(JudgeConformance):
    """CaR's prompt for instruction pairs."""

    component = OpenAI(template="pair-quality")
    completions = SCORES


@pytest.mark.slow
class TestMtBench(JudgeConformance):
    """FastChat's prompt, folded into one turn."""

    component = OpenAI(template="verdict-letter", prompt="mt-bench", fold_system=True)
    completions = LETTERS


@pytest.mark.slow
class TestStructured(JudgeConformance):
    """A JSON object of a schema."""

    component = OpenAI(template="structured")
    completions = STRUCTURED
