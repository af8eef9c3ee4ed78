"""AlpacaEval's annotators as a judge: the component ``alpaca-eval``."""

from __future__ import annotations

from selkit.api import PairwiseJudge, hookimpl


@hookimpl
def selkit_judges() -> list[type[PairwiseJudge]]:
    """The judge that this package provides."""
    from selkit_judge_alpaca_eval.judge import AlpacaEval

    return [AlpacaEval]
