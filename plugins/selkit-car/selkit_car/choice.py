"""CaR's choice: the top of the ranking, and the best of every cluster. Pure functions on arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Choice:
    """Ranks of the chosen rows.

    Args:
        ranks: The chosen ranks, 0 the best, in ascending order, shape (chosen,).
        n1: How many are there by rank alone: the longest stretch of ranks 0, 1, 2, ... that was chosen as a whole.
        added: How many come behind that stretch, each the best of its cluster.
        changed: How many a plain ranking of the same size would not have.
        winners: Rows that are among the best ``n2`` of their cluster.
        left_out: Of those, how many found no room.
    """

    ranks: NDArray[np.int64]
    n1: int
    added: int
    changed: int
    winners: int
    left_out: int


def choose(clusters: Sequence[int], budget: int, *, n1: int | None = None, n2: int = 1) -> Choice:
    """The paper's n1 + k x n2 (section 2.2) at an exact budget.

    Without ``n1`` it is as large as the budget allows: as n1 grows by one, the union of the top n1 rows and the best n2
    of every cluster grows by one row or by none, so one union has exactly ``budget`` rows. It is all cluster winners
    and, of the other rows, the best. Where the winners alone are too many, the best of them are taken.

    With ``n1`` the top n1 rows come first; the other cluster winners follow, best first, while there is room. There may
    then be fewer rows than the budget.

    Args:
        clusters: Cluster of each row, rows in the order of their ranks.
        budget: Rows to choose, at most len(clusters).
        n1: Rows to take by rank alone, at most the budget.
        n2: Rows to take from each cluster.
    """
    won = _winners(clusters, n2)
    top = np.arange(n1 or 0)
    ours = np.setdiff1d(won, top)[: budget - len(top)]
    ranks = np.union1d(top, ours)
    if n1 is None:
        others = np.setdiff1d(np.arange(len(clusters)), won)[: budget - len(ranks)]
        ranks = np.union1d(ranks, others)
    ranks = ranks.astype(np.int64)
    gaps = np.flatnonzero(ranks != np.arange(len(ranks)))
    stretch = int(gaps[0]) if len(gaps) else len(ranks)
    return Choice(
        ranks=ranks,
        n1=stretch,
        added=len(ranks) - stretch,
        changed=int(np.count_nonzero(ranks >= len(ranks))),
        winners=len(won),
        left_out=len(np.setdiff1d(won, ranks)),
    )


def _winners(clusters: Sequence[int], n2: int) -> NDArray[np.int64]:
    """Ranks of the best ``n2`` rows of every cluster, ascending."""
    seen: Counter[int] = Counter()
    won = []
    for rank, cluster in enumerate(clusters):
        seen[cluster] += 1
        if seen[cluster] <= n2:
            won.append(rank)
    return np.asarray(won, dtype=np.int64)
