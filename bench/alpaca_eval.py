"""Times the length-controlled win rate against AlpacaEval's way of fitting it, on made annotations of its shape.

    python bench/alpaca_eval.py [--pairs 5]

AlpacaEval fits scikit-learn's LogisticRegressionCV: an L1 penalty chosen among ten in five folds, over 805 comparisons
and 1,610 gamed ones, each as a win and as a loss. selkit fits the same likelihood with a fixed ridge, by Newton's
method, and resamples it 1,000 times for the interval. First the two must agree to 0.15 points. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from selkit.evals.alpaca_eval.assets import LcAssets
from selkit.evals.alpaca_eval.official import GAMED_WEIGHT, Comparisons, official_win_rate

ROWS = 805
LIMIT = 0.15


def main() -> int:
    """Prints the difference of the two rates, both times and their ratio."""
    parser = argparse.ArgumentParser(description="Time the length-controlled win rate.")
    parser.add_argument("--pairs", type=int, default=5, help="how often each is run")
    pairs = parser.parse_args().pairs
    data, assets = made(np.random.default_rng(0))
    theirs, ours = by_cross_validation(data, assets), official_win_rate(data, assets, bootstraps=2).lc_win_rate
    assert ours is not None
    assert abs(ours - theirs) < LIMIT, (ours, theirs)
    print(f"LogisticRegressionCV {theirs:.3f}, selkit {ours:.3f}: {abs(ours - theirs):.3f} points apart")
    times = [
        (
            seconds(lambda: by_cross_validation(data, assets)),
            seconds(lambda: official_win_rate(data, assets, bootstraps=2)),
            seconds(lambda: official_win_rate(data, assets, bootstraps=1000)),
        )
        for _ in range(pairs)
    ]
    cv, fit, resampled = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    print(f"LogisticRegressionCV, one fit: {cv:.0f} ms")
    print(f"selkit, three fits: {fit:.1f} ms; with 1000 resamples: {resampled:.0f} ms")
    print(f"median of {pairs} interleaved runs, {platform.processor() or platform.machine()}, one thread")
    return 0


def made(rng: np.random.Generator) -> tuple[Comparisons, LcAssets]:
    """Comparisons of a model that is mostly shorter and wins a tenth, and gamed comparisons of the same judge."""
    gamma = rng.normal(size=ROWS)
    gap = 600 * (rng.normal(size=ROWS) - 1.3)
    logit = 1.8 * np.tanh(gap / gap.std(ddof=1)) + gamma - 2.0
    gamed_gap = np.concatenate([rng.normal(1.0, 0.5, ROWS), rng.normal(-2.0, 0.5, ROWS)])
    twice = np.tile(gamma, 2)
    gamed = 1 / (1 + np.exp(-(1.8 * np.tanh(gamed_gap) + twice)))
    preference = 1 / (1 + np.exp(-(logit + 2 * rng.normal(size=ROWS))))
    return (
        Comparisons(preference, gap, gamma, np.arange(ROWS)),
        LcAssets(dict(enumerate(gamma.tolist())), gamed, gamed_gap, twice),
    )


def by_cross_validation(data: Comparisons, assets: LcAssets) -> float:
    """The rate by the estimator, folds, penalties and score that AlpacaEval uses."""
    import sklearn
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GroupKFold

    count = len(assets.gamed_gap)
    x = np.column_stack(
        [
            np.tanh(np.concatenate([assets.gamed_gap, data.gap / data.gap.std(ddof=1)])),
            np.concatenate([assets.gamed_difficulty, data.difficulty]),
            np.concatenate([np.zeros(count), np.ones(ROWS)]),
        ]
    )
    p = np.concatenate([assets.gamed_preference, data.preference])
    weight = np.tile(np.concatenate([np.full(count, GAMED_WEIGHT), np.ones(ROWS)]), 2)
    share = np.concatenate([p, 1 - p])
    outcome = np.repeat([1, 0], len(p))
    with warnings.catch_warnings(), sklearn.config_context(enable_metadata_routing=True):
        warnings.simplefilter("ignore")
        scorer = make_scorer(_loss, response_method="predict_proba", greater_is_better=False)
        model = LogisticRegressionCV(
            cv=GroupKFold(5), scoring=scorer.set_score_request(share=True, weight=True), penalty="l1",
            solver="liblinear", fit_intercept=False, random_state=123,
        ).set_fit_request(sample_weight=True)  # fmt: skip
        groups = np.tile(np.arange(len(p)), 2)
        model.fit(np.tile(x, (2, 1)), outcome, sample_weight=share * weight, groups=groups, share=share, weight=weight)
    _, phi, psi = model.coef_[0]
    return float(100 * (1 / (1 + np.exp(-(phi * data.difficulty + psi)))).mean())


def _loss(outcome: np.ndarray, p: np.ndarray, share: np.ndarray, weight: np.ndarray) -> float:
    """AlpacaEval's log loss, in which the share of the row's own outcome takes the outcome's place."""
    target = np.where(outcome == 1, share, 1 - share)
    return float(-np.mean(weight * (target * np.log(p) + (1 - target) * np.log(1 - p))))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
