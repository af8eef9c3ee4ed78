"""The two-way variance against loops that spell the formula out, and against scipy and statsmodels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from selkit.stats.variance import (
    Estimate,
    item_variance,
    moments,
    run_variance,
    selector_variances,
)

pytest.importorskip("scipy")


def two_arms(arm: NDArray, control: NDArray, clusters: NDArray | None = None) -> Estimate:
    """The estimate of one comparison in which both arms have their own runs."""
    ours, theirs = moments(arm, clusters), moments(control, clusters)
    groups = arm.shape[-1] if clusters is None else len(set(clusters.tolist()))
    return Estimate(
        effect=ours.runs.mean(-1) - theirs.runs.mean(-1),
        arm_part=run_variance(ours.runs) / arm.shape[-2],
        arm_df=np.asarray(arm.shape[-2] - 1.0),
        control_part=run_variance(theirs.runs) / control.shape[-2],
        control_df=np.asarray(control.shape[-2] - 1.0),
        item_part=item_variance(ours.items - theirs.items, clusters),
        item_df=np.asarray(groups - 1.0),
        residual_part=ours.residual + theirs.residual,
        shared=np.asarray(False),
    )


def spelled_out(arm: list[list[float]], control: list[list[float]], clusters: list[int]) -> tuple[float, float, float]:
    """Effect, V and df of RELIABILITY.md 1.3 in plain loops; without clusters, V_E is the residual mean square."""
    n = len(clusters)
    v_runs, v_residual, terms, means, profiles = 0.0, 0.0, 0.0, [], []
    for scores in (arm, control):
        k = len(scores)
        run_means = [sum(row) / n for row in scores]
        mean = sum(run_means) / k
        profile = [sum(row[i] for row in scores) / k for i in range(n)]
        part = sum((m - mean) ** 2 for m in run_means) / (k - 1) / k
        v_runs += part
        terms += part**2 / (k - 1)
        for row, run_mean in zip(scores, run_means, strict=True):
            sums: dict[int, float] = defaultdict(float)
            for i in range(n):
                sums[clusters[i]] += row[i] - run_mean - profile[i] + mean
            g = len(sums)
            v_residual += g / (g - 1) * sum(value**2 for value in sums.values()) / n**2 / (k * (k - 1))
        means.append(mean)
        profiles.append(profile)
    effect = means[0] - means[1]
    sums = defaultdict(float)
    for i in range(n):
        sums[clusters[i]] += profiles[0][i] - profiles[1][i] - effect
    g = len(sums)
    v_items = g / (g - 1) * sum(value**2 for value in sums.values()) / n**2
    v = max(v_runs + v_items - v_residual, v_runs, v_items)
    df = v**2 / (terms + max(v - v_runs, 0.0) ** 2 / (g - 1))
    return effect, v, df


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[NDArray, NDArray, NDArray]:
    """Scores of two arms as judges give them, and the items' clusters."""
    n = draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = [(draw(st.integers(2, 5)), n) for _ in range(2)]
    arm, control = (rng.integers(0, 5, shape) / 4 for shape in shapes)
    clusters = np.sort(rng.integers(0, draw(st.integers(2, n)), n))
    return arm, control, clusters


@given(comparisons(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_formula_as_loops_spell_it_out(scores: tuple[NDArray, NDArray, NDArray], clustered: bool) -> None:
    """Effect, variance and degrees of freedom are those of the formula, with clusters and without."""
    arm, control, clusters = scores
    groups = clusters if clustered else np.arange(len(clusters))
    if len(set(groups.tolist())) < 2:
        return
    found = two_arms(arm, control, clusters if clustered else None)
    effect, v, df = spelled_out(arm.tolist(), control.tolist(), groups.tolist())
    assert float(found.effect) == pytest.approx(effect, abs=1e-12)
    assert float(found.variance) == pytest.approx(v, abs=1e-12)
    if v > 1e-12:
        assert float(found.df) == pytest.approx(df, rel=1e-6)


@pytest.mark.slow  # loading statsmodels takes seconds
def test_residual_is_the_additive_fit_of_statsmodels() -> None:
    """Without clusters V_E is the mean square of an ordinary least-squares fit of run and item, over n K."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(1)
    scores = rng.random((3, 8))
    run, item = np.indices(scores.shape)
    design = np.hstack([np.eye(3)[run.ravel()], np.eye(8)[item.ravel()][:, 1:]])
    fit = sm.OLS(scores.ravel(), design).fit()
    assert float(moments(scores).residual) == pytest.approx(fit.mse_resid / (8 * 3), rel=1e-10)


def test_welch_where_items_say_nothing() -> None:
    """Where all items of a run score the same, the test is scipy's Welch test on the runs."""
    from scipy import stats

    from selkit.stats.inference import p_value

    rng = np.random.default_rng(2)
    arm, control = rng.random(3), rng.random(6)
    found = two_arms(np.tile(arm[:, None], 10), np.tile(control[:, None], 10))
    welch = stats.ttest_ind(arm, control, equal_var=False)
    assert float(found.df) == pytest.approx(welch.df, rel=1e-9)
    assert float(p_value(found.effect, found.se, found.df)) == pytest.approx(welch.pvalue, rel=1e-9)


def test_paired_t_where_runs_do_not_differ() -> None:
    """Where every run is the same, the test is scipy's paired t over the items."""
    from scipy import stats

    from selkit.stats.inference import p_value

    rng = np.random.default_rng(3)
    arm, control = rng.random(40), rng.random(40)
    found = two_arms(np.tile(arm, (3, 1)), np.tile(control, (5, 1)))
    paired = stats.ttest_rel(arm, control)
    assert float(found.df) == pytest.approx(39, rel=1e-9)
    assert float(p_value(found.effect, found.se, found.df)) == pytest.approx(paired.pvalue, rel=1e-9)


@pytest.mark.slow  # loading statsmodels takes seconds
def test_cluster_variance_is_that_of_statsmodels() -> None:
    """V_I with clusters is statsmodels' cluster-robust variance of the mean difference."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    clusters = np.sort(rng.integers(0, 9, 50))
    difference = rng.normal(size=50) + rng.normal(size=9)[clusters]
    fit = sm.OLS(difference, np.ones(50)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert float(item_variance(difference, clusters)) == pytest.approx(float(fit.bse[0]) ** 2, rel=1e-9)


@given(comparisons(), st.integers(2, 4))
@settings(max_examples=100, deadline=None)
def test_copies_under_one_cluster_change_nothing(scores: tuple[NDArray, NDArray, NDArray], copies: int) -> None:
    """Writing every item several times under its cluster neither narrows nor widens the interval."""
    arm, control, _ = scores
    n = arm.shape[1]
    once = two_arms(arm, control)
    again = two_arms(np.repeat(arm, copies, 1), np.repeat(control, copies, 1), np.repeat(np.arange(n), copies))
    assert float(again.variance) == pytest.approx(float(once.variance), abs=1e-12)
    if float(once.variance) > 1e-12:
        assert float(again.df) == pytest.approx(float(once.df), rel=1e-6)


@given(comparisons())
@settings(max_examples=50, deadline=None)
def test_leading_axes_are_separate_experiments(scores: tuple[NDArray, NDArray, NDArray]) -> None:
    """A stack of experiments gives what each of them gives alone."""
    arm, control, clusters = scores
    if len(set(clusters.tolist())) < 2:
        return
    stacked = two_arms(np.stack([arm, 1 - arm]), np.stack([control, control]), clusters)
    alone = [two_arms(a, control, clusters) for a in (arm, 1 - arm)]
    assert stacked.variance == pytest.approx([float(one.variance) for one in alone])
    assert stacked.effect == pytest.approx([float(one.effect) for one in alone])


def variances(own: list[float], runs: list[int], control: float = 1.0, control_runs: int = 7, pool: bool = True):
    """:func:`selector_variances` of one cell."""
    return selector_variances(np.array(own), np.array(runs), np.array(control), control_runs, pool=pool)


def test_three_selectors_share_their_variance() -> None:
    """From three selectors of two runs on, each is judged with the mean weighted by degrees of freedom."""
    found = variances([1.0, 2.0, 6.0], [3, 3, 5])
    assert found.value == pytest.approx([(2 * 1 + 2 * 2 + 4 * 6) / 8] * 3)
    assert found.df.tolist() == [8, 8, 8]
    assert found.pooled.all()


def test_two_selectors_keep_their_own() -> None:
    """Below three selectors there is no pool, nor where it is switched off."""
    assert variances([1.0, 2.0], [3, 4]).value.tolist() == [1, 2]
    assert variances([1.0, 2.0], [3, 4]).df.tolist() == [2, 3]
    assert variances([1.0, 2.0, 3.0], [3, 3, 3], pool=False).value.tolist() == [1, 2, 3]


def test_a_wild_arm_keeps_its_own() -> None:
    """More than six times the others' median: own variance and a mark; the others still share."""
    found = variances([1.0, 1.0, 6.1], [3, 3, 3])
    assert found.heteroscedastic.tolist() == [False, False, True]
    assert found.value[2] == 6.1
    assert found.df.tolist() == [6, 6, 2]
    assert not variances([1.0, 1.0, 5.9], [3, 3, 3]).heteroscedastic.any()


def test_one_run_borrows() -> None:
    """An arm of one run takes the selectors' variance, however few lend; without any, the control's."""
    found = variances([1.0, float("nan")], [3, 1])
    assert found.value.tolist() == [1, 1]
    assert found.df.tolist() == [2, 2]
    assert found.borrowed.tolist() == [False, True]
    alone = variances([float("nan")], [1], control=0.5, control_runs=4)
    assert (alone.value[0], alone.df[0], alone.from_control[0]) == (0.5, 3, True)


def test_identical_runs_lend_nothing() -> None:
    """An arm whose runs do not differ (an untrained model, greedy) does not pull the others' variance down."""
    found = variances([0.0, 2.0, 4.0, 6.0, float("nan")], [3, 3, 3, 3, 1])
    assert found.value == pytest.approx([4.0] * 5)
    assert found.df[1] == 6


def test_shared_runs_are_not_counted_twice() -> None:
    """A variance borrowed from the control has the control's degrees of freedom, not more."""
    one, three = np.asarray(1e-4), np.asarray(3.0)
    zero = np.asarray(0.0)
    found = Estimate(zero, one, three, one / 4, three, zero, np.asarray(99.0), zero, np.asarray(True))
    assert float(found.df) == pytest.approx(3)
    assert float(found.variance) == pytest.approx(1.25e-4)


def test_more_variance_never_less_than_runs_or_items_alone() -> None:
    """V is never below V_S + V_R, nor below V_I, however large the residual's part."""
    part, df = np.asarray(1e-4), np.asarray(2.0)
    for item in (1e-6, 1e-3):
        found = Estimate(part, part, df, part, df, np.asarray(item), df, np.asarray(1e-2), np.asarray(False))
        assert float(found.variance) == pytest.approx(max(2e-4, item))
