"""Which run variance, and which residual, each comparison rests on where arms have few runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selkit.stats.endpoints import ArmData, Slot, residual_part
from selkit.stats.variance import Floats, RunVariances, run_variance, selector_variances
from selkit.stats.verdicts import Flag


@dataclass(frozen=True)
class RunEvidence:
    """What is known about runs in one comparison; NaN where nothing is.

    Attributes:
        variance: Variance of one run of the arm; ``df`` its degrees of freedom.
        residual: V_E's part of the arm.
        control_variance: Variance of one run of the control; ``control_df`` its degrees of freedom.
        control_residual: V_E's part of the control.
        shared: Both variances come from the same runs.
        flags: Where the variance comes from, unless it is the arm's own.
    """

    variance: float
    df: float
    residual: float
    control_variance: float
    control_df: float
    control_residual: float
    shared: bool
    flags: tuple[Flag, ...]


def run_evidence(
    selectors: Sequence[ArmData], control: ArmData, weights: Mapping[Slot, float], *, pool: bool
) -> dict[str, RunEvidence]:
    """The evidence for each of ``selectors`` (arms with a run or more) against ``control`` (likewise), by arm.

    ``weights`` are those of the endpoint's matrices (:func:`selkit.stats.endpoints.slots`).
    """
    if not selectors:
        return {}
    own = np.array([float(run_variance(data.scores)) for data in selectors])
    runs = np.array([len(data.runs) for data in selectors])
    residuals = np.array([residual_part(data, weights) for data in selectors])
    control_own, k = run_variance(control.scores), len(control.runs)
    variances = selector_variances(own, runs, control_own, k, pool=pool)
    freedom = np.where(own > 0, runs - 1.0, 0.0)
    lent = _mean(residuals * runs, freedom)
    if k > 1:
        known = float(control_own), k - 1.0, residual_part(control, weights)
        lent = known[2] * k if freedom.sum() == 0 else lent
    else:
        known = _mean(own, freedom), float(freedom.sum()), lent
    kept = np.where(runs > 1, residuals, lent)
    return {
        data.arm: RunEvidence(
            float(variances.value[row]),
            float(variances.df[row]),
            float(kept[row]),
            *known,
            shared=bool(k < 2 or variances.from_control[row]),
            flags=_flags(variances, row, k),
        )
        for row, data in enumerate(selectors)
    }


def _mean(values: Floats, weights: Floats) -> float:
    """The weighted mean of the values that have a weight; NaN where none has."""
    used = weights > 0
    return float(np.average(values[used], weights=weights[used])) if used.any() else float("nan")


def _flags(variances: RunVariances, row: int, control_runs: int) -> tuple[Flag, ...]:
    lent = bool(np.isfinite(variances.value[row]))  # where all arms have one run, no one has anything to lend
    held: Mapping[Flag, bool] = {
        Flag.BORROWED: bool(variances.borrowed[row]) and lent,
        Flag.BORROWED_CONTROL: control_runs < 2 and lent,
        Flag.POOLED: bool(variances.pooled[row]),
        Flag.HETEROSCEDASTIC: bool(variances.heteroscedastic[row]),
    }
    return tuple(flag for flag, holds in held.items() if holds)
