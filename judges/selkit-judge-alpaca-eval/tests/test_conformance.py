"""The conformance kit, on each kind of parser that alpaca_eval has."""

from __future__ import annotations

import pytest
from selkit_judge_alpaca_eval.judge import AlpacaEval

from selkit.api import ChatReply
from selkit.testing import JudgeConformance

pytest.importorskip("tiktoken")  # which alpaca_eval brings; it does not import by itself beside setuptools 82 and later


def one_token(first: float, second: float) -> ChatReply:
    """What a model answers that gives the identifiers these log-probabilities."""
    likeliest = "m" if first > second else "M"
    return ChatReply(
        likeliest, "truncated", "the answer ended at the token limit", logprobs=({"m": first, "M": second},)
    )


def ranking(rank: int) -> str:
    """A list of two ranked models, the first of them at this rank."""
    return f"[{{'model': 'model_1', 'rank': {rank}}}, {{'model': 'model_2', 'rank': {3 - rank}}}]"


class TestLogProbabilities(JudgeConformance):
    """AlpacaEval 2's own annotator."""

    component = AlpacaEval
    completions = ((one_token(0.0, -900.0), 1.0), (one_token(-900.0, 0.0), 0.0), (one_token(-1.0, -1.0), 0.5))


class TestRegex(JudgeConformance):
    """An annotator whose answer is matched."""

    component = AlpacaEval(annotator="chatgpt")
    completions = (("Output (a)", 1.0), ("Output (b)", 0.0))


class TestRanking(JudgeConformance):
    """AlpacaEval 1's own annotator: a list of ranked models."""

    component = AlpacaEval(annotator="alpaca_eval_gpt4")
    completions = ((ranking(1), 1.0), (ranking(2), 0.0))


class TestTwoScores(JudgeConformance):
    """Vicuna's two scores, where a draw is 0 to alpaca_eval."""

    component = AlpacaEval(annotator="lmsys_gpt4")
    completions = (("8 6\nThe first is better.", 1.0), ("6 8", 0.0), ("7 7", 0.5))


class TestBatches(JudgeConformance):
    """A prompt for five examples, of which four are padding."""

    component = AlpacaEval(annotator="alpaca_farm_greedy_gpt4")
    completions = (("Output (a)" + "\nOutput (b)" * 4, 1.0), ("Output (b)" + "\nOutput (a)" * 4, 0.0))
