"""Intervals, p values, Holm and power, against scipy, statsmodels and figures computed elsewhere."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import MissingExtra
from selkit.stats import inference
from selkit.stats.variance import Estimate

pytest.importorskip("scipy")


def planned(n: int, seed_sd: float, k: int, control_k: int) -> Estimate:
    """The expected estimate of RELIABILITY.md's plan: residual sd .25 per item, differences of items sd .20."""
    run = (seed_sd / 100) ** 2 + 0.25**2 / n
    residual = 0.25**2 / n * (1 / k + 1 / control_k)
    values = (0.0, run / k, k - 1.0, run / control_k, control_k - 1.0, 0.2**2 / n + residual, n - 1.0, residual)
    return Estimate(*(np.asarray(value) for value in values), np.asarray(False))


@pytest.mark.parametrize(
    ("n", "seed_sd", "k", "control_k", "points"),
    [(300, 0.5, 3, 3, 5.1), (805, 1, 3, 3, 4.1), (805, 1, 3, 9, 3.6), (805, 2, 5, 10, 4.2), (3000, 2, 5, 10, 3.7)],
)
def test_detectable_effects_of_the_plan(n: int, seed_sd: float, k: int, control_k: int, points: float) -> None:
    """The table of detectable effects in RELIABILITY.md 1.3 comes out to its one decimal."""
    plan = planned(n, seed_sd, k, control_k)
    assert 100 * float(inference.detectable(plan.se, plan.df, 0.05)) == pytest.approx(points, abs=0.06)


def test_student_t_with_broken_degrees_of_freedom() -> None:
    """Quantiles and p values are those of scipy.stats.t, also between whole degrees of freedom."""
    from scipy import stats

    df = np.array([1.0, 2.5, 13.7, 400.2])
    assert inference.quantile(0.975, df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-9)
    p = inference.p_value(np.full(4, -0.02), np.full(4, 0.01), df)
    assert p == pytest.approx(2 * stats.t.sf(2, df), rel=1e-9)
    width = inference.half_width(np.full(4, 0.01), df, 0.9)
    assert width == pytest.approx(0.01 * stats.t.ppf(0.95, df), rel=1e-9)


def test_no_standard_error_no_claim() -> None:
    """A zero standard error gives no p, no interval and no detectable effect, rather than certainty."""
    zero, one = np.zeros(1), np.ones(1)
    assert np.isnan(inference.p_value(one, zero, one)).all()
    assert np.isnan(inference.half_width(zero, one, 0.95)).all()
    assert np.isnan(inference.detectable(zero, one, 0.05)).all()


@pytest.mark.slow  # loading statsmodels takes seconds
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    """Adjusted p values are those of statsmodels."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert inference.holm(np.array(p)) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_a_missing_p_counts_in_the_family() -> None:
    """What could not be tested was planned all the same, so the others pay for it."""
    adjusted = inference.holm(np.array([0.01, np.nan, 0.04]))
    assert adjusted[[0, 2]] == pytest.approx([0.03, 0.08])
    assert np.isnan(adjusted[1])


def mde(n: int, seed_sd: float, k: int, control_k: int) -> float:
    """The detectable effect of a plan."""
    plan = planned(n, seed_sd, k, control_k)
    return float(inference.detectable(plan.se, plan.df, 0.05))


def test_runs_that_settle() -> None:
    """The proposed runs reach the target by the plan's own table, and one run fewer does not."""
    runs = inference.Plan(planned(805, 2, 3, 3), 3, 3, 805, 0.03, 0.05).more_runs()
    assert runs is not None
    assert mde(805, 2, runs, runs) <= 0.03 < mde(805, 2, runs - 1, runs - 1)


def test_items_that_settle() -> None:
    """The proposed items reach the target by the plan's own table, and a few items fewer do not."""
    items = inference.Plan(planned(300, 0.5, 3, 9), 3, 9, 300, 0.03, 0.05).more_items()
    assert items is not None
    assert mde(items + 2, 0.5, 3, 9) <= 0.03 < mde(items - 2, 0.5, 3, 9)


def test_what_cannot_settle_alone() -> None:
    """More items do not help where runs differ too much, nor more runs where items do; both together do."""
    assert inference.Plan(planned(3000, 2, 3, 3), 3, 3, 3000, 0.02, 0.05).more_items() is None
    plan = inference.Plan(planned(100, 2, 3, 3), 3, 3, 100, 0.02, 0.05)
    assert (plan.more_runs(), plan.more_items()) == (None, None)
    both = plan.more_of_both()
    assert both is not None
    runs, items = both
    assert mde(items, 2, runs, runs) <= 0.02 < mde(items - 100, 2, runs - 3, runs - 3)


def test_a_borrowed_variance_becomes_the_arms_own() -> None:
    """Planning from one run against four counts the degrees of freedom that the planned runs will have."""
    one = planned(2000, 1, 1, 4)
    borrowed = replace(one, arm_df=np.asarray(3.0), shared=np.asarray(True))
    runs = inference.Plan(borrowed, 1, 4, 2000, 0.02, 0.05).more_runs()
    assert runs is not None
    assert mde(2000, 1, runs, max(runs, 4)) <= 0.02 < mde(2000, 1, runs - 1, max(runs - 1, 4))


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scipy is not installed the error says how to get it."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra, match=r"selkit-eval\[eval\]"):
        inference.quantile(0.9, 3.0)
