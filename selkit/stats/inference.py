"""From an estimate to intervals, p values, Holm's correction and the power of the comparison. Fractions, not points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from selkit.api.errors import MissingExtra
from selkit.stats.variance import Estimate, Floats

POWER = 0.8
"""The power that 'detectable' means."""

MOST_RUNS = 100
"""More runs than this are not worth proposing."""

MOST_ITEMS = 100
"""Nor are more than this many times the items."""


def _special() -> Any:
    try:
        from scipy import special
    except ImportError as error:
        raise MissingExtra.of("statistics", "eval") from error
    return special


def quantile(probability: float, df: Floats | float) -> Floats:
    """Quantile of Student's t; ``df`` need not be whole."""
    return np.asarray(_special().stdtrit(df, probability), dtype=np.float64)


def p_value(effect: Floats, se: Floats, df: Floats) -> Floats:
    """Two-sided p of a zero effect; NaN where there is no standard error."""
    t = np.abs(effect) / np.where(se > 0, se, np.nan)
    return np.asarray(2 * _special().stdtr(df, -t), dtype=np.float64)


def half_width(se: Floats, df: Floats, level: float | Floats) -> Floats:
    """Half the width of the two-sided interval at ``level``; NaN where there is no standard error."""
    special = _special()
    return np.asarray(special.stdtrit(df, (1 + level) / 2) * np.where(se > 0, se, np.nan), dtype=np.float64)


def detectable(se: Floats, df: Floats, alpha: float) -> Floats:
    """The effect that a two-sided test at ``alpha`` finds with a power of 80%: (t[1-alpha/2] + t[0.8]) SE."""
    width = quantile(1 - alpha / 2, df) + quantile(POWER, df)
    return np.asarray(width * np.where(se > 0, se, np.nan), dtype=np.float64)


def holm(p: Floats) -> Floats:
    """Holm's step-down adjusted p values, shape (m,). A missing p counts as 1 in the family and stays missing.

    Source: S. Holm, 'A simple sequentially rejective multiple test procedure', 1979.
    """
    filled = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(filled, kind="stable")
    steps = filled[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return np.where(np.isnan(p), np.nan, adjusted)


def runs_to_settle(estimate: Estimate, runs: int, control_runs: int, target: float, alpha: float) -> int | None:
    """The runs per arm, on the same items, from which a difference of ``target`` would be found with a power of 80%.

    The variances are taken as they were estimated (scalars). None where :data:`MOST_RUNS` runs are not enough.
    """

    def reached(k: int) -> bool:
        more, others = max(k, runs), max(k, control_runs)
        larger = replace(
            estimate,
            arm_part=estimate.arm_part * runs / more,
            arm_df=np.asarray(max(more - 1.0, 1.0)),
            control_part=estimate.control_part * control_runs / others,
            control_df=np.asarray(max(others - 1.0, 1.0)),
            item_part=_interaction(estimate),
            residual_part=np.zeros(()),
            shared=np.asarray(False),
        )
        return bool(detectable(larger.se, larger.df, alpha) <= target)

    return _smallest(reached, 2, MOST_RUNS)


def items_to_settle(estimate: Estimate, items: int, target: float, alpha: float) -> int | None:
    """The items, in the same runs, from which a difference of ``target`` would be found with a power of 80%.

    None where :data:`MOST_ITEMS` times the items are not enough, because runs differ too much.
    """
    free = np.maximum(estimate.run_part - estimate.residual_part, 0.0)
    run_part = np.where(estimate.run_part > 0, estimate.run_part, 1.0)

    def reached(n: int) -> bool:
        share = items / n
        left = (free + (estimate.run_part - free) * share) / run_part
        larger = replace(
            estimate,
            arm_part=estimate.arm_part * left,
            control_part=estimate.control_part * left,
            item_part=_interaction(estimate) * share,
            item_df=estimate.item_df / share,
            residual_part=np.zeros(()),
        )
        return bool(detectable(larger.se, larger.df, alpha) <= target)

    return _smallest(reached, items, items * MOST_ITEMS)


def _interaction(estimate: Estimate) -> Floats:
    """What the variance holds beyond the runs: how differently the arms fare from item to item."""
    return np.maximum(estimate.variance - estimate.run_part, 0.0)


def _smallest(reached: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest whole number from ``low`` to ``high`` that reaches the goal, by halving; None where none does."""
    if not reached(high):
        return None
    while low < high:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return low
