"""The length-controlled win rate of one model against any baseline, from the comparisons of the two alone.

Judges like long answers. The model (EVALUATION 2.5, option B; after 'Length-Controlled AlpacaEval', Dubois et al. 2024,
without what AlpacaEval fits on its own leaderboard) is::

    logit P(model preferred) = theta * tanh(z) + psi        z = (model length - baseline length) / its sd

fitted by maximum likelihood with a small ridge on theta. The win rate at equal lengths is 100 * sigmoid(psi). Swapping
the two models turns it into 100 minus itself, and a model against itself gets 50. It is only as good as the overlap of
lengths: where one side is nearly always longer, equal lengths are never seen and nothing can be said.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from selkit.api.errors import DataError, UsageError

Floats = NDArray[np.float64]

RIDGE = 1e-3
"""Weight of theta^2 / 2 beside the log-likelihood summed over comparisons."""

MIN_OVERLAP = 0.05
"""Below this share of comparisons in which the usually shorter side is the longer one, nothing is claimed."""

_STEPS = 60
_LARGEST_STEP = 3.0  # in logits; keeps Newton's method from overshooting where lengths nearly separate the wins
_LARGEST = 20.0  # logits beyond which a rate is 0 or 1 for every purpose
_BATCH = 2_000_000  # numbers held at a time by the bootstrap


@dataclass(frozen=True)
class LengthControlled:
    """A length-controlled win rate and what it rests on; rates in percent.

    Attributes:
        n: Comparisons.
        prompts: Prompts that they are about.
        win_rate: The mean preference.
        lc_win_rate: The win rate at equal lengths; None where it is not identified.
        lc_se: Its bootstrap standard error, over prompts; None where the preferences do not vary.
        lc_low: Its 95% percentile interval, with ``lc_high``, or None.
        theta: How much the longer answer is preferred, in logits; None where it is not identified.
        overlap: The smaller of P(model longer) and P(baseline longer), equal lengths counting half on each side.
        identified: Whether the lengths overlap enough.
        reason: Why there is no rate or no interval; empty where there are both.
    """

    n: int
    prompts: int
    win_rate: float
    lc_win_rate: float | None
    lc_se: float | None
    lc_low: float | None
    lc_high: float | None
    theta: float | None
    overlap: float
    identified: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON writes it."""
        return asdict(self)


class Fit(NamedTuple):
    """Fitted coefficients, in logits, one per set of weights; the win rate at equal lengths is sigmoid(psi)."""

    theta: Floats
    psi: Floats


def direct_win_rate(
    preference: ArrayLike,
    model_length: ArrayLike,
    baseline_length: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    bootstraps: int = 1000,
    seed: int = 0,
    min_overlap: float = MIN_OVERLAP,
) -> LengthControlled:
    """The length-controlled win rate in 'direct' mode.

    Args:
        preference: Preference for the model in each comparison, in [0, 1], shape (n,).
        model_length: Length of the model's response in characters, shape (n,).
        baseline_length: Length of the baseline's response in characters, shape (n,).
        clusters: The prompt of each comparison, shape (n,): comparisons of one prompt (several runs, both orders) are
            resampled together. By default every comparison is its own.
        bootstraps: Resamples that the interval rests on.
        seed: Seed of the resampling.
        min_overlap: The overlap below which nothing is claimed.

    Raises:
        DataError: There is no comparison, the arrays differ in length, or a value is missing or out of range.
        UsageError: ``bootstraps`` is below 2.
    """
    wins, gap = _checked(preference, model_length, baseline_length)
    groups = _groups(clusters, len(wins))
    if bootstraps < 2:
        raise UsageError(f"{bootstraps} bootstraps make no interval: take 2 or more, such as 1000")
    overlap = float(min((gap > 0).mean(), (gap < 0).mean()) + (gap == 0).mean() / 2)
    known: dict[str, Any] = {
        "n": len(wins),
        "prompts": int(groups.max()) + 1,
        "win_rate": 100 * float(wins.mean()),
        "overlap": overlap,
        "identified": overlap >= min_overlap,
    }
    if overlap < min_overlap:
        why = _not_identified(gap, overlap, min_overlap)
        return LengthControlled(
            **known, lc_win_rate=None, lc_se=None, lc_low=None, lc_high=None, theta=None, reason=why
        )
    theta, psi = (float(value[0]) for value in fit(wins, gap, np.ones((1, len(wins)))))
    rates = 100 * _sigmoid(_bootstrap(wins, gap, groups, bootstraps, seed))
    return LengthControlled(**known, lc_win_rate=100 * float(_sigmoid(psi)), theta=theta, **_spread(rates))


def fit(preference: Floats, gap: Floats, weights: Floats, ridge: float = RIDGE) -> Fit:
    """theta and psi for each row of weights, by Newton's method.

    Args:
        preference: Preference for the model, shape (n,).
        gap: Model length less baseline length, shape (n,).
        weights: How often each comparison counts, shape (sets, n).
        ridge: Weight of theta^2 / 2.
    """
    x = np.tanh(_standardised(gap, weights))
    theta, psi = np.zeros((2, len(weights)))
    for _ in range(_STEPS):
        p = _sigmoid(theta[:, None] * x + psi[:, None])
        error, curve = weights * (preference - p), weights * p * (1 - p)
        slope = np.stack([(error * x).sum(-1) - ridge * theta, error.sum(-1)])
        a, b, c = (curve * x * x).sum(-1) + ridge, (curve * x).sum(-1), curve.sum(-1) + 1e-12
        determinant = np.maximum(a * c - b * b, 1e-12)
        step = np.stack([c * slope[0] - b * slope[1], a * slope[1] - b * slope[0]]) / determinant
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        theta, psi = theta + step[0], np.clip(psi + step[1], -_LARGEST, _LARGEST)
        if np.abs(step).max() < 1e-9:
            break
    return Fit(theta, psi)


def _standardised(gap: Floats, weights: Floats) -> Floats:
    """The gaps over their weighted standard deviation (ddof 1), shape (sets, n); 0 where there is no gap at all."""
    count = weights.sum(-1, keepdims=True)
    mean = (weights * gap).sum(-1, keepdims=True) / count
    variance = (weights * (gap - mean) ** 2).sum(-1, keepdims=True) / np.maximum(count - 1, 1)
    return np.where(variance > 0, gap / np.sqrt(np.where(variance > 0, variance, 1.0)), np.sign(gap))


def _sigmoid(x: Floats | float) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x))))


def _bootstrap(wins: Floats, gap: Floats, groups: NDArray[np.int64], bootstraps: int, seed: int) -> Floats:
    """psi of each resample of prompts, shape (bootstraps,)."""
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    size = max(1, _BATCH // len(wins))
    psi = []
    for start in range(0, bootstraps, size):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(size, bootstraps - start))
        psi.append(fit(wins, gap, drawn[:, groups].astype(np.float64)).psi)
    return np.concatenate(psi)


def _spread(rates: Floats) -> dict[str, Any]:
    """Standard error and 95% interval; none where resampling changes nothing, which is no certainty."""
    if rates.std() < 1e-6:
        why = "no interval: the preferences do not vary, so resampling them says nothing about the error"
        return {"lc_se": None, "lc_low": None, "lc_high": None, "reason": why}
    low, high = np.percentile(rates, [2.5, 97.5])
    return {"lc_se": float(rates.std(ddof=1)), "lc_low": float(low), "lc_high": float(high), "reason": ""}


def _not_identified(gap: Floats, overlap: float, least: float) -> str:
    longer = "model" if (gap > 0).mean() > 0.5 else "baseline"
    return (
        f"not identified: the {longer}'s response is the longer one in all but {100 * overlap:.1f}% of the comparisons "
        f"(at least {100 * least:g}% are needed), so responses of equal length are hardly ever seen"
    )


def _checked(preference: ArrayLike, model_length: ArrayLike, baseline_length: ArrayLike) -> tuple[Floats, Floats]:
    wins, model, baseline = (
        np.asarray(v, dtype=np.float64).ravel() for v in (preference, model_length, baseline_length)
    )
    if not len(wins) == len(model) == len(baseline):
        raise DataError(
            f"{len(wins)} preferences, {len(model)} and {len(baseline)} lengths: every comparison needs one of each"
        )
    if len(wins) == 0:
        raise DataError("there is no comparison, so there is no win rate")
    if not ((wins >= 0) & (wins <= 1)).all():
        row = int(np.flatnonzero(~((wins >= 0) & (wins <= 1)))[0])
        raise DataError(f"the preference of comparison {row + 1} is {wins[row]:g}: it must be a number from 0 to 1")
    if not (np.isfinite(model) & np.isfinite(baseline) & (model >= 0) & (baseline >= 0)).all():
        raise DataError("a response's length is missing or negative: give the number of its characters")
    return wins, model - baseline


def _groups(clusters: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if clusters is None:
        return np.arange(n)
    ids = np.asarray(clusters).ravel()
    if len(ids) != n:
        raise DataError(f"{len(ids)} prompt ids for {n} comparisons: every comparison needs one")
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)
