"""A model behind an OpenAI-compatible API as a judge: the component ``openai``."""

from __future__ import annotations

from selkit.api import PairwiseJudge, hookimpl


@hookimpl
def selkit_judges() -> list[type[PairwiseJudge]]:
    """The judge that this package provides."""
    from selkit_judge_openai.judge import OpenAI

    return [OpenAI]
