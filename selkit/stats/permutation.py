"""The randomisation check: what the labels of the runs alone say, without any assumption on how runs vary.

If the arm were no different from the control, any of their runs might have carried either label. The share of
relabellings with a difference at least as large is the p value (RELIABILITY 1.3). It knows nothing of items: those are
the same under every relabelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.stats.drafts import Draft
from selkit.stats.rules import Rules
from selkit.stats.variance import Floats
from selkit.stats.verdicts import VerdictRow

EXACT = 20_000
"""Most relabellings that are gone through one by one; of more so many are drawn, with a fixed seed."""

_ALIKE = 1e-12
"""Differences of sums closer than this are equal: rounding must not break ties."""


@dataclass(frozen=True)
class PermutationRow:
    """The check of one comparison.

    Attributes:
        relabellings: How many ways there are to hand out the labels; ``exact`` tells whether all were tried.
        lowest: The smallest two-sided p that so many runs could give.
        p: Two-sided p.
        t_p: The unadjusted p of the verdict.
        disagrees: Whether one of the two is below alpha and the other is not.
    """

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    runs: int
    control_runs: int
    relabellings: int
    exact: bool
    lowest: float
    p: float
    t_p: float
    disagrees: bool

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def permutation_rows(found: Sequence[Draft], verdicts: Sequence[VerdictRow], rules: Rules) -> list[PermutationRow]:
    """The check of every comparison whose runs are enough to find anything at alpha.

    Args:
        found: The comparisons.
        verdicts: Their verdicts, in the same order.
        rules: The rules, for alpha.
    """
    rows = []
    for draft, verdict in zip(found, verdicts, strict=True):
        runs, others = len(draft.arm.runs), len(draft.control.runs)
        if verdict.p is None or not runs or not others or lowest_p(runs, others) >= rules.alpha:
            continue
        p = permutation_p(draft.arm.scores, draft.control.scores)
        rows.append(
            PermutationRow(
                arm=verdict.arm,
                control=verdict.control,
                benchmark=verdict.benchmark,
                pool=verdict.pool,
                budget=verdict.budget,
                model=verdict.model,
                runs=runs,
                control_runs=others,
                relabellings=comb(runs + others, runs),
                exact=comb(runs + others, runs) <= EXACT,
                lowest=lowest_p(runs, others),
                p=p,
                t_p=verdict.p,
                disagrees=(p < rules.alpha) != (verdict.p < rules.alpha),
            )
        )
    return rows


def lowest_p(runs: int, control_runs: int) -> float:
    """The smallest two-sided p that relabelling so many runs can give."""
    return min(1.0, 2 / comb(runs + control_runs, runs))


def permutation_p(arm: Floats, control: Floats) -> float:
    """Two-sided p of the difference of the means under relabelling of the runs.

    Args:
        arm: A score for each run, shape (K,).
        control: Likewise, shape (K_R,).
    """
    scores = np.concatenate([arm, control])
    chosen = _relabellings(len(arm), len(scores))
    # with the runs fixed, the difference of the means grows with the sum of those called the arm's
    sums = scores[chosen].sum(axis=1)
    seen = float(arm.sum())
    above, below = int((sums >= seen - _ALIKE).sum()), int((sums <= seen + _ALIKE).sum())
    drawn = comb(len(scores), len(arm)) > EXACT
    return min(1.0, 2 * (min(above, below) + drawn) / (len(sums) + drawn))  # a draw counts what was seen itself


@lru_cache(maxsize=64)
def _relabellings(size: int, of: int) -> NDArray[np.int64]:
    """Which runs are called the arm's, a row per relabelling."""
    if comb(of, size) <= EXACT:
        return np.array(list(combinations(range(of), size)), dtype=np.int64).reshape(-1, size)
    rng = np.random.default_rng(0)
    return np.argsort(rng.random((EXACT, of)), axis=1)[:, :size].astype(np.int64)
