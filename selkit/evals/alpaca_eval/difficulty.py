"""How hard it is to win each instruction, estimated from several arms on the same instructions.

AlpacaEval fits such difficulties to its own leaderboard. Here they come from the experiment's own grid (EVALUATION 2.5,
option C): over arms a and instructions x::

    logit P(a preferred on x) = theta_a * tanh(z_ax) + alpha_a + gamma_x

with a ridge of 1 on gamma, as if the difficulties had a standard deviation of one logit. The gamma that an arm is given
come from the other arms alone; from all, they would have seen the very judgements that they are to explain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selkit.evals.length_control import RIDGE, standardised
from selkit.evals.logistic import Floats, sigmoid

MIN_ARMS = 5
"""Arms on the same instructions below which difficulties are not estimated."""

_SPREAD_RIDGE = 1.0
_STEPS = 60
_CONVERGED = 1e-8
_LARGEST_STEP = 3.0


def joint_difficulties(preference: Floats, gap: Floats, arms: NDArray[np.int64], prompts: NDArray[np.int64]) -> Floats:
    """gamma of each instruction for each arm, from the other arms, shape (arms, instructions); its mean is 0.

    Args:
        preference: Preference for the arm in each comparison, in [0, 1], shape (n,).
        gap: Arm's length less baseline's length in characters, shape (n,).
        arms: The arm of each comparison, from 0 on, shape (n,).
        prompts: The instruction of each comparison, from 0 on, shape (n,).
    """
    count = int(prompts.max()) + 1
    x = np.empty_like(gap)
    for arm in range(int(arms.max()) + 1):
        mine = arms == arm
        x[mine] = np.tanh(standardised(gap[mine], np.ones((1, int(mine.sum()))))[0])
    rows = [arms != arm for arm in range(int(arms.max()) + 1)]
    found = [_fit(preference[r], x[r], np.unique(arms[r], return_inverse=True)[1], prompts[r], count) for r in rows]
    return np.stack([gamma - gamma.mean() for gamma in found])


def _fit(y: Floats, x: Floats, arms: NDArray[np.int64], prompts: NDArray[np.int64], count: int) -> Floats:
    """gamma by Newton's method; a Schur complement takes the many gamma out of the system to solve."""
    size = int(arms.max()) + 1
    theta, alpha, gamma = np.zeros(size), np.zeros(size), np.zeros(count)
    for _ in range(_STEPS):
        p = sigmoid(theta[arms] * x + alpha[arms] + gamma[prompts])
        error, curve = y - p, p * (1 - p)
        slope = np.concatenate([_sums(error * x, arms, size) - RIDGE * theta, _sums(error, arms, size) - RIDGE * alpha])
        slope_gamma = _sums(error, prompts, count) - _SPREAD_RIDGE * gamma
        own = _own_curvature(x, curve, arms, size)
        cell = arms * count + prompts
        shared = np.concatenate([_sums(part, cell, size * count).reshape(size, count) for part in (curve * x, curve)])
        diagonal = _sums(curve, prompts, count) + _SPREAD_RIDGE
        step = np.linalg.solve(own - (shared / diagonal) @ shared.T, slope - shared @ (slope_gamma / diagonal))
        step_gamma = (slope_gamma - shared.T @ step) / diagonal
        step, step_gamma = (np.clip(part, -_LARGEST_STEP, _LARGEST_STEP) for part in (step, step_gamma))
        theta, alpha, gamma = theta + step[:size], alpha + step[size:], gamma + step_gamma
        if max(np.abs(step).max(), np.abs(step_gamma).max()) < _CONVERGED:
            break
    return gamma


def _own_curvature(x: Floats, curve: Floats, arms: NDArray[np.int64], size: int) -> Floats:
    """The curvature in theta and alpha, shape (2 size, 2 size): an arm's two belong together, arms do not."""
    cross = np.diag(_sums(curve * x, arms, size))
    return np.block(
        [
            [np.diag(_sums(curve * x * x, arms, size) + RIDGE), cross],
            [cross, np.diag(_sums(curve, arms, size) + RIDGE)],
        ]
    )


def _sums(values: Floats, groups: NDArray[np.int64], count: int) -> Floats:
    return np.asarray(np.bincount(groups, weights=values, minlength=count), dtype=np.float64)
