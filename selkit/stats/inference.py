"""From an estimate to intervals, p values, Holm's correction and the power of the comparison. Fractions, not points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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


def clipped(low: float, high: float, bound: float) -> tuple[float, float]:
    """An interval of a difference without what no difference can be: beyond ``bound`` to both sides. NaN stays NaN."""
    return max(low, -bound), min(high, bound)


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


def benjamini_hochberg(p: Floats) -> Floats:
    """scipy's false discovery rate adjustment, shape (m,). A missing p counts as 1 and stays missing.

    Source: Y. Benjamini and Y. Hochberg, 'Controlling the false discovery rate', 1995.
    """
    _special()
    from scipy import stats

    adjusted = stats.false_discovery_control(np.where(np.isnan(p), 1.0, p), method="bh")
    return np.where(np.isnan(p), np.nan, adjusted)


@dataclass(frozen=True)
class Plan:
    """A comparison as it was made, from which a larger one is planned; its variances are taken as estimated.

    Args:
        estimate: The estimate (scalars).
        runs: Runs of the arm.
        control_runs: Runs of the control.
        items: Items of each run.
        target: The difference that should be found with a power of 80%.
        alpha: Of the two-sided test.
    """

    estimate: Estimate
    runs: int
    control_runs: int
    items: int
    target: float
    alpha: float

    def more_runs(self) -> int | None:
        """The runs of each arm that suffice on the same items; None where :data:`MOST_RUNS` do not."""
        return smallest(lambda k: self._reached(k, self.items), 2, MOST_RUNS)

    def more_items(self) -> int | None:
        """The items that suffice in the same runs; None where :data:`MOST_ITEMS` times as many do not."""
        return smallest(lambda n: self._reached(1, n), self.items, MOST_ITEMS * self.items)

    def more_of_both(self) -> tuple[int, int] | None:
        """Runs of each arm and items, multiplied by the same number, that suffice; None where nothing sensible does."""
        times = smallest(lambda f: self._reached(f * self.runs, f * self.items), 2, MOST_RUNS // self.runs)
        return None if times is None else (times * self.runs, times * self.items)

    def _reached(self, k: int, items: int) -> bool:
        larger = self._larger(max(k, self.runs), max(k, self.control_runs), self.items / items)
        return bool(detectable(larger.se, larger.df, self.alpha) <= self.target)

    def _larger(self, runs: int, control_runs: int, share: float) -> Estimate:
        """The expected estimate with so many runs, and items of which the present ones are this share."""
        now = self.estimate
        # More runs make no item easier to tell apart, and more items leave the residual alone to fall with them.
        interaction = np.maximum(now.variance - now.run_part, 0.0)
        free = np.maximum(now.run_part - now.residual_part, 0.0)
        left = (free + (now.run_part - free) * share) / np.where(now.run_part > 0, now.run_part, 1.0)
        return Estimate(
            effect=now.effect,
            arm_part=now.arm_part * left * self.runs / runs,
            arm_df=_grown(now.arm_df, self.runs, runs),
            control_part=now.control_part * left * self.control_runs / control_runs,
            control_df=_grown(now.control_df, self.control_runs, control_runs),
            item_part=interaction * share,
            item_df=now.item_df / share,
            residual_part=np.zeros(()),
            shared=now.shared & np.asarray(runs == self.runs and control_runs == self.control_runs),
        )


def _grown(df: Floats, runs: int, more: int) -> Floats:
    """Degrees of freedom after ``runs`` have become ``more``; a variance that was borrowed becomes the arm's own."""
    if more == runs:
        return df
    return df * (more - 1) / (runs - 1) if runs > 1 else np.asarray(more - 1.0)


def smallest(reached: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest whole number from ``low`` to ``high`` that reaches the goal, by halving; None where none does."""
    if low > high or not reached(high):
        return None
    while low < high:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return low
