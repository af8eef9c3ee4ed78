"""What a scorer says of rows, checked row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from selkit.api import Context, ContractViolation, Pool, RowScore, Scorer


def checked(scorer: Scorer, pool: Pool, ctx: Context) -> Iterator[list[Any]]:
    """Runs a scorer on a pool: id, score, status, reason, truncated and details of every row, as they come.

    Raises:
        ContractViolation: There are too few or too many scores, or something that is not a score.
    """
    scores: Iterable[float | RowScore] = iter(scorer.score(pool, ctx)) if len(pool) else iter(())
    for row_id in pool.ids:
        score = next(scores, None)  # type: ignore[call-overload]
        if score is None:
            raise ContractViolation(f"{scorer.name} returned fewer scores than the {len(pool)} rows it was given")
        yield _row(scorer, row_id, score)
    if next(scores, None) is not None:  # type: ignore[call-overload]
        raise ContractViolation(f"{scorer.name} returned more scores than the {len(pool)} rows it was given")


def _row(scorer: Scorer, row_id: str, score: float | RowScore) -> list[Any]:
    if not isinstance(score, RowScore):
        try:
            score = RowScore(float(score))
        except (TypeError, ValueError) as error:
            raise ContractViolation(f"{scorer.name} returned {score!r} for row {row_id!r}: not a number") from error
    # A row that failed or is left out has no score, whatever number came with it.
    value = score.value if score.status == "ok" else None
    if value is not None and np.isnan(value):
        return [row_id, None, "failed", score.reason or "the scorer returned NaN", score.truncated, dict(score.details)]
    status = "failed" if value is None and score.status == "ok" else score.status
    reason = score.reason or ("the scorer gave no reason" if value is None else "")
    return [row_id, value, status, reason, score.truncated, dict(score.details)]
