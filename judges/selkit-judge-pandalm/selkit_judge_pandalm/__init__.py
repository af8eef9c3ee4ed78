"""A judge model that runs locally: the component ``pandalm``."""

from __future__ import annotations

from selkit.api import PairwiseJudge, hookimpl


@hookimpl
def selkit_judges() -> list[type[PairwiseJudge]]:
    """The judge that this package provides."""
    from selkit_judge_pandalm.judge import PandaLM

    return [PandaLM]
