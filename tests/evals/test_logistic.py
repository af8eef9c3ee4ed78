"""Logistic regressions of many sets of weights at once, against one at a time by other means."""

from __future__ import annotations

import numpy as np
import pytest

from selkit.evals.logistic import fit_logistic, sigmoid


def test_every_set_is_fitted_as_if_alone() -> None:
    """Sets do not influence each other, and weights are counts: a row twice is a row of weight 2."""
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=60), np.ones(60), rng.normal(size=60)]
    y, weights = rng.random(60), rng.integers(0, 4, (5, 60)).astype(float)
    together = fit_logistic(columns, y, weights, [0.1, 0.0, 2.0])
    for row, w in zip(together, weights, strict=True):
        taken = np.repeat(np.arange(60), w.astype(int))
        alone = fit_logistic([c[taken] for c in columns], y[taken], np.ones((1, len(taken))), [0.1, 0.0, 2.0])
        assert np.allclose(row, alone[0], atol=1e-8)


def test_it_agrees_with_scikit_learn() -> None:
    """The same coefficients as LogisticRegression on rows duplicated for either outcome."""
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    x, y, w = rng.normal(size=(200, 3)), rng.random(200), rng.random(200)
    model = linear.LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-10, max_iter=1000)
    model.fit(np.tile(x, (2, 1)), np.repeat([1, 0], 200), sample_weight=np.concatenate([w * y, w * (1 - y)]))
    found = fit_logistic(list(x.T), y, w[None], np.full(3, 0.3))
    assert np.allclose(found[0], model.coef_[0], atol=1e-6)


def test_a_start_leads_to_the_same_place() -> None:
    """Where the fit begins changes nothing."""
    rng = np.random.default_rng(2)
    columns, y, w = [rng.normal(size=50), np.ones(50)], rng.random(50), np.ones((1, 50))
    near, far = (fit_logistic(columns, y, w, [0.01, 0.01], np.array(at)) for at in ([0.0, 0.0], [4.0, -6.0]))
    assert np.allclose(near, far, atol=1e-8)


def test_separable_outcomes_end() -> None:
    """An unpenalised coefficient that would grow for ever stops; a penalised one finds its place."""
    x, y = np.linspace(-1, 1, 40), (np.linspace(-1, 1, 40) > 0).astype(float)
    (penalised,) = fit_logistic([x], y, np.ones((1, 40)), [0.1])[:, 0]
    (free,) = fit_logistic([np.ones(40)], np.ones(40), np.ones((1, 40)), [0.0])[:, 0]
    assert 5 < penalised < 100
    assert free == 20


def test_sigmoid_does_not_overflow() -> None:
    """Far out it is 0 or 1, without a warning."""
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
