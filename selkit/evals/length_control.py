"""The length-controlled win rate of one model against any baseline, from the comparisons of the two alone.

Judges like long answers. The model (EVALUATION 2.5, option B; after 'Length-Controlled AlpacaEval', Dubois et al. 2024,
without what AlpacaEval fits on its own leaderboard) is::

    logit P(model preferred) = theta * tanh(z) + psi        z = (model length - baseline length) / its sd

fitted by maximum likelihood with a small ridge on theta. The win rate at equal lengths is 100 * sigmoid(psi). Swapping
the two models turns it into 100 minus itself, and a model against itself gets 50. It is only as good as the overlap of
lengths: where one side is nearly always longer, equal lengths are never seen and nothing can be said.

Where the difficulties gamma of the prompts are known (option C: estimated from other arms), phi * gamma joins the
logit, with the same small ridge on phi, and the win rate at equal lengths is the mean of 100 * sigmoid(phi * gamma +
psi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from selkit.api.errors import DataError, UsageError
from selkit.evals.logistic import Floats, fit_logistic, sigmoid

RIDGE = 1e-3
"""Weight of theta^2 / 2 beside the log-likelihood summed over comparisons."""

MIN_OVERLAP = 0.05
"""Below this share of comparisons in which the usually shorter side is the longer one, nothing is claimed."""

_BATCH = 100_000  # comparisons fitted at a time by the bootstrap; more do not fit into a core's cache
_NO_RATE: dict[str, Any] = dict.fromkeys(("lc_win_rate", "lc_se", "lc_low", "lc_high", "theta"))
_NARROW = 0.1  # points; the ends of a narrower interval print as one number, which would look like certainty


@dataclass(frozen=True)
class LengthControlled:
    """A length-controlled win rate and what it rests on; rates in percent.

    Attributes:
        n: Comparisons.
        prompts: Prompts that they are about.
        win_rate: The mean preference.
        lc_win_rate: The win rate at equal lengths; None where it is not identified.
        lc_se: Its bootstrap standard error, over prompts; None where the preferences do not vary, or so little that the
            interval would be narrower than 0.1 points.
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
    """Fitted coefficients, in logits, one per set of weights; phi is 0 where no difficulties were given."""

    theta: Floats
    psi: Floats
    phi: Floats


def direct_win_rate(
    preference: ArrayLike,
    model_length: ArrayLike,
    baseline_length: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    difficulty: ArrayLike | None = None,
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
        difficulty: The difficulty of each comparison's prompt, shape (n,), where it is known from elsewhere.
        bootstraps: Resamples that the interval rests on.
        seed: Seed of the resampling.
        min_overlap: The overlap below which nothing is claimed.

    Raises:
        DataError: There is no comparison, the arrays differ in length, or a value is missing or out of range.
        UsageError: ``bootstraps`` is below 2.
    """
    wins, gap = _checked(preference, model_length, baseline_length)
    groups = cluster_codes(clusters, len(wins))
    gamma = None if difficulty is None else _checked_difficulty(difficulty, len(wins))
    check_bootstraps(bootstraps)
    overlap = length_overlap(gap)
    known: dict[str, Any] = {
        "n": len(wins),
        "prompts": int(groups.max()) + 1,
        "win_rate": 100 * float(wins.mean()),
        "overlap": overlap,
        "identified": overlap >= min_overlap,
    }
    if overlap < min_overlap:
        return LengthControlled(**known, **_NO_RATE, reason=_not_identified(gap, min_overlap))
    once = np.ones((1, len(wins)))
    whole = fit(wins, gap, once, difficulty=gamma)

    def rates(weights: Floats) -> Floats:
        return _rates(fit(wins, gap, weights, difficulty=gamma, start=whole), weights, gamma)

    found = spread(wins, bootstrap(rates, groups, bootstraps, seed))
    rate = float(_rates(whole, once, gamma)[0])
    return LengthControlled(**known, lc_win_rate=rate, theta=float(whole.theta[0]), **found)


def fit(
    preference: Floats,
    gap: Floats,
    weights: Floats,
    ridge: float = RIDGE,
    difficulty: Floats | None = None,
    start: Fit | None = None,
) -> Fit:
    """theta, psi and phi for each row of weights.

    Args:
        preference: Preference for the model, shape (n,).
        gap: Model length less baseline length, shape (n,).
        weights: How often each comparison counts, shape (sets, n).
        ridge: Weight of theta^2 / 2, and of phi^2 / 2.
        difficulty: gamma of each comparison's prompt, shape (n,).
        start: A fit with one set of weights to begin at.
    """
    x = np.tanh(standardised(gap, weights))
    columns = [x, np.ones_like(x)] + ([] if difficulty is None else [difficulty])
    near = None if start is None else np.array([part[0] for part in start[: len(columns)]])
    found = fit_logistic(columns, preference, weights, [ridge, 0.0, ridge][: len(columns)], near)
    return Fit(found[:, 0], found[:, 1], found[:, 2] if len(columns) == 3 else np.zeros(len(found)))


def _rates(found: Fit, weights: Floats, difficulty: Floats | None) -> Floats:
    """The win rate at equal lengths under each row of weights, in percent."""
    if difficulty is None:
        return 100 * sigmoid(found.psi)
    p = sigmoid(found.phi[:, None] * difficulty + found.psi[:, None])
    return np.asarray(100 * (weights * p).sum(-1) / weights.sum(-1))


def standardised(gap: Floats, weights: Floats) -> Floats:
    """The gaps over their weighted standard deviation (ddof 1), shape (sets, n); their sign where they do not vary."""
    count = weights.sum(-1, keepdims=True)
    mean = (weights * gap).sum(-1, keepdims=True) / count
    variance = (weights * (gap - mean) ** 2).sum(-1, keepdims=True) / np.maximum(count - 1, 1)
    return np.where(variance > 0, gap / np.sqrt(np.where(variance > 0, variance, 1.0)), np.sign(gap))


def bootstrap(rates: Callable[[Floats], Floats], groups: NDArray[np.int64], bootstraps: int, seed: int) -> Floats:
    """What ``rates`` gives for resamples of whole groups, shape (bootstraps,).

    Args:
        rates: Takes weights of the comparisons, shape (sets, n), and returns one number for each set.
        groups: The group of each comparison, from 0 on, shape (n,).
        bootstraps: Resamples.
        seed: Seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    size = max(1, _BATCH // len(groups))
    found = []
    for start in range(0, bootstraps, size):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(size, bootstraps - start))
        found.append(rates(drawn[:, groups].astype(np.float64)))
    return np.concatenate(found)


def spread(wins: Floats, rates: Floats) -> dict[str, Any]:
    """Standard error and 95% interval; none where the preferences (hardly) vary, which is no certainty."""
    low, high = np.percentile(rates, [2.5, 97.5])
    if np.ptp(wins) == 0 or high - low < _NARROW:
        why = "do not vary" if np.ptp(wins) == 0 else "hardly vary from prompt to prompt"
        said = f"no interval: the preferences {why}, so resampling them says nothing about the error"
        return {"lc_se": None, "lc_low": None, "lc_high": None, "reason": said}
    return {"lc_se": float(rates.std(ddof=1)), "lc_low": float(low), "lc_high": float(high), "reason": ""}


def length_overlap(gap: Floats) -> float:
    """The smaller of the shares of comparisons in which either side is longer, equal lengths counting half."""
    return float(min((gap > 0).mean(), (gap < 0).mean()) + (gap == 0).mean() / 2)


def one_sided(gap: Floats) -> str:
    """Which side is nearly always the longer one, as a clause."""
    longer = "model" if (gap > 0).mean() > 0.5 else "baseline"
    return f"the {longer}'s response is the longer one in all but {100 * length_overlap(gap):.1f}% of the comparisons"


def _not_identified(gap: Floats, least: float) -> str:
    return (
        f"not identified: {one_sided(gap)} (at least {100 * least:g}% are needed), so responses of equal length are "
        "hardly ever seen"
    )


def check_bootstraps(bootstraps: int) -> None:
    """Raises UsageError where there are too few resamples for an interval."""
    if bootstraps < 2:
        raise UsageError(f"{bootstraps} bootstraps make no interval: take 2 or more, such as 1000")


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


def cluster_codes(clusters: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """The clusters as whole numbers from 0 on; every comparison is its own where none are named."""
    if clusters is None:
        return np.arange(n)
    ids = np.asarray(clusters).ravel()
    if len(ids) != n:
        raise DataError(f"{len(ids)} prompt ids for {n} comparisons: every comparison needs one")
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)


def _checked_difficulty(difficulty: ArrayLike, n: int) -> Floats:
    gamma = np.asarray(difficulty, dtype=np.float64).ravel()
    if len(gamma) != n:
        raise DataError(f"{len(gamma)} difficulties for {n} comparisons: every comparison needs one")
    if not np.isfinite(gamma).all():
        raise DataError("the difficulty of a prompt is no number: leave such prompts out")
    return gamma
