"""The variance of the difference between two arms whose runs were scored on the same items.

Two things are drawn at random: runs (the seeds of selection and training) and items. Their parts add up, less the part
that both estimates hold (a two-way random-effects analysis of variance)::

    effect = mean_k M[S,k] - mean_k M[R,k]            M[a,k] = mean score of run k of arm a over its n items
    V_S = s2_S / K_S        V_R = s2_R / K_R          s2_a = variance over runs of M[a,k]
    V_I = G/(G-1) sum_g (sum_{i in g} (d_i - effect))^2 / n^2      d_i = mean_k Y[S,k,i] - mean_k Y[R,k,i]
    V_E = sum_a RSS_a / ((K_a - 1)(n - 1)) / (n K_a)  RSS_a = residuals of run + item within arm a
    V   = max(V_S + V_R + V_I - V_E,  V_S + V_R,  V_I)
    df  = V^2 / (V_S^2/(K_S-1) + V_R^2/(K_R-1) + max(V - V_S - V_R, 0)^2/(G-1))

With clusters the residuals of V_E are summed over each cluster before they are squared, as in V_I (without clusters
the formula above comes out); so an item that stands there twice under one cluster changes nothing.

All functions work on arrays with any number of leading axes, so that a simulation runs the very code of a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GUARD = 6.0
"""An arm whose run variance is more than this many times the others' median keeps its own."""

POOL_FROM = 3
"""The number of arms with two runs or more from which their run variances are pooled."""

_TINY = 1e-24  # variances of scores in [0, 1] below this are rounding errors


@dataclass(frozen=True)
class Moments:
    """What the variance needs of one arm on one benchmark.

    Attributes:
        runs: Mean score of each run, shape (..., K).
        items: Mean score of each item over the runs, shape (..., n).
        residual: The residual's part in the variance of the arm's mean, shape (...); NaN where K is 1.
    """

    runs: Floats
    items: Floats
    residual: Floats


def moments(scores: Floats, clusters: NDArray[np.int64] | None = None) -> Moments:
    """The moments of one arm's scores, shape (..., K, n), with the cluster of each item, shape (n,)."""
    runs, items = scores.mean(-1), scores.mean(-2)
    k = scores.shape[-2]
    if k < 2:
        return Moments(runs, items, np.full(scores.shape[:-2], np.nan))
    residuals = scores - runs[..., :, None] - items[..., None, :] + runs.mean(-1)[..., None, None]
    return Moments(runs, items, _mean_square(residuals, clusters).sum(-1) / (k * (k - 1)))


def item_variance(differences: Floats, clusters: NDArray[np.int64] | None = None) -> Floats:
    """V_I of the items' differences between two arms, shape (..., n); NaN where there is only one cluster."""
    return _mean_square(differences - differences.mean(-1, keepdims=True), clusters)


def run_variance(runs: Floats) -> Floats:
    """Variance over runs, shape (..., K) to (...); NaN where there is one run, 0 where rounding is all there is."""
    if runs.shape[-1] < 2:
        return np.full(runs.shape[:-1], np.nan)
    variance = runs.var(-1, ddof=1)
    return np.where(variance < _TINY, 0.0, variance)


def _mean_square(centred: Floats, clusters: NDArray[np.int64] | None) -> Floats:
    """G/(G-1) sum_g (sum_{i in g} x_i)^2 / n^2, shape (..., n) to (...)."""
    n = centred.shape[-1]
    if clusters is not None:
        order = np.argsort(clusters, kind="stable")
        starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
        centred = np.add.reduceat(centred[..., order], starts, axis=-1)
    return spread_of(centred / n)


def spread_of(shares: Floats) -> Floats:
    """G/(G-1) times the sum of squares of G independent shares, shape (..., G) to (...); NaN where G is 1."""
    groups = shares.shape[-1]
    if groups < 2:
        return np.full(shares.shape[:-1], np.nan)
    return np.asarray(np.einsum("...i,...i->...", shares, shares) * (groups / (groups - 1)))


@dataclass(frozen=True)
class RunVariances:
    """The run variance that each arm of a cell is judged with; all of shape (..., A).

    Attributes:
        value: Variance of one run's score.
        df: Its degrees of freedom.
        pooled: It is the mean over the selectors.
        borrowed: The arm has one run, so others' variance stands in.
        from_control: It is the control's own (no selector has two runs).
        heteroscedastic: The arm varies far more than the others and keeps its own.
    """

    value: Floats
    df: Floats
    pooled: NDArray[np.bool_]
    borrowed: NDArray[np.bool_]
    from_control: NDArray[np.bool_]
    heteroscedastic: NDArray[np.bool_]


def selector_variances(
    own: Floats, runs: NDArray[np.int64], control: Floats, control_runs: int, *, pool: bool = True
) -> RunVariances:
    """Which run variance each selector is judged with.

    Three or more selectors with two runs or more share the mean of theirs, weighted by degrees of freedom. An arm
    with one run borrows that mean however few there are, else the control's. Arms whose runs do not differ at all
    (greedy decoding of one untrained model) lend nothing.

    Args:
        own: Variance over runs of each arm, shape (..., A); ignored where ``runs`` is 1.
        runs: Number of runs of each arm, shape (A,).
        control: The control's variance over runs, shape (...).
        control_runs: The control's number of runs.
        pool: Whether arms of two runs or more share their variance; arms of one run borrow in any case.
    """
    single = np.broadcast_to(runs < 2, own.shape)
    own = np.where(single, np.nan, own)
    donor = own > 0
    weights = np.where(donor, runs - 1.0, 0.0)
    total = weights.sum(-1, keepdims=True)
    mean = np.nansum(weights * np.where(donor, own, 0.0), -1, keepdims=True) / np.where(total > 0, total, np.nan)
    many = pool & (donor.sum(-1, keepdims=True) >= POOL_FROM)
    unequal = many & donor & (own > GUARD * _median_of_others(own, donor, many))
    pooled = many & ~unequal & ~single
    from_control = single & (total == 0)
    value = np.where(from_control, control[..., None], np.where(pooled | single, mean, own))
    df = np.where(from_control, control_runs - 1.0, np.where(pooled | single, total, runs - 1.0))
    return RunVariances(value, df, pooled, single, from_control, unequal)


def _median_of_others(own: Floats, donor: NDArray[np.bool_], many: NDArray[np.bool_]) -> Floats:
    """For each arm the median variance of the other donors, shape (..., A); infinite where donors are few."""
    medians = np.full(own.shape, np.inf)
    if own.shape[-1] < POOL_FROM:
        return medians
    lent = np.where(many, np.where(donor, own, np.nan), np.inf)
    for arm in range(own.shape[-1]):
        medians[..., arm] = np.nanmedian(np.delete(lent, arm, axis=-1), axis=-1)
    return medians


@dataclass(frozen=True)
class Estimate:
    """An effect with its variance, and the parts that the variance is made of; all of shape (...).

    Attributes:
        effect: Difference of the arms' means.
        arm_part: V_S.
        arm_df: Degrees of freedom of V_S.
        control_part: V_R.
        control_df: Degrees of freedom of V_R.
        item_part: V_I.
        item_df: Degrees of freedom of V_I: clusters less one.
        residual_part: V_E.
        shared: V_S and V_R come from the same runs, so that their errors do not average out.
    """

    effect: Floats
    arm_part: Floats
    arm_df: Floats
    control_part: Floats
    control_df: Floats
    item_part: Floats
    item_df: Floats
    residual_part: Floats
    shared: NDArray[np.bool_]

    @property
    def run_part(self) -> Floats:
        """V_S + V_R."""
        return self.arm_part + self.control_part

    @property
    def variance(self) -> Floats:
        """V; below rounding it is 0, which no interval may be built on."""
        with_items = self.run_part + self.item_part - self.residual_part
        largest = np.maximum(np.maximum(with_items, self.run_part), self.item_part)
        return np.where(largest < _TINY, 0.0, largest)

    @property
    def df(self) -> Floats:
        """Satterthwaite's degrees of freedom; NaN where the variance is 0."""
        variance = self.variance
        with np.errstate(divide="ignore", invalid="ignore"):  # an unknown part has no degrees of freedom
            apart = self.arm_part**2 / self.arm_df + self.control_part**2 / self.control_df
            together = self.run_part**2 / self.control_df
            items = np.maximum(variance - self.run_part, 0.0) ** 2 / self.item_df
            spread = np.where(self.shared, together, apart) + items
            return variance**2 / np.where(variance > 0, spread, np.nan)

    @property
    def se(self) -> Floats:
        """Standard error of the effect."""
        return np.sqrt(self.variance)

    def with_fixed_items(self) -> Estimate:
        """The estimate for exactly these items: only runs are drawn."""
        zero = np.zeros_like(self.item_part)
        return replace(self, item_part=zero, residual_part=zero)
