"""From several people's labels to one verdict, and how far they agree. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations


def majority(labels: Sequence[str]) -> str:
    """The label given most often; 'tie' where two labels share the lead.

    Args:
        labels: At least one of '1', '2' and 'tie'.
    """
    ranked = Counter(labels).most_common()
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return "tie"
    return ranked[0][0]


def agreement(labelled: Iterable[Sequence[str]]) -> float | None:
    """Share of the pairs of labels of one comparison that are equal, over all comparisons with two labels or more.

    Args:
        labelled: The labels of each comparison.

    Returns:
        A share in [0, 1]; None where no comparison has two labels.
    """
    pairs = [a == b for labels in labelled for a, b in combinations(labels, 2)]
    return sum(pairs) / len(pairs) if pairs else None
