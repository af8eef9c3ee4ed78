"""Intervals for what is counted over comparisons. Pure functions; the seed of every bootstrap is fixed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 2000
"""Resamples of every bootstrap here."""

_Z = 1.959963984540054  # the normal quantile of a two-sided 95% interval


def wilson(hits: int, n: int) -> Interval | None:
    """Wilson's 95% interval of the share ``hits / n``; None where ``n`` is 0.

    Source: Wilson 1927, as in ``statsmodels.stats.proportion.proportion_confint(method="wilson")``.
    """
    if n == 0:
        return None
    share, z2 = hits / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_ratio(hits: Floats, counts: Floats) -> Interval | None:
    """95% percentile interval of ``sum(hits) / sum(counts)``, for counts that come in groups.

    Args:
        hits: What is counted in each group, such as the first-shown wins of a comparison's passes, shape (n,).
        counts: Out of how many, shape (n,); ones for a mean. Groups are resampled whole.

    Returns:
        Low and high; None where nothing is counted.
    """
    kinds, often = np.unique(np.stack([hits, counts], axis=1), axis=0, return_counts=True)

    def ratio(draws: Floats) -> Floats:
        totals = draws @ kinds
        with np.errstate(divide="ignore", invalid="ignore"):
            return totals[:, 0] / totals[:, 1]

    return bootstrap_table(often, ratio)


def bootstrap_table(table: NDArray[np.int64], statistic: Callable[[Floats], Floats]) -> Interval | None:
    """95% percentile interval of a statistic of a table of counts, over resamples of the items that were counted.

    Drawing the items anew and counting them is a draw from the multinomial distribution.

    Args:
        table: Counts, of any shape.
        statistic: Takes tables stacked along a new first axis and gives one number for each; what is not finite is
            left out.
    """
    total = int(table.sum())
    if total == 0:
        return None
    draws = np.random.default_rng(0).multinomial(total, table.ravel() / total, size=RESAMPLES)
    values = statistic(draws.reshape(-1, *table.shape).astype(np.float64))
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
