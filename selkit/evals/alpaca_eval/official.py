"""AlpacaEval's own length-controlled win rate (its GLM 'length_controlled_v1'), without its row numbers.

For every comparison, with z the model's length less the baseline's over its standard deviation, gamma the difficulty of
the instruction and no intercept::

    logit P(model preferred) = theta * tanh(z) + phi * gamma + psi * [not gamed]

fitted to the model's comparisons and, at a tenth of their weight, to AlpacaEval's gamed ones: GPT-4 prompted to be
verbose and concise against its plain self, with [not gamed] 0. They pull theta to where GPT-4's own length explains its
own wins. The win rate at equal lengths is the mean over the instructions of 100 * sigmoid(phi * gamma + psi)
(alpaca_eval 0.6.6, metrics/glm_winrate.py; 'Length-Controlled AlpacaEval', Dubois et al. 2024).

AlpacaEval looks gamma up by row number; here it is that of the instruction. AlpacaEval chooses an L1 penalty among ten
by cross-validation, and which one it gets depends on the order of the rows: between that of C = 2.8, which moves the
win rate by up to 0.1 points on 805 rows and 0.3 on 300, and none to speak of. A ridge of 0.05 lies between the two,
whatever the order (docs/explanation/length-control.md has the measurement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from selkit.evals.alpaca_eval.assets import LcAssets
from selkit.evals.length_control import (
    MIN_OVERLAP,
    LengthControlled,
    bootstrap,
    check_bootstraps,
    length_overlap,
    one_sided,
    spread,
    standardised,
)
from selkit.evals.logistic import Floats, fit_logistic, sigmoid

GAMED_WEIGHT = 0.1
"""Weight of a gamed comparison: AlpacaEval's lambda of 0.2, halved because there are two gamed models."""

RIDGE = 0.05
"""Weight of b^2 / 2 for each coefficient b, in place of AlpacaEval's cross-validated L1 penalty."""


class Comparisons(NamedTuple):
    """What the GLM is fitted to.

    Attributes:
        preference: Preference for the model, in [0, 1], shape (n,).
        gap: Model length less baseline length in characters, shape (n,).
        difficulty: gamma of the instruction, shape (n,).
        groups: The instruction as a number from 0 on, shape (n,).
    """

    preference: Floats
    gap: Floats
    difficulty: Floats
    groups: NDArray[np.int64]


def official_win_rate(
    data: Comparisons, assets: LcAssets, *, bootstraps: int = 1000, seed: int = 0
) -> LengthControlled:
    """AlpacaEval's length-controlled win rate of one model, with a bootstrap over instructions.

    The gamed comparisons make it identified whatever the lengths are; where the model's own hardly overlap with the
    baseline's, ``reason`` says that it rests on them.

    Args:
        data: The model's comparisons with the baseline that the assets are about.
        assets: Difficulties and gamed comparisons.
        bootstraps: Resamples that the interval rests on; the gamed comparisons are not resampled.
        seed: Seed of the resampling.

    Raises:
        UsageError: ``bootstraps`` is below 2.
    """
    check_bootstraps(bootstraps)
    start = _fit(data, assets, np.ones((1, len(data.gap))))[0]

    def rates(weights: Floats) -> Floats:
        return _rates(_fit(data, assets, weights, start), data.difficulty, weights)

    found = LengthControlled(
        n=len(data.gap),
        prompts=int(data.groups.max()) + 1,
        win_rate=100 * float(data.preference.mean()),
        lc_win_rate=float(_rates(start[None], data.difficulty, np.ones((1, len(data.gap))))[0]),
        theta=float(start[0]),
        overlap=length_overlap(data.gap),
        identified=True,
        **spread(data.preference, bootstrap(rates, data.groups, bootstraps, seed)),
    )
    if found.overlap < MIN_OVERLAP and not found.reason:
        return replace(found, reason=f"rests on AlpacaEval's gamed annotations: {one_sided(data.gap)}")
    return found


def _fit(data: Comparisons, assets: LcAssets, weights: Floats, start: Floats | None = None) -> Floats:
    """theta, phi and psi for each row of weights, shape (sets, 3)."""
    gamed = len(assets.gamed_gap)
    gaps = np.broadcast_to(assets.gamed_gap, (len(weights), gamed))
    features: Sequence[Floats] = (
        np.tanh(np.concatenate([standardised(data.gap, weights), gaps], axis=1)),
        np.concatenate([data.difficulty, assets.gamed_difficulty]),
        np.concatenate([np.ones(len(data.gap)), np.zeros(gamed)]),
    )
    outcome = np.concatenate([data.preference, assets.gamed_preference])
    counted = np.concatenate([weights, np.full((len(weights), gamed), GAMED_WEIGHT)], axis=1)
    return fit_logistic(features, outcome, counted, np.full(3, RIDGE), start)


def _rates(found: Floats, difficulty: Floats, weights: Floats) -> Floats:
    """The win rate at equal lengths under each row of weights, in percent."""
    p = sigmoid(found[:, 1, None] * difficulty + found[:, 2, None])
    return np.asarray(100 * (weights * p).sum(-1) / weights.sum(-1))
