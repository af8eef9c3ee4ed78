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


def best(
    scores: NDArray[np.float64], k: int, *, higher_is_better: bool = True, tie_seed: int | None = None
) -> NDArray[np.int64]:
    """The first ``k`` positions of :func:`rank`, where the rows stand by ascending id; sorts only what can be chosen.

    Args:
        scores: The scores, shape (n,), finite or infinite but not NaN.
        k: How many; all where there are fewer.
        higher_is_better: Whether large scores come first.
        tie_seed: Seed of a random order among equal scores; None puts the smaller id first.
    """
    directed = -scores if higher_is_better else scores
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    places = np.arange(len(scores))
    if k < len(scores):
        places = np.flatnonzero(directed <= np.partition(directed, k - 1)[k - 1])
    ties = places
    if tie_seed is not None:
        turn = np.empty(len(scores), dtype=np.int64)
        turn[np.random.default_rng(tie_seed).permutation(len(scores))] = np.arange(len(scores))
        ties = turn[places]
    chosen: NDArray[np.int64] = places[np.lexsort((ties, directed[places]))[:k]].astype(np.int64)
    return chosen


def ties_through(scores: NDArray[np.float64], chosen: NDArray[np.int64]) -> int:
    """How many rows have the score of the last of ``chosen``, if some of them are not chosen; else 0."""
    if len(chosen) == 0:
        return 0
    last = scores[chosen[-1]]
    equal = int(np.count_nonzero(scores == last))
    return equal if equal > int(np.count_nonzero(scores[chosen] == last)) else 0


def ties_at_cut(ranked: Sequence[float], k: int) -> int:
    """How many rows share the score at which a ranking was cut: 0 where the cut falls between two scores."""
    if k == 0 or k >= len(ranked) or ranked[k - 1] != ranked[k]:
        return 0
    return sum(1 for score in ranked if score == ranked[k])
