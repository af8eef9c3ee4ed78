"""Do several estimates of one difference disagree more than chance would have it? Fractions, not points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.api.errors import MissingExtra
from selkit.stats.variance import Floats

Shares = tuple[NDArray[np.int64], Floats]
"""Items and what each adds to a difference, as :func:`selkit.stats.endpoints.item_shares` gives them."""


def combined_effects(effects: Floats, variances: Floats) -> Any:
    """statsmodels' meta-analysis: random effects by Paule and Mandel, Hartung and Knapp's scale, Cochran's Q.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    try:
        from statsmodels.stats.meta_analysis import combine_effects
    except ImportError as error:
        raise MissingExtra.of("pooling over cells", "eval") from error
    with np.errstate(divide="ignore", invalid="ignore"):  # I2 of estimates that agree exactly
        return combine_effects(effects, variances, method_re="iterated", use_t=True)


def common_variance(parts: Sequence[Sequence[Shares]]) -> float:
    """The variance that all estimates share, because they stand on the same items.

    An item that suits an arm suits it under every recipe and on every pool, so the errors of the estimates go up and
    down together. That is no disagreement between them, and it does not average out. It is estimated by the mean
    covariance of two estimates over the items.

    Args:
        parts: For each benchmark, the shares of every estimate (two or more), in the same order.

    Returns:
        The variance, not below 0; 0 where no two estimates have items in common.
    """
    return max(sum(_mean_covariance(estimates) for estimates in parts), 0.0)


def _mean_covariance(estimates: Sequence[Shares]) -> float:
    names = np.unique(np.concatenate([groups for groups, _ in estimates]))
    table = np.zeros((len(estimates), len(names)))
    for row, (groups, shares) in enumerate(estimates):
        table[row, np.searchsorted(names, groups)] = shares
    if len(names) < 2 or len(estimates) < 2:
        return 0.0
    covariance = table @ table.T * (len(names) / (len(names) - 1))
    return float(covariance[~np.eye(len(estimates), dtype=bool)].mean())


@dataclass(frozen=True)
class Heterogeneity:
    """How much estimates of one difference disagree.

    Attributes:
        q: Cochran's Q; ``q_p`` its p value by the chi-square distribution with ``q_df`` degrees of freedom.
        i2: Share of the spread that chance does not explain.
        tau: Standard deviation of the true differences.
        interaction_p: The same question, answered for variances that are themselves estimated from few runs.
    """

    q: float
    q_df: int
    q_p: float
    i2: float
    tau: float
    interaction_p: float


def heterogeneity(effects: Floats, variances: Floats, df: Floats) -> Heterogeneity:
    """Cochran's Q, and Welch's analysis of variance for the interaction.

    Q takes the variances for known and so finds too much where runs are few. Welch's test (B. L. Welch, 'On the
    comparison of several mean values', 1951) asks the same with their degrees of freedom.

    Args:
        effects: Two or more estimates, shape (R,).
        variances: Their variances, above 0, shape (R,).
        df: Degrees of freedom of the variances, shape (R,).

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    meta = combined_effects(effects, variances)
    from statsmodels.stats.oneway import anova_generic

    homogeneity = meta.test_homogeneity()
    sizes = df + 1
    welch = anova_generic(effects, variances * sizes, sizes, use_var="unequal")
    return Heterogeneity(
        q=float(homogeneity.statistic),
        q_df=int(homogeneity.df),
        q_p=float(homogeneity.pvalue),
        i2=max(float(np.nan_to_num(meta.i2, neginf=0.0)), 0.0),
        tau=float(np.sqrt(max(meta.tau2, 0.0))),
        interaction_p=float(welch.pvalue),
    )


def flip_share(effects: Floats) -> float:
    """The share of estimates that say the opposite of the others: min(below 0, above 0) / R."""
    return float(min((effects < 0).sum(), (effects > 0).sum()) / len(effects))


def chance_of_flip(effect: float, se: Floats) -> float:
    """The mean chance of a wrong sign where ``effect`` is the truth: the mean of Phi(-|effect| / se)."""
    from scipy import special

    return float(special.ndtr(-abs(effect) / se).mean())


def expected_flip_share(effect: float, se: Floats) -> float:
    """What :func:`flip_share` would be on average if ``effect`` were the truth under every recipe.

    The number of estimates below 0 has the Poisson binomial distribution, which is built up one estimate at a time.
    """
    from scipy import special

    counts = np.ones(1)
    for below in special.ndtr(-effect / se):
        counts = np.append(counts * (1 - below), 0.0) + np.append(0.0, counts * below)
    total = len(se)
    share = np.minimum(np.arange(total + 1), total - np.arange(total + 1)) / total
    return float(share @ counts)
