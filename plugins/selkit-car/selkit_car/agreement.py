"""How well scores agree with experts: pairwise accuracy with its interval, and Kendall's tau. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

TIE = 0.01
"""Scores of a pair that differ by less are a tie (paper, appendix C.1); the paper uses it here alone."""

_Z = 1.959963984540054  # 97.5% of the standard normal distribution


@dataclass(frozen=True)
class PairwiseAccuracy:
    """How often the better of a pair has the higher score.

    Args:
        pairs: Number of pairs.
        right: Pairs whose better row is higher by at least the tie margin.
        ties: Pairs whose scores differ by less; they are not right.
        higher: Pairs whose better row is higher by any amount.
    """

    pairs: int
    right: int
    ties: int
    higher: int

    @property
    def accuracy(self) -> float:
        """Share of pairs that are right."""
        return self.right / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the accuracy."""
        return wilson(self.right, self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """For a card."""
        counts = {"pairs": self.pairs, "right": self.right, "ties": self.ties, "higher": self.higher}
        return counts | {"tie": TIE, "accuracy": self.accuracy, "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.accuracy:.2%} of {self.pairs} pairs (95% interval {low:.2%} to {high:.2%}; {self.ties} ties count "
            f"as wrong, {self.higher / self.pairs:.2%} without the tie rule)"
        )


def pairwise_accuracy(better: ArrayLike, worse: ArrayLike, tie: float = TIE) -> PairwiseAccuracy:
    """Accuracy from the scores of the better and the worse row of each pair, shape (pairs,)."""
    gap = np.asarray(better, np.float64) - np.asarray(worse, np.float64)
    ties = int(np.count_nonzero(np.abs(gap) < tie))
    return PairwiseAccuracy(len(gap), int(np.count_nonzero(gap >= tie)), ties, int(np.count_nonzero(gap > 0)))


def wilson(right: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share, square = right / trials, _Z**2 / trials
    centre = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / trials + square / trials / 4) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def kendall(scores: Sequence[float], labels: Sequence[float]) -> float:
    """Kendall's tau-b of scores and labels (scipy); -1 where it is not defined, since nothing was told apart."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(scores, labels).statistic)
    return -1.0 if math.isnan(tau) else tau
