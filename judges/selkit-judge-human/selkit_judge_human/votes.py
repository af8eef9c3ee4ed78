"""From several people's labels to one verdict, and how far they agree. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, permutations

ORDER = ("2", "tie", "1")
"""The labels from worst to best for the left response: a tie lies between."""


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


def krippendorff_alpha(labelled: Iterable[Sequence[str]]) -> float | None:
    """Krippendorff's alpha: agreement beyond chance, 1 where all agree, 0 at chance; labels in order 2, tie, 1.

    Source: Krippendorff, 'Computing Krippendorff's Alpha-Reliability' (2011), with his difference of ordinal data.
    People need not have labelled the same comparisons.

    Args:
        labelled: The labels of each comparison.

    Returns:
        None where no comparison has two labels, or all labels are the same.
    """
    together: dict[tuple[str, str], float] = defaultdict(float)
    for labels in labelled:
        for pair in permutations(labels, 2):
            together[pair] += 1 / (len(labels) - 1)
    often = [sum(together[label, other] for other in ORDER) for label in ORDER]
    total = sum(often)
    observed = sum(together[a, b] * _distance(i, k, often) for i, a in enumerate(ORDER) for k, b in enumerate(ORDER))
    expected = sum(often[i] * often[k] * _distance(i, k, often) for i in range(3) for k in range(3))
    return 1 - (total - 1) * observed / expected if expected else None


def _distance(one: int, other: int, often: Sequence[float]) -> float:
    """Squared difference of two labels: how many labels lie between them, their own counted half."""
    low, high = sorted((one, other))
    return (sum(often[low : high + 1]) - (often[one] + often[other]) / 2) ** 2
