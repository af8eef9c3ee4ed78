"""Recipes as blocks: one verdict over all of them, which conclusions flip, and how many would by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selkit.stats import Gap, Rules, ScoreTable, Study, compare, equal_weights, sentence, study
from selkit.stats.heterogeneity import (
    chance_of_flip,
    common_variance,
    expected_flip_share,
    flip_share,
    heterogeneity,
)

pytest.importorskip("scipy")

Grid = dict[str, dict[str, NDArray]]


@pytest.fixture
def grid(columns: Callable, joined: Callable) -> Callable[..., ScoreTable]:
    """A table from matrices (run x item) by recipe and arm."""

    def build(recipes: Grid, **constant: Any) -> ScoreTable:
        return ScoreTable.from_columns(
            joined(*(columns(arms, recipe=recipe, **constant) for recipe, arms in recipes.items()))
        )

    return build


def drawn(effects: dict[str, float], *, seed: int, runs: int = 3, control_runs: int = 5, items: int = 80) -> Grid:
    """One arm against random under each recipe, ``effects`` in points; items suit the arm alike under all of them."""
    rng = np.random.default_rng(seed)
    item, suits = rng.uniform(0.35, 0.65, items), rng.normal(0, 0.05, items)

    def arm(k: int, mean: float, own: NDArray) -> NDArray:
        noise = rng.normal(0, 0.01, (k, 1)) + rng.normal(0, 0.05, (k, items))
        return np.clip(item + own + mean / 100 + noise, 0, 1)

    return {
        recipe: {"arm": arm(runs, effect, suits - suits.mean()), "random": arm(control_runs, 0.0, 0 * suits)}
        for recipe, effect in effects.items()
    }


def test_the_mean_over_recipes_in_loops(grid: Callable) -> None:
    """Runs are averaged over the recipes, and so are the items' differences, before anything is squared."""
    data = drawn({"a": 2.0, "b": 1.0, "c": 3.0}, seed=1)
    (row,) = compare(grid(data))
    runs = {arm: np.mean([data[r][arm].mean(1) for r in data], axis=0) for arm in ("arm", "random")}
    differences = np.mean([data[r]["arm"].mean(0) - data[r]["random"].mean(0) for r in data], axis=0)
    n = differences.size
    v_runs = sum(values.var(ddof=1) / values.size for values in runs.values())
    v_items = differences.var(ddof=1) / n
    v_residual = 0.0
    for arms in data.values():
        for scores in arms.values():
            k = len(scores)
            left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
            v_residual += (left**2).sum() / ((k - 1) * (n - 1)) / (n * k) / len(data) ** 2
    v = max(v_runs + v_items - v_residual, v_runs, v_items)
    assert row.effect == pytest.approx(100 * (runs["arm"].mean() - runs["random"].mean()))
    assert row.se == pytest.approx(100 * np.sqrt(v))
    assert row.run_sd == pytest.approx(100 * runs["arm"].std(ddof=1))
    assert (row.recipe, row.recipes, row.recipes_alike, row.items, row.runs) == (None, 3, 3, n, 3)
    assert sentence(row).endswith(", in 3 of 3 recipes")


def test_the_same_recipe_twice_says_nothing_new(grid: Callable) -> None:
    """A recipe that repeats another one's scores does not narrow the interval: its runs are the same draws."""
    data = drawn({"a": 2.0}, seed=2)
    (once,) = compare(grid(data))
    (twice,) = compare(grid({"a": data["a"], "b": data["a"]}))
    assert (twice.effect, twice.run_sd) == pytest.approx((once.effect, once.run_sd))
    # V_E, which is taken off, is found recipe by recipe; of residuals that are the same it takes off too little.
    assert once.se <= twice.se <= 1.2 * once.se


def test_runs_with_names_of_their_own(columns: Callable, joined: Callable) -> None:
    """Where no run comes in two recipes they are matched by order; where some lack, the verdict is INCOMPLETE."""
    data = drawn({"a": 2.0, "b": 2.0}, seed=3)
    parts = [columns(arms, recipe=recipe) for recipe, arms in data.items()]
    (matched,) = compare(ScoreTable.from_columns(joined(*parts)))
    parts[1]["run"] = [run + 10 for run in parts[1]["run"]]
    (renamed,) = compare(ScoreTable.from_columns(joined(*parts)))
    assert (renamed.se, renamed.effect) == pytest.approx((matched.se, matched.effect))
    data["b"]["random"] = data["b"]["random"][:4]
    (short,) = compare(ScoreTable.from_columns(joined(*(columns(arms, recipe=r) for r, arms in data.items()))))
    assert str(short.verdict) == "INCOMPLETE"
    assert "run 4 of random has no scores on bench with recipe b" in short.reason


def test_the_untrained_model_stands_in_every_recipe(columns: Callable, joined: Callable) -> None:
    """An arm without a recipe is compared under each, and its runs count once."""
    data = drawn({"a": 0.0, "b": 0.0}, seed=4)
    base = {"base": np.clip(data["a"]["arm"] - 0.2, 0, 1)}
    parts = [*(columns(arms, recipe=recipe) for recipe, arms in data.items()), columns(base)]
    rows = {row.arm: row for row in compare(ScoreTable.from_columns(joined(*parts)))}
    assert str(rows["base"].verdict) == "WORSE"
    assert rows["base"].run_sd == pytest.approx(100 * base["base"].mean(1).std(ddof=1))


def looked_at(table: ScoreTable) -> Study:
    """Everything that a table says."""
    return study(table, Rules(weights=equal_weights(table.benchmarks)))


def test_a_recipe_that_turns_the_conclusion_round(grid: Callable) -> None:
    """Better under two recipes and worse under one: flipped, far beyond chance, and the recipes' rows show it."""
    pytest.importorskip("statsmodels")
    found = looked_at(grid(drawn({"a": 6.0, "b": 5.0, "c": -6.0}, seed=5)))
    (row,) = found.flips
    assert (row.recipes, row.better, row.worse, row.share) == (3, 2, 1, pytest.approx(1 / 3))
    assert row.flips
    assert row.opposite
    assert row.q_p < 0.001
    assert row.interaction_p_holm < 0.01
    assert row.chance_share < row.share
    assert [(one.recipe, one.effect > 0) for one in found.recipes] == [("a", True), ("b", True), ("c", False)]


def test_an_effect_that_holds_under_every_recipe(grid: Callable) -> None:
    """No flip is claimed where the difference is the same."""
    pytest.importorskip("statsmodels")
    (row,) = looked_at(grid(drawn({"a": 3.0, "b": 3.0, "c": 3.0, "d": 3.0}, seed=6))).flips
    assert (row.better, row.worse, row.share) == (4, 0, 0.0)
    assert not row.flips
    assert row.q_p > 0.05


def test_a_flip_that_chance_gives_is_not_claimed(grid: Callable) -> None:
    """Of small differences one recipe shows the other sign: it is counted, chance gives as much, nothing is claimed."""
    pytest.importorskip("statsmodels")
    (row,) = looked_at(grid(drawn({"a": 0.3, "b": 0.2, "c": -0.4}, seed=9))).flips
    assert row.share > 0
    assert not row.flips
    assert row.chance_share > 0.1


def test_relabelling_turns_flips_round(grid: Callable) -> None:
    """With arm and control exchanged the effects change their sign and nothing else does."""
    pytest.importorskip("statsmodels")
    table = grid(drawn({"a": 6.0, "b": 1.0, "c": -2.0}, seed=7))
    (there,), (back,) = (study(table, Rules(control=name)).flips for name in ("random", "arm"))
    assert there.effect == pytest.approx(-back.effect)
    assert (there.better, there.worse) == (back.worse, back.better)
    for name in ("share", "chance_share", "chance", "q", "i2", "interaction_p", "flips"):
        assert getattr(there, name) == pytest.approx(getattr(back, name)), name


def test_one_recipe_has_no_flips(grid: Callable) -> None:
    """With a single recipe there is nothing to say about recipes, and the row names it."""
    found = looked_at(grid(drawn({"a": 3.0}, seed=8)))
    assert (found.flips, found.recipes, found.recipe_agreement) == ([], [], [])
    assert (found.verdicts[0].recipe, found.verdicts[0].recipes_alike) == ("a", None)


def test_a_recipe_without_variance_is_counted_and_named(grid: Callable) -> None:
    """An arm that does not vary under one recipe stays: its sign counts, the tests rest on the others, and why."""
    pytest.importorskip("statsmodels")
    data = drawn({"a": 3.0, "b": 3.0, "c": 3.0}, seed=6)
    (whole,) = looked_at(grid({name: data[name] for name in "ab"})).flips
    data["c"] = {"arm": np.full((3, 80), 0.25), "random": np.full((5, 80), 0.75)}
    found = looked_at(grid(data))
    (row,) = found.flips
    assert (row.recipes, row.better, row.worse, row.share) == (3, 2, 1, pytest.approx(1 / 3))
    assert row.reason == "c: the scores do not vary"
    for name in ("q", "q_df", "interaction_p", "effect", "chance_share", "flips"):
        assert getattr(row, name) == pytest.approx(getattr(whole, name)), name
    last = found.recipes[-1]
    assert (last.recipe, last.effect, last.ci_low, last.ci_high, last.p) == ("c", -50, None, None, None)
    assert last.reason == "the scores do not vary"
    assert [one.reason for one in found.recipes[:-1]] == ["", ""]


def test_recipes_that_leave_nothing_to_test_are_named(grid: Callable) -> None:
    """Of two recipes one without variance: the signs are there, no test is, and whether they flip is not known."""
    pytest.importorskip("statsmodels")
    data = drawn({"a": 3.0}, seed=6)
    data["b"] = {"arm": np.full((3, 80), 0.25), "random": np.full((5, 80), 0.75)}
    (row,) = looked_at(grid(data)).flips
    assert (row.recipes, row.better, row.worse, row.share, row.flips) == (2, 1, 1, 0.5, None)
    assert row.q is row.interaction_p is row.interaction_p_holm is row.effect is row.chance_share is None
    assert row.reason == "b: the scores do not vary"


@pytest.mark.parametrize("lost", ["random", "arm"])
def test_a_recipe_of_which_nothing_is_left_makes_the_verdict_incomplete(grid: Callable, lost: str) -> None:
    """The verdict was to be on the mean over both; a gap of another place, or of an arm beside, changes nothing."""
    table = grid({"a": drawn({"a": 9.0}, seed=8)["a"]}, pool="p")
    gap = Gap(lost, "run 1 failed (it diverged)", pool="p", recipe="wild")
    (row,) = compare(table, gaps=[gap])
    assert row.verdict == "INCOMPLETE"
    assert row.reason == (f"{lost}: run 1 failed (it diverged) under wild, which has no scores, so nothing is claimed")
    elsewhere = Gap(lost, "run 1 failed", pool="other", recipe="wild")
    assert [row.verdict for row in compare(table, gaps=[elsewhere])] == ["BEATS"]


def test_a_recipe_that_an_arm_lacks_is_named(columns: Callable, joined: Callable) -> None:
    """Of an arm without scores, or without all runs, under a recipe the tables say so, and count the others."""
    pytest.importorskip("statsmodels")
    data = drawn({"a": 3.0, "b": 3.0}, seed=7)
    data["a"]["second"] = data["a"]["arm"]
    first = columns(data["a"], recipe="a")
    part = ScoreTable.from_columns(joined(first, columns(data["b"], recipe="b")))
    gap = Gap("arm", "run 2 failed (out of memory)", recipe="b")
    found = study(part, Rules(gaps=[gap]))
    rows = {row.arm: row for row in found.flips}
    assert rows["second"].reason == "b: second: no scores under this recipe"
    assert rows["arm"].reason == "b: arm: run 2 failed (out of memory)"
    assert [(row.recipes, row.better, row.flips) for row in rows.values()] == [(1, 1, None), (1, 1, None)]
    known = {(row.arm, row.recipe): (row.effect is None, row.ci_low is None) for row in found.recipes}
    assert known == {
        ("arm", "a"): (False, False),
        ("arm", "b"): (False, True),
        ("second", "a"): (False, False),
        ("second", "b"): (True, True),
    }


@pytest.mark.parametrize(("se", "share"), [(0.05, 0.34), (0.013, 0.06)])
def test_chance_flips_of_call_for_rigor(se: float, share: float) -> None:
    """16 settings with a true difference of 2 points: 34% flip by chance at a standard error of 5, 6% at 1.3."""
    assert chance_of_flip(0.02, np.full(16, se)) == pytest.approx(share, abs=0.005)


def test_expected_flips_are_what_chance_gives() -> None:
    """The exact mean of min(below, above) / R is that of many draws, also where standard errors differ."""
    rng = np.random.default_rng(1)
    se = np.array([0.01, 0.02, 0.05, 0.03, 0.015])
    draws = rng.normal(0.01, se, (40_000, 5))
    simulated = np.mean([flip_share(draw) for draw in draws])
    assert expected_flip_share(0.01, se) == pytest.approx(simulated, abs=0.005)
    assert expected_flip_share(-0.01, se) == pytest.approx(expected_flip_share(0.01, se))
    assert expected_flip_share(0.5, se) == pytest.approx(0, abs=1e-9)


def test_cochran_and_welch_are_the_libraries() -> None:
    """Q is the textbook sum, its p that of scipy's chi-square; Welch's test on run means is the interaction's."""
    pytest.importorskip("statsmodels")
    from scipy import stats
    from statsmodels.stats.oneway import anova_oneway

    rng = np.random.default_rng(2)
    samples = [rng.normal(mean, sd, 6) for mean, sd in ((0, 1), (1, 2), (2, 1.5))]
    effects = np.array([sample.mean() for sample in samples])
    variances = np.array([sample.var(ddof=1) / 6 for sample in samples])
    found = heterogeneity(effects, variances, np.full(3, 5.0))
    mean = np.average(effects, weights=1 / variances)
    q = ((effects - mean) ** 2 / variances).sum()
    assert found.q == pytest.approx(q)
    assert found.q_p == pytest.approx(stats.chi2.sf(q, 2))
    assert found.interaction_p == pytest.approx(anova_oneway(samples, use_var="unequal").pvalue)


def test_the_common_variance_is_that_of_the_common_part() -> None:
    """Estimates on the same items share what the items do to all of them; on other items they share nothing."""
    rng = np.random.default_rng(3)
    n, count = 4000, 6
    same = rng.normal(0, 0.2, n)
    shares = [(same + rng.normal(0, 0.1, n)) / n for _ in range(count)]
    shares = [share - share.mean() for share in shares]
    names = np.arange(n)
    assert common_variance([[(names, share) for share in shares]]) == pytest.approx(0.2**2 / n, rel=0.06)
    apart = [(names + n * place, share) for place, share in enumerate(shares)]
    assert common_variance([apart]) == pytest.approx(0, abs=1e-12)


def test_identical_estimates_disagree_about_nothing() -> None:
    """Estimates that agree exactly have no heterogeneity, and no warning is given."""
    pytest.importorskip("statsmodels")
    found = heterogeneity(np.full(4, 0.02), np.full(4, 1e-4), np.full(4, 8.0))
    assert (found.q, found.i2, found.tau) == pytest.approx((0, 0, 0), abs=1e-9)
    assert found.interaction_p == pytest.approx(1)
