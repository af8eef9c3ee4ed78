"""What the grid says beyond single verdicts: expectations elsewhere, agreement of benchmarks, signal to noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from selkit.stats import Rules, ScoreTable, Study, equal_weights, study
from selkit.stats.agreement import detectable_tau, kendall
from selkit.stats.pooling import pool_effects

pytest.importorskip("scipy")
pytest.importorskip("statsmodels")

# Effects and variances of the thirteen BCG vaccine trials (log risk ratios) that R's metafor ships, from the published
# counts: vaccinated cases and others, unvaccinated cases and others.
BCG = [
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
    (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232), (17, 1699, 65, 1600),
    (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
]  # fmt: skip


def bcg() -> tuple[NDArray, NDArray]:
    """Log risk ratios and their variances."""
    a, b, c, d = np.array(BCG, dtype=float).T
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_hartung_knapp_as_r_has_it() -> None:
    """The BCG trials: Q, tau^2 and mean as R's metafor gives them, with Knapp and Hartung's standard error."""
    effects, variances = bcg()
    found = pool_effects(effects, variances)
    assert found.q == pytest.approx(152.2330, abs=1e-3)
    assert found.q_p < 1e-4
    # metafor: rma(yi, vi, method="PM") gives tau^2 0.3181 and -0.7150; the spread's scale is then 1.
    assert found.tau**2 == pytest.approx(0.3181, abs=5e-4)
    assert found.effect == pytest.approx(-0.7150, abs=5e-4)
    weights = 1 / (variances + found.tau**2)
    scale = (weights * (effects - found.effect) ** 2).sum() / 12
    assert found.se == pytest.approx(np.sqrt(scale / weights.sum()))
    assert found.df == pytest.approx(12)


def test_prediction_interval() -> None:
    """mean +- t[k-2] sqrt(tau^2 + se^2), None under three places; the chance comes from the same distribution."""
    from scipy import stats

    effects, variances = bcg()
    found = pool_effects(effects, variances)
    half = stats.t.ppf(0.975, 11) * np.sqrt(found.tau**2 + found.se**2)
    assert found.prediction() == pytest.approx((found.effect - half, found.effect + half))
    chance = stats.t.cdf(found.effect / np.sqrt(found.tau**2 + found.se**2), 11)
    assert found.chance_better() == pytest.approx(chance)
    two = pool_effects(effects[:2], variances[:2])
    assert two.prediction() is None
    assert two.chance_better() is None


def test_an_error_that_all_places_share_does_not_average_out() -> None:
    """However many places, the standard error stays above that of the common error."""
    rng = np.random.default_rng(1)
    effects = 0.02 + rng.normal(0, 0.002, 30)
    alone = pool_effects(effects, np.full(30, 0.002**2))
    common = pool_effects(effects, np.full(30, 0.002**2), 0.007**2, 804.0)
    assert alone.se < 0.001
    assert common.se == pytest.approx(np.hypot(alone.se, 0.007))
    assert common.df > 500


@pytest.mark.parametrize(("places", "shared"), [(6, 0.2), (3, 0.03), (2, 0.03)])
def test_pooling_shared_items_keeps_its_error_rate(places: int, shared: float) -> None:
    """Pools on one test set, no effect: at most about 5% are significant, where items taken for independent give more;
    two or three that agree by chance are not taken for sure."""
    from selkit.stats.heterogeneity import common_variance

    rng = np.random.default_rng(2)
    n, wrong, naive = 200, [], []
    for _ in range(600):
        suits = rng.normal(0, shared, n)
        noise = rng.normal(0, 0.1, (places, n))
        runs = rng.normal(0, 0.007, places)
        shares = [(suits + own - (suits + own).mean()) / n for own in noise]
        effects = suits.mean() + noise.mean(1) + runs
        items = np.array([(share**2).sum() * n / (n - 1) for share in shares])
        common = common_variance([[(np.arange(n), share) for share in shares]])
        found = pool_effects(effects, np.maximum(items - common, 1e-9) + 0.007**2, common, n - 1.0)
        wrong.append(found.p < 0.05)
        naive.append(pool_effects(effects, items + 0.007**2).p < 0.05)
    assert (0.02 if places == 6 else 0) <= np.mean(wrong) <= 0.08
    assert places < 6 or np.mean(naive) > 0.2


@pytest.fixture
def table(columns: Callable, joined: Callable) -> Callable[..., ScoreTable]:
    """A table over pools, budgets and benchmarks, with each arm's effect in points by benchmark."""

    def build(
        effects: dict[str, dict[str, float]],
        pools: tuple[str, ...] = ("p",),
        budgets: tuple[int, ...] = (100,),
        seed: int = 0,
        shift: float = 0.0,
    ) -> ScoreTable:
        rng = np.random.default_rng(seed)
        benchmarks = next(iter(effects.values()))
        item = {name: rng.uniform(0.3, 0.7, 60) for name in benchmarks}
        parts = []
        for place, (pool, budget) in enumerate(product(pools, budgets)):
            for name in benchmarks:
                arms = {"random": np.zeros(5)} | {arm: np.zeros(3) for arm in effects}
                data = {
                    arm: np.clip(
                        item[name]
                        + (effects[arm][name] + shift * place * (-1) ** place if arm != "random" else 0) / 100
                        + rng.normal(0, 0.005, (len(runs), 1))
                        + rng.normal(0, 0.05, (len(runs), 60)),
                        0,
                        1,
                    )
                    for arm, runs in arms.items()
                }
                parts.append(columns(data, name, pool=pool, budget=budget))
        return ScoreTable.from_columns(joined(*parts))

    return build


def looked_at(table: ScoreTable) -> Study:
    """Everything that a table says."""
    return study(table, Rules(weights=equal_weights(table.benchmarks)))


FIVE = {f"s{k}": {"x": 3.0 * k, "y": 3.0 * k, "z": -3.0 * k} for k in range(5)}


def test_over_pools_and_budgets(table: Callable) -> None:
    """Every axis that varies is pooled, with what stays the same named, and the mean near the truth."""
    found = looked_at(table({"up": {"x": 4.0}}, pools=("a", "b", "c"), budgets=(100, 200)))
    places = [(row.over, row.pool, row.budget, row.places) for row in found.pooled]
    assert places == [
        ("pools and budgets", None, None, 6),
        ("pools", None, 100, 3), ("pools", None, 200, 3),
        ("budgets", "a", None, 2), ("budgets", "b", None, 2), ("budgets", "c", None, 2),
    ]  # fmt: skip
    whole = found.pooled[0]
    assert whole.ci_low < 4 < whole.ci_high
    assert whole.predicted_low < whole.ci_low
    assert whole.chance_better > 0.95
    assert whole.better == 6
    assert found.pooled[3].predicted_low is None


def test_pools_that_differ_widen_what_to_expect(table: Callable) -> None:
    """Where the effect changes from pool to pool, the prediction interval holds both signs and tau shows why."""
    same = looked_at(table({"up": {"x": 2.0}}, pools=tuple("abcdef"))).pooled[0]
    apart = looked_at(table({"up": {"x": 2.0}}, pools=tuple("abcdef"), shift=2.0)).pooled[0]
    assert same.tau < 1 < apart.tau
    assert same.predicted_low > 0
    assert apart.predicted_low < 0 < apart.predicted_high


def test_expectations_reach_no_further_than_differences(columns: Callable, joined: Callable) -> None:
    """Three pools far apart: mean and prediction end at 100 points to both sides."""
    means = {"a": (0.9, 0.1), "b": (0.1, 0.8), "c": (0.9, 0.3)}
    rng = np.random.default_rng(1)
    parts = [
        columns({"up": rng.uniform(0, 0.1, (3, 9)) + up, "random": rng.uniform(0, 0.1, (5, 9)) + control}, pool=pool)
        for pool, (up, control) in means.items()
    ]
    (row,) = study(ScoreTable.from_columns(joined(*parts)), Rules()).pooled
    assert (row.ci_low, row.ci_high, row.predicted_low, row.predicted_high) == (-100, 100, -100, 100)


def test_one_place_is_not_pooled(table: Callable, columns: Callable, joined: Callable) -> None:
    """One pool and budget gives no expectation; nor does an arm that stands in all places with the same runs."""
    assert looked_at(table({"up": {"x": 2.0}})).pooled == []
    rng = np.random.default_rng(3)
    parts = [columns({"random": rng.uniform(0.4, 0.6, (5, 30))}, pool=pool) for pool in "ab"]
    everywhere = columns({"base": rng.uniform(0.4, 0.6, (3, 30))})
    assert looked_at(ScoreTable.from_columns(joined(*parts, everywhere))).pooled == []


def test_benchmarks_that_agree_and_one_that_does_not(table: Callable) -> None:
    """x and y order five arms alike, z the other way round; tau and p are scipy's."""
    found = looked_at(table(FIVE)).agreement
    taus = {(row.first, row.second): row for row in found}
    assert {pair: round(row.tau, 9) for pair, row in taus.items()} == {("x", "y"): 1, ("x", "z"): -1, ("y", "z"): -1}
    row = taus["x", "y"]
    assert row.p == pytest.approx(2 / 120)
    assert row.points == 5
    assert row.ci_low <= 1 == pytest.approx(row.ci_high)
    assert row.detectable == 1
    assert 0 < row.mde_first < 10


def test_agreement_over_all_places_comes_first(table: Callable) -> None:
    """With two pools the arms of both are ordered together, then each pool by itself."""
    two = {arm: {"x": effects["x"], "y": effects["y"]} for arm, effects in FIVE.items()}
    rows = looked_at(table(two, pools=("a", "b"))).agreement
    assert [(row.pool, row.points) for row in rows] == [(None, 10), ("a", 5), ("b", 5)]
    few = {arm: two[arm] for arm in ("s0", "s1")}
    assert looked_at(table(few)).agreement == []


def test_what_nothing_possible_would_be_found_by_is_not_detectable(columns: Callable, joined: Callable) -> None:
    """Two benchmarks of two items and wild runs: beside their tau stands no difference that they would detect."""
    rng = np.random.default_rng(2)
    arms = {name: rng.uniform(0, 1, (2, 2)) for name in ("a", "b", "c", "random")}
    parts = [columns(arms, "x"), columns({name: 0.4 + 0.01 * scores for name, scores in arms.items()}, "y")]
    (row,) = study(ScoreTable.from_columns(joined(*parts)), Rules()).agreement
    assert row.mde_first is None
    assert 0 < row.mde_second < 10


def test_noise_alone_makes_a_wide_interval(table: Callable) -> None:
    """Arms that do not differ have no order to agree on: the interval spans 0 and most of the range."""
    null = {f"s{k}": {"x": 0.0, "y": 0.0} for k in range(6)}
    (row,) = looked_at(table(null, seed=4)).agreement
    assert row.ci_low < 0 < row.ci_high
    assert row.ci_high - row.ci_low > 0.6


@pytest.mark.parametrize(("points", "expected"), [(3, None), (4, None), (5, 1.0), (6, 13 / 15), (10, 23 / 45)])
def test_detectable_tau(points: int, expected: float | None) -> None:
    """The critical values of Kendall's tables at a two-sided 5%; with five arms only a perfect order will do."""
    assert detectable_tau(points, 0.05) == (None if expected is None else pytest.approx(expected))


def test_constant_differences_have_no_tau() -> None:
    """Where all arms are alike there is no order, and no number is made up."""
    assert kendall(np.zeros(4), np.arange(4.0)) == (None, None)


def test_lora_against_full_fine_tuning(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """Recipes that order the arms alike or not, with the pair marked in which one trains adapters."""
    order = {"sets-1": [0.3, 0.4, 0.6, 0.7], "sets-2": [0.32, 0.42, 0.62, 0.72], "sets-4-lora": [0.7, 0.6, 0.4, 0.3]}
    parts = []
    for place, (recipe, means) in enumerate(order.items()):
        arms = {f"s{k}": noisy(mean, 3, 40, seed=10 * place + k) for k, mean in enumerate(means)}
        parts.append(columns(arms | {"random": noisy(0.5, 5, 40, seed=10 * place + 9)}, recipe=recipe))
    rows = looked_at(ScoreTable.from_columns(joined(*parts))).recipe_agreement
    assert [(row.first, row.second, round(row.tau, 9), row.lora) for row in rows] == [
        ("sets-1", "sets-2", 1, False),
        ("sets-1", "sets-4-lora", -1, True),
        ("sets-2", "sets-4-lora", -1, True),
    ]
    assert {row.benchmark for row in rows} == {"bench"}


def test_signal_to_noise(table: Callable, columns: Callable, joined: Callable) -> None:
    """Best arm less worst over the standard deviation of random's runs; under 2 it is marked."""
    rng = np.random.default_rng(5)
    item = np.linspace(0.3, 0.5, 20)
    runs = np.array([-0.02, 0.0, 0.02])[:, None]
    arms = {"a": item + 0.05 + runs, "b": item - 0.05 + runs, "random": item + runs}
    quiet = {"a": item + 0.01 + runs, "b": item + runs, "random": item + runs}
    scores = ScoreTable.from_columns(joined(columns(arms, "loud"), columns(quiet, "quiet")))
    rows = {row.benchmark: row for row in study(scores, Rules()).signal}
    assert (rows["loud"].signal, rows["loud"].noise, rows["loud"].ratio) == pytest.approx((10, 2, 5))
    assert (rows["loud"].informative, rows["quiet"].informative) == (True, False)
    assert rows["quiet"].ratio == pytest.approx(0.5)
    untrained = ScoreTable.from_columns(columns(arms | {"base": item - 0.2 + runs}))
    assert study(untrained, Rules()).signal[0].signal == pytest.approx(25)
    (chosen,) = study(untrained, Rules(everywhere=("base",))).signal
    assert (chosen.signal, chosen.selectors) == (pytest.approx(10), 2), "who chose nothing is no selector"
    one = ScoreTable.from_columns(columns({"a": rng.uniform(0, 1, (3, 20)), "random": rng.uniform(0, 1, (3, 20))}))
    assert study(one, Rules()).signal == []


def test_the_secondary_family_has_scipys_false_discovery_rate(table: Callable) -> None:
    """Benchmarks beside a composite carry Benjamini and Hochberg's p; the composite does not."""
    from scipy import stats

    rows = looked_at(table(FIVE)).verdicts
    secondary = [row for row in rows if row.family == "secondary"]
    assert len(secondary) == 15
    expected = stats.false_discovery_control([row.p for row in secondary])
    assert [row.p_bh for row in secondary] == pytest.approx(expected)
    assert all(row.p <= row.p_bh <= row.p_holm + 1e-12 for row in secondary)
    assert {row.p_bh for row in rows if row.benchmark == "composite"} == {None}


def test_json_has_every_table_and_no_nan(table: Callable) -> None:
    """The whole study is valid JSON, whatever the data do not allow being null or an empty list."""
    for scores in (table(FIVE, pools=("a", "b", "c")), table({"up": {"x": 1.0}})):
        document = json.loads(json.dumps(looked_at(scores).to_json(), allow_nan=False))
        names = "schema_version verdicts recipes flips adapters pooled agreement recipe_agreement signal permutation"
        assert list(document) == names.split()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_whatever_the_scores_nothing_is_made_up(seed: int) -> None:
    """Small tables of every shape, constant and full of ties: valid JSON, no error, never a zero standard error."""
    rng = np.random.default_rng(seed)
    recipes, pools, budgets, benchmarks, items = (int(rng.integers(1, top)) for top in (4, 4, 3, 3, 8))
    arms = {"random": int(rng.integers(1, 6))} | {f"s{k}": int(rng.integers(1, 4)) for k in range(rng.integers(1, 4))}
    draw = [lambda: 0.5, lambda: float(rng.integers(0, 2)), lambda: float(rng.integers(0, 5)) / 4, rng.random]
    score = draw[int(rng.integers(0, 4))]
    rows = [
        (arm, run, item, f"b{benchmark}", score(), f"r{recipe}", f"p{pool}", budget)
        for recipe, pool, budget, benchmark in product(*map(range, (recipes, pools, budgets, benchmarks)))
        for arm, runs in arms.items()
        for run in range(runs)
        if rng.random() > 0.03
        for item in range(items)
    ]
    names = ("arm", "run", "item", "benchmark", "score", "recipe", "pool", "budget")
    found = dict(zip(names, zip(*rows, strict=True), strict=True))
    if "random" not in found["arm"]:
        return
    result = looked_at(ScoreTable.from_columns(found))
    json.dumps(result.to_json(), allow_nan=False)
    assert all(row.se is None or row.se > 0 for row in result.verdicts)
    assert all(row.ci_low is None or row.ci_low < row.ci_high for row in result.pooled)


def test_base_models_are_kept_apart(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """A verdict, what to expect elsewhere and signal for each; over all of them only where benchmarks agree. An arm
    without a model stands beside every one."""
    parts = [
        columns({"random": noisy(0.5, 5, 40, seed=1 + k), "a": noisy(0.6, 3, 40, seed=9 + k)}, pool=pool, model=model)
        for k, (pool, model) in enumerate(product(("p", "q"), ("small", "large")))
    ]
    given = columns({"base": noisy(0.4, 1, 40, seed=30)}, pool=None, model=None)
    found = looked_at(ScoreTable.from_columns(joined(*parts, given)))
    assert sorted((row.arm, row.pool, row.model) for row in found.verdicts) == sorted(
        product(("a", "base"), ("p", "q"), ("small", "large"))
    )
    assert {row.family_size for row in found.verdicts} == {8}
    assert sorted((row.arm, row.model, row.over) for row in found.pooled) == [
        ("a", "large", "pools"),
        ("a", "small", "pools"),
    ]
    alone = looked_at(ScoreTable.from_columns(joined(parts[0], parts[2])))
    (first, _), (again, _) = (
        [row for row in one.verdicts if (row.arm, row.model) == ("a", "small")] for one in (alone, found)
    )
    assert (first.effect, first.se, first.p) == (again.effect, again.se, again.p)
