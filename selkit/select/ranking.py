"""From scores to a choice: ranking, ties and the cut. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def rank(
    ids: pa.Array, scores: NDArray[np.float64], *, higher_is_better: bool = True, tie_seed: int | None = None
) -> NDArray[np.int64]:
    """Positions of the rows, best first.

    Args:
        ids: Ids of the rows that have a score, shape (n,).
        scores: Their scores, shape (n,), finite or infinite but not NaN.
        higher_is_better: Whether large scores come first.
        tie_seed: Seed of a random order among equal scores; None puts the smaller id first.
    """
    by_id = pc.sort_indices(ids).to_numpy()
    if tie_seed is not None:
        by_id = by_id[np.random.default_rng(tie_seed).permutation(len(by_id))]
    directed = -scores if higher_is_better else scores
    order: NDArray[np.int64] = by_id[np.argsort(directed[by_id], kind="stable")].astype(np.int64)
    return order


def ties_at_cut(ranked: Sequence[float], k: int) -> int:
    """How many rows share the score at which a ranking was cut: 0 where the cut falls between two scores."""
    if k == 0 or k >= len(ranked) or ranked[k - 1] != ranked[k]:
        return 0
    return sum(1 for score in ranked if score == ranked[k])
