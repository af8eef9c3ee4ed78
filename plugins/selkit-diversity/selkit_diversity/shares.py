"""How a budget is shared among clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Remainder = Literal["random", "largest"]


def equal_shares(
    sizes: Sequence[int],
    rows: int,
    rng: np.random.Generator,
    *,
    remainder: Remainder = "random",
    redistribute: bool = True,
) -> NDArray[np.int64]:
    """How many rows each cluster gives: the same number each, as far as they have them.

    Where fewer rows are left to give than clusters to give them, one row more comes from clusters drawn by ``rng``, or
    from those with most rows left (of equals the first).

    Args:
        sizes: Rows of each cluster.
        rows: The budget. Where it is more than all the clusters have, all give everything.
        rng: What draws.
        remainder: How clusters that give one row more are chosen.
        redistribute: Whether what undersized clusters lack comes in equal parts from those that have rows left, until
            there are none or the budget is full; else it is not made up for.

    Returns:
        Rows that each cluster gives, shape (len(sizes),).
    """
    have = np.asarray(sizes, np.int64)
    if not redistribute:
        owed = np.full(len(have), rows // len(have))
        owed[_chosen(np.arange(len(have)), have - owed, rows % len(have), rng, remainder)] += 1
        given: NDArray[np.int64] = np.minimum(owed, have)
        return given
    shares = np.zeros(len(have), np.int64)
    left = min(rows, int(have.sum()))
    while left:
        open_ = np.flatnonzero(shares < have)
        each = left // len(open_)
        if not each:
            shares[_chosen(open_, (have - shares)[open_], left, rng, remainder)] += 1
            break
        more = np.minimum(have - shares, each)
        shares += more
        left -= int(more.sum())
    return shares


def _chosen(
    clusters: NDArray[np.int64], left: NDArray[np.int64], count: int, rng: np.random.Generator, remainder: Remainder
) -> NDArray[np.int64]:
    if remainder == "random":
        return rng.choice(clusters, count, replace=False)
    return clusters[np.argsort(-left, kind="stable")[:count]]
