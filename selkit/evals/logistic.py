"""Penalised logistic regression with few coefficients, fitted for many sets of weights at once.

Resampling an estimate means fitting it a thousand times to the same rows with other weights. Here those fits run side
by side, by Newton's method, in numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_STEPS = 60
_LARGEST_STEP = 3.0  # in logits; keeps Newton's method from overshooting where features nearly separate the outcomes
_LARGEST = 20.0  # an unpenalised coefficient stops where its probability is 0 or 1 for every purpose
_CONVERGED = 1e-9
_FLOOR = 1e-12  # curvature that is never quite 0, so that a step can always be solved for


def fit_logistic(
    features: Sequence[Floats], outcome: Floats, weights: Floats, ridge: ArrayLike, start: Floats | None = None
) -> Floats:
    """The coefficients b that maximise sum w (y log p + (1 - y) log(1 - p)) - sum ridge b^2 / 2, p = sigmoid(x b).

    Args:
        features: The k columns of x, each of shape (n,) or (sets, n).
        outcome: y, each in [0, 1], shape (n,).
        weights: w, shape (sets, n).
        ridge: The penalty of each coefficient, shape (k,); one of 0 is not penalised.
        start: Where to begin, shape (k,); by default at 0.

    Returns:
        One row of coefficients for each set of weights, shape (sets, k).
    """
    penalty = np.asarray(ridge, dtype=np.float64)
    bound = np.where(penalty > 0, np.inf, _LARGEST)
    columns = [np.broadcast_to(column, weights.shape) for column in features]
    found = np.tile(np.zeros(len(columns)) if start is None else start, (len(weights), 1))
    moving = np.arange(len(weights))
    for _ in range(_STEPS):
        step = _step([column[moving] for column in columns], outcome, weights[moving], penalty, found[moving])
        found[moving] = np.clip(found[moving] + step, -bound, bound)
        moving = moving[np.abs(step).max(-1) >= _CONVERGED]
        if not len(moving):
            break
    return found


def _step(columns: Sequence[Floats], outcome: Floats, weights: Floats, penalty: Floats, at: Floats) -> Floats:
    """Newton's step of every set, none longer than the largest."""
    p = sigmoid(sum(column * b[:, None] for column, b in zip(columns, at.T, strict=True)))
    error, curve = weights * (outcome - p), weights * (p * (1 - p))
    slope = np.stack([_dot(error, column) for column in columns], -1) - penalty * at
    curvature = np.empty((len(weights), len(columns), len(columns)))
    for i, column in enumerate(columns):
        curved = curve * column
        for j, other in enumerate(columns[: i + 1]):  # column by column: far faster than small matrix products
            curvature[:, i, j] = curvature[:, j, i] = _dot(curved, other)
    step = np.linalg.solve(curvature + np.diag(penalty + _FLOOR), slope[..., None])[..., 0]
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


def _dot(a: Floats, b: Floats) -> Floats:
    """The sum over n of every set, shape (sets,)."""
    return np.asarray(np.einsum("sn,sn->s", a, b))


def sigmoid(x: ArrayLike) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x, dtype=np.float64))))
