"""People as judges: the component ``human``."""

from __future__ import annotations

from selkit.api import PairwiseJudge, hookimpl


@hookimpl
def selkit_judges() -> list[type[PairwiseJudge]]:
    """The judge that this package provides."""
    from selkit_judge_human.judge import Human

    return [Human]
