"""Verdicts: the words in their order, what each rests on, and what is said where nothing can be claimed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import DataError, UsageError
from selkit.stats import Flag, Gap, ScoreTable, VerdictRow, Word, advised_control_runs, compare, sentence, to_json

pytest.importorskip("scipy")


def word(rows: list[VerdictRow], arm: str) -> Word:
    """The verdict on one arm."""
    return next(row.verdict for row in rows if row.arm == arm)


def test_the_words(table: Callable, noisy: Callable) -> None:
    """Clear differences beat and are worse; a small one within a wide margin is equivalent."""
    arms = {
        name: noisy(mean, 3, seed=seed) for name, mean, seed in [("up", 0.7, 1), ("down", 0.3, 2), ("same", 0.5, 3)]
    }
    control = noisy(0.5, 7, seed=4)
    arms["same"] = control[:3] + 0.001 * np.arange(3)[:, None]
    rows = compare(table({k: np.clip(v, 0, 1) for k, v in arms.items()} | {"random": control}), margins={"bench": 5})
    assert [(row.arm, str(row.verdict)) for row in rows] == [("down", "WORSE"), ("same", "EQUIVALENT"), ("up", "BEATS")]


def shifted(table: Callable, shift: float, **options: Any) -> VerdictRow:
    """The verdict on an arm whose effect is ``shift`` points: 90% interval +-1.50, 95% interval +-1.98 points."""
    item = np.linspace(-0.2, 0.2, 200)
    control = 0.5 + np.array([-0.01, -0.005, 0, 0.005, 0.01])[:, None] + item
    arm = 0.5 + shift / 100 + np.array([-0.01, 0, 0.01])[:, None] + item
    return compare(table({"arm": arm, "random": control}), **options)[0]


def test_the_interval_of_the_made_up_arm(table: Callable) -> None:
    """The numbers that the next tests lean on are those of scipy's Welch test on the runs: items hold no noise."""
    from scipy import stats

    row = shifted(table, 1.0)
    welch = stats.ttest_ind([0.5, 0.51, 0.52], [0.49, 0.495, 0.5, 0.505, 0.51], equal_var=False)
    for level, low, high in ((0.95, row.ci_low, row.ci_high), (0.9, row.equivalence_low, row.equivalence_high)):
        assert (low, high) == pytest.approx([100 * end for end in welch.confidence_interval(level)], rel=1e-6)
    assert row.ci_high == pytest.approx(1 + 1.98, abs=0.01)
    assert row.equivalence_high == pytest.approx(1 + 1.50, abs=0.01)


@pytest.mark.parametrize(
    ("shift", "margin", "expected"),
    [
        (2.0, 9.0, "BEATS"),  # also within the margin: significance comes first
        (-2.0, 1.0, "WORSE"),
        (1.0, 3.0, "EQUIVALENT"),
        (-1.0, 2.6, "EQUIVALENT"),
        (-1.0, 2.4, "INCONCLUSIVE"),
        (1.0, 2.0, "NOT_WORSE"),
        (-0.4, 2.0, "EQUIVALENT"),
        (-0.5, 1.5, "INCONCLUSIVE"),
        (0.6, 1.0, "NOT_WORSE"),
    ],
)
def test_words_at_the_margin(table: Callable, shift: float, margin: float, expected: str) -> None:
    """The first word that holds, with the 90% interval held against the margin."""
    assert str(shifted(table, shift, margins={"bench": margin}).verdict) == expected


def test_a_real_difference_that_does_not_matter(table: Callable) -> None:
    """BEATS with its whole interval below the margin carries a mark, and the sentence says so."""
    row = shifted(table, 2.0, margins={"bench": 9.0})
    assert Flag.BELOW_MARGIN in row.flags
    assert "below the margin of 9 points" in sentence(row)
    assert Flag.BELOW_MARGIN not in shifted(table, 2.0, margins={"bench": 3.0}).flags


@pytest.mark.slow  # loading statsmodels takes seconds
def test_equivalence_is_that_of_statsmodels(table: Callable) -> None:
    """EQUIVALENT is statsmodels' paired two one-sided tests at 5% where runs do not differ."""
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    rng = np.random.default_rng(5)
    arm, control = rng.uniform(0.2, 0.8, (2, 60))
    scores = table({"arm": np.tile(arm, (3, 1)), "random": np.tile(control, (5, 1))})
    seen = set()
    for margin in np.linspace(2, 20, 37):
        p = weightstats.ttost_paired(arm, control, -margin / 100, margin / 100)[0]
        row = compare(scores, margins={"bench": float(margin)})[0]
        assert (row.verdict is Word.EQUIVALENT) == (p < 0.05)
        seen.add(row.verdict)
    assert Word.EQUIVALENT in seen
    assert len(seen) > 1


def test_too_few_runs_of_random(table: Callable, noisy: Callable) -> None:
    """Under three random runs the word is UNDERPOWERED, however large the effect; the numbers are still there."""
    for runs in (1, 2):
        row = compare(table({"arm": noisy(0.9, 3, seed=1), "random": noisy(0.3, runs, seed=2)}))[0]
        assert row.verdict is Word.UNDERPOWERED
        assert row.effect > 40
        assert row.ci_low is not None
        assert (Flag.BORROWED_CONTROL in row.flags) == (runs == 1)
        assert f"random has {runs} run" in sentence(row)


def test_gaps_come_before_everything(table: Callable, noisy: Callable) -> None:
    """A planned piece of work that is missing makes the verdict INCOMPLETE; so does one of the control's."""
    scores = table({"arm": noisy(0.9, 3, seed=1), "other": noisy(0.9, 3, seed=3), "random": noisy(0.3, 2, seed=2)})
    rows = compare(scores, gaps=[Gap("arm", "run 3 diverged"), Gap("lost", "no run finished")])
    assert [(row.arm, str(row.verdict)) for row in rows] == [
        ("arm", "INCOMPLETE"),
        ("lost", "INCOMPLETE"),
        ("other", "UNDERPOWERED"),
    ]
    assert "run 3 diverged" in sentence(rows[0])
    assert rows[1].effect is None
    assert {row.verdict for row in compare(scores, gaps=[Gap("random", "budget reached")])} == {Word.INCOMPLETE}
    elsewhere = compare(scores, gaps=[Gap("arm", "x", benchmark="other")])
    assert word(elsewhere, "arm") is Word.UNDERPOWERED


def test_a_benchmark_missing_in_one_run(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """The benchmark that a run lacks is INCOMPLETE for that arm, and only that one."""
    first = {"arm": noisy(0.8, 3, seed=1), "random": noisy(0.4, 5, seed=2)}
    second = {"arm": first["arm"][:2], "random": first["random"]}
    rows = compare(ScoreTable.from_columns(joined(columns(first, "a"), columns(second, "b"))), weights={"a": 1, "b": 1})
    by_name = {row.benchmark: row for row in rows}
    assert str(by_name["a"].verdict) == "BEATS"
    assert str(by_name["b"].verdict) == str(by_name["composite"].verdict) == "INCOMPLETE"
    assert "run 2 of arm has no scores on b" in by_name["b"].reason


def test_constant_scores_claim_nothing(table: Callable) -> None:
    """All ties, or all ones against all zeros: no interval, no p, no word but INCONCLUSIVE."""
    for arm, control in ((0.5, 0.5), (1.0, 0.0)):
        row = compare(table({"arm": np.full((3, 9), arm), "random": np.full((5, 9), control)}))[0]
        assert row.verdict is Word.INCONCLUSIVE
        assert Flag.DEGENERATE in row.flags
        assert row.se is row.p is row.p_holm is row.ci_low is row.mde is None
        assert "do not vary" in sentence(row)


def test_intervals_end_where_differences_do(table: Callable) -> None:
    """Two items and runs far apart: no interval goes beyond 100 points, and no difference is said to be found."""
    row = compare(
        table({"arm": np.array([[1.0, 0.8], [0.2, 0.1]]), "random": np.array([[0.9, 0.1], [0.1, 0.4], [0.5, 0.0]])})
    )[0]
    assert (row.ci_low, row.ci_high, row.simultaneous_low, row.simultaneous_high) == (-100, 100, -100, 100)
    assert row.mde is None
    assert Flag.UNDETECTABLE in row.flags
    assert "as it stands no difference that is possible would be found with 80% power" in sentence(row)
    assert row.p is not None


def test_a_composite_with_scales_reaches_further(columns: Callable, joined: Callable) -> None:
    """Where a unit of a benchmark is worth half, differences reach to 200 points."""
    arms = {"arm": np.array([[1.0, 0.8], [0.2, 0.1]]), "random": np.array([[0.9, 0.1], [0.1, 0.4], [0.5, 0.0]])}
    scores = ScoreTable.from_columns(joined(columns(arms, "a"), columns(arms, "b")))
    row = compare(scores, weights={"a": 1, "b": 1}, scales={"a": 0.5, "b": 0.5})[0]
    assert (row.ci_low, row.ci_high) == (-200, 200)


@pytest.mark.parametrize(("arms", "runs"), [(1, 5), (2, 5), (3, 6), (9, 9), (10, 10), (16, 12)])
def test_the_runs_that_the_control_should_have(table: Callable, noisy: Callable, arms: int, runs: int) -> None:
    """max(5, ceil(3 sqrt(m))): one run less is flagged."""
    assert advised_control_runs(arms) == runs
    data = {f"arm{k}": noisy(0.5, 2, 9, seed=k) for k in range(arms)}
    for have in (runs, runs - 1):
        row = compare(table(data | {"random": noisy(0.5, have, 9, seed=99)}))[0]
        assert (Flag.FEW_CONTROL_RUNS in row.flags) == (have < runs)


def test_rounding_is_no_variance(table: Callable) -> None:
    """Constant scores that no binary fraction holds are as constant as others."""
    row = compare(table({"arm": np.full((3, 7), 0.1), "random": np.full((5, 7), 0.3)}))[0]
    assert Flag.DEGENERATE in row.flags


def test_one_item(table: Callable) -> None:
    """One item says nothing about items: no interval, unless the claim is about that item alone."""
    arms = {"arm": np.array([[0.5], [0.6], [0.55]]), "random": np.array([[0.1], [0.2], [0.15]])}
    row = compare(table(arms))[0]
    assert row.verdict is Word.INCONCLUSIVE
    assert row.ci_low is None
    assert "one item" in row.reason
    assert str(compare(table(arms), items="fixed")[0].verdict) == "BEATS"


def test_one_item_in_a_part_of_the_composite(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """A composite of which one benchmark has one item says that items are lacking, not runs."""
    many = {"arm": noisy(0.6, 3, seed=1), "random": noisy(0.4, 5, seed=2)}
    one = {arm: scores[:, :1] for arm, scores in many.items()}
    both = joined(columns(many, "many"), columns(one, "one"))
    row = compare(ScoreTable.from_columns(both), weights={"many": 1, "one": 1})[0]
    assert (row.verdict, row.ci_low) == (Word.INCONCLUSIVE, None)
    assert row.reason.startswith("a benchmark in it has one item")


def test_identical_runs_are_marked(table: Callable, noisy: Callable) -> None:
    """Runs that do not differ at all are marked; the interval then rests on the items."""
    one, other = noisy(0.6, 1, seed=1), noisy(0.4, 1, seed=2)
    row = compare(table({"arm": np.repeat(one, 3, 0), "random": np.repeat(other, 5, 0)}))[0]
    assert Flag.NO_RUN_VARIANCE in row.flags
    assert row.se > 0


def test_one_run_borrows_from_the_others(table: Callable, noisy: Callable) -> None:
    """An arm of one run gets an interval from the others' run variance, and everyone is told."""
    arms = {"one": noisy(0.6, 1, seed=1), "two": noisy(0.5, 2, seed=2, run_sd=0.03), "random": noisy(0.4, 4, seed=3)}
    rows = {row.arm: row for row in compare(table(arms))}
    assert Flag.BORROWED in rows["one"].flags
    assert rows["one"].run_sd == pytest.approx(rows["two"].run_sd)
    assert rows["one"].run_sd == pytest.approx(100 * arms["two"].mean(1).std(ddof=1))
    assert rows["one"].ci_low is not None
    assert "run variance borrowed" in sentence(rows["one"])
    del arms["two"]
    row = compare(table(arms))[0]
    assert Flag.BORROWED in row.flags
    assert row.run_sd == pytest.approx(row.control_run_sd) == pytest.approx(100 * arms["random"].mean(1).std(ddof=1))


def test_one_run_of_each(table: Callable, noisy: Callable) -> None:
    """Where no arm has two runs nothing is known about runs, and no interval is made up."""
    row = compare(table({"arm": noisy(0.9, 1, seed=1), "random": noisy(0.3, 1, seed=2)}))[0]
    assert row.verdict is Word.UNDERPOWERED
    assert row.ci_low is None
    assert row.effect is not None
    assert {Flag.BORROWED, Flag.BORROWED_CONTROL}.isdisjoint(row.flags), "no one has a variance to lend"


def test_pool_and_guard(table: Callable, noisy: Callable) -> None:
    """Selectors share their run variance; an arm that varies far more keeps its own and is marked."""
    arms = {f"s{k}": noisy(0.5, 4, seed=k) for k in range(4)} | {"wild": noisy(0.5, 4, seed=9, run_sd=0.15)}
    rows = {row.arm: row for row in compare(table(arms | {"random": noisy(0.5, 7, seed=8)}))}
    own = {name: 100 * scores.mean(1).std(ddof=1) for name, scores in arms.items()}
    assert rows["s0"].run_sd == pytest.approx(math.sqrt(np.mean([sd**2 for sd in own.values()])))
    assert Flag.POOLED in rows["s0"].flags
    assert rows["wild"].run_sd == pytest.approx(own["wild"])
    assert Flag.HETEROSCEDASTIC in rows["wild"].flags


def test_composite_is_formed_within_runs(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """The composite's run variance is that of the runs' weighted means, and its scale divides."""
    a = {"arm": noisy(0.6, 3, seed=1), "random": noisy(0.5, 5, seed=2)}
    b = {"arm": noisy(0.7, 3, 90, seed=3), "random": noisy(0.6, 5, 90, seed=4)}
    scores = ScoreTable.from_columns(joined(columns(a, "a"), columns(b, "b")))
    row, *singles = compare(scores, weights={"a": 3, "b": 1}, scales={"b": 0.5})
    means = {arm: 0.75 * a[arm].mean(1) + 0.25 / 0.5 * b[arm].mean(1) for arm in a}
    assert row.benchmark == "composite"
    assert row.effect == pytest.approx(100 * (means["arm"].mean() - means["random"].mean()))
    assert row.control_run_sd == pytest.approx(100 * means["random"].std(ddof=1))
    assert row.run_sd == pytest.approx(100 * means["arm"].std(ddof=1))
    assert row.items == 290
    assert (row.family, row.family_size) == ("primary", 1)
    assert {(single.family, single.family_size) for single in singles} == {("secondary", 2)}


def test_variance_of_the_composite(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """Run variance from the runs' composites, item and residual parts from the benchmarks with squared weights."""
    sizes, shares = {"a": 50, "b": 20}, {"a": 0.8, "b": 0.2}
    data = {
        name: {"arm": noisy(0.6, 3, n, seed=n, run_sd=0.03), "random": noisy(0.5, 5, n, seed=n + 1, run_sd=0.03)}
        for name, n in sizes.items()
    }
    row = compare(ScoreTable.from_columns(joined(*(columns(data[name], name) for name in data))), weights=shares)[0]
    runs = [sum(share * data[name][arm].mean(1) for name, share in shares.items()) for arm in ("arm", "random")]
    v_runs = sum(values.var(ddof=1) / len(values) for values in runs)
    v_items = v_residual = 0.0
    for name, share in shares.items():
        arm, random = data[name]["arm"], data[name]["random"]
        v_items += share**2 * (arm.mean(0) - random.mean(0)).var(ddof=1) / sizes[name]
        for scores in (arm, random):
            k, n = scores.shape
            fitted = scores.mean(1, keepdims=True) + scores.mean(0) - scores.mean()
            v_residual += share**2 * ((scores - fitted) ** 2).sum() / ((k - 1) * (n - 1)) / (n * k)
    assert v_runs > v_residual  # so that the sum is the largest of the three
    assert v_items > v_residual
    assert row.se == pytest.approx(100 * math.sqrt(v_runs + v_items - v_residual))


def test_random_lends_nothing_to_a_further_pair(table: Callable, noisy: Callable) -> None:
    """Against another control the selectors' variance is still theirs: neither random's runs nor the control's."""
    names = ("a", "b", "c", "d", "lmr")
    arms = {name: noisy(0.5, 3, seed=seed) for seed, name in enumerate(names)}
    arms["random"] = noisy(0.5, 9, seed=9, run_sd=0.05)
    rows = compare(table(arms), pairs=[("a", "lmr"), ("random", "lmr")])
    own = {name: 100 * scores.mean(1).std(ddof=1) for name, scores in arms.items()}
    by_pair = {(row.arm, row.control): row.run_sd for row in rows}
    assert by_pair["a", "random"] == pytest.approx(math.sqrt(np.mean([own[name] ** 2 for name in names])))
    assert by_pair["a", "lmr"] == pytest.approx(math.sqrt(np.mean([own[name] ** 2 for name in "abcd"])))
    assert by_pair["random", "lmr"] == pytest.approx(own["random"])


def test_a_composite_of_one_is_that_one(table: Callable, noisy: Callable) -> None:
    """A composite of a single benchmark has that benchmark's numbers."""
    scores = table({"arm": noisy(0.6, 3, seed=1), "random": noisy(0.5, 5, seed=2)})
    whole, single = compare(scores, weights={"bench": 7})
    for name in ("effect", "se", "df", "p", "ci_low", "mde", "run_sd"):
        assert getattr(whole, name) == pytest.approx(getattr(single, name), rel=1e-9)


def test_holm_over_cells_and_benchmarks(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """All arms, cells and primary benchmarks form one family; the simultaneous interval is wider accordingly."""
    arms = {"a": noisy(0.53, 3, seed=1), "b": noisy(0.5, 3, seed=2), "random": noisy(0.5, 7, seed=3)}
    parts = [columns(arms, bench, budget=budget) for bench in ("x", "y") for budget in (100, 200)]
    scores = ScoreTable.from_columns(joined(*parts))
    rows = compare(scores)
    assert {row.family_size for row in rows} == {8}
    assert all(row.p_holm >= row.p for row in rows)
    assert all(row.simultaneous_low < row.ci_low < row.equivalence_low for row in rows)
    assert min(row.p_holm for row in rows) == pytest.approx(min(1, 8 * min(row.p for row in rows)))
    assert {row.family_size for row in compare(scores, primary=["x"])} == {4}
    assert [(row.budget, row.benchmark, row.arm) for row in rows][:5] == [
        (100, "x", "a"), (100, "x", "b"), (100, "y", "a"), (100, "y", "b"), (200, "x", "a"),
    ]  # fmt: skip


def test_another_control(table: Callable, noisy: Callable) -> None:
    """A further pair has its own control, and joins the family."""
    arms = {"a": noisy(0.6, 3, seed=1), "lmr": noisy(0.5, 3, seed=2), "random": noisy(0.4, 5, seed=3)}
    rows = compare(table(arms), pairs=[("a", "lmr")])
    assert [(row.arm, row.control) for row in rows] == [("a", "random"), ("lmr", "random"), ("a", "lmr")]
    assert rows[2].effect == pytest.approx(rows[0].effect - rows[1].effect)
    assert rows[2].family_size == 3
    only = compare(table(arms), arms=["a"])
    assert [(row.arm, row.family_size) for row in only] == [("a", 1)]


def test_relabelling_negates(table: Callable, noisy: Callable) -> None:
    """Comparing the control with the arm gives the negated effect with the same evidence."""
    scores = table({"a": noisy(0.6, 4, seed=1), "b": noisy(0.5, 6, seed=2)})
    there, back = compare(scores, "a")[0], compare(scores, "b")[0]
    assert there.effect == pytest.approx(-back.effect)
    assert (there.ci_low, there.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))
    assert (there.p, there.df, there.mde) == pytest.approx((back.p, back.df, back.mde))


@given(seed=st.integers(0, 2**32 - 1), clustered=st.booleans())
@settings(max_examples=25, deadline=None)
def test_order_does_not_matter(seed: int, clustered: bool) -> None:
    """Shuffled rows, renumbered runs and renamed items give the same verdicts."""
    rng = np.random.default_rng(seed)
    arms = [(arm, run) for arm, runs in (("a", 2), ("b", 3), ("random", 4)) for run in range(runs)]
    rows = [
        (arm, run, item, "x", rng.integers(0, 5) / 4, f"c{item % 5}" if clustered else None)
        for arm, run in arms
        for item in range(12)
    ]
    names = ("arm", "run", "item", "benchmark", "score", "cluster")
    renamed = rng.permutation(12)
    other = [
        (arm, 10 - run, int(renamed[item]), *rest)
        for arm, run, item, *rest in (rows[i] for i in rng.permutation(len(rows)))
    ]
    found = [
        compare(ScoreTable.from_columns(dict(zip(names, zip(*part, strict=True), strict=True))))
        for part in (rows, other)
    ]
    for one, two in zip(*found, strict=True):
        for field in fields(VerdictRow):
            left, right = getattr(one, field.name), getattr(two, field.name)
            assert left == (pytest.approx(right, rel=1e-6, abs=1e-9) if isinstance(right, float) else right), field.name


def test_copies_of_items_do_not_narrow(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """Every item three times under its cluster gives the same interval; without clusters it would be narrower."""
    arms = {"arm": noisy(0.55, 3, 40, seed=1), "random": noisy(0.5, 5, 40, seed=2)}
    once = compare(ScoreTable.from_columns(columns(arms)))[0]
    rows = columns(arms) | {}
    copies = [
        rows | {"item": [f"{item}-{copy}" for item in rows["item"]], "cluster": rows["item"]} for copy in range(3)
    ]
    tripled = joined(*copies)
    again = compare(ScoreTable.from_columns(tripled))[0]
    assert (again.ci_low, again.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    assert (again.items, again.clusters) == (120, 40)
    naive = compare(ScoreTable.from_columns({k: v for k, v in tripled.items() if k != "cluster"}))[0]
    assert naive.se < 0.8 * once.se


def test_intersection_is_marked(columns: Callable, noisy: Callable) -> None:
    """Scenario 52: verdicts on the common items say so."""
    rows = columns({"arm": noisy(0.6, 3, seed=1), "random": noisy(0.4, 5, seed=2)})
    short = ScoreTable.from_columns({name: values[1:] for name, values in rows.items()})
    with pytest.raises(DataError, match="--intersect"):
        compare(short)
    row = compare(short, intersect=True)[0]
    assert row.items == 199
    assert Flag.INTERSECTED in row.flags


@pytest.mark.parametrize(
    ("margin", "advice"),
    [
        (2.5, "15 runs of each arm on 1,000 items would find 2.5 points"),
        (4.0, "items would find 4 points"),
        (6.0, "would find 3.2 points"),  # 5.7 would be found already: the distance from the margin is what is open
    ],
)
def test_what_would_settle_it(table: Callable, noisy: Callable, margin: float, advice: str) -> None:
    """An open comparison comes with the runs or items, or both, that would close it."""
    scores = table({"arm": noisy(0.48, 3, seed=1), "random": noisy(0.5, 5, seed=2)})
    row = compare(scores, margins={"bench": margin})[0]
    assert row.verdict is Word.INCONCLUSIVE
    assert advice in row.reason
    assert row.reason in sentence(row)
    assert (row.items_to_settle is None) == (margin == 2.5)
    assert row.items_to_settle is None or row.items_to_settle > 200


def test_bad_options(table: Callable, noisy: Callable) -> None:
    """Names that are not there and numbers out of range are refused before anything is computed."""
    scores = table({"arm": noisy(0.5, 3, seed=1), "random": noisy(0.5, 3, seed=2)})
    for options, match in [
        ({"weights": {"benhc": 1}}, "no benchmark 'benhc'"),
        ({"primary": ["composite"]}, "no benchmark 'composite'"),
        ({"arms": ["amr"]}, "no arm 'amr'"),
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"margins": {"bench": 0}}, "margin of bench is 0"),
        ({"weights": {"bench": -1}}, "weights of the composite"),
    ]:
        with pytest.raises(UsageError, match=match):
            compare(scores, **options)
    with pytest.raises(DataError, match=r"no scores of the control 'rand' \(the arms are arm, random\)"):
        compare(scores, "rand")


def test_only_the_control(table: Callable, noisy: Callable) -> None:
    """Nothing to compare gives no verdict."""
    assert compare(table({"random": noisy(0.5, 3, seed=1)})) == []


def test_json_and_sentence(table: Callable, noisy: Callable) -> None:
    """The JSON has the documented keys and no NaN; the sentence states its evidence."""
    scores = table({"longest": noisy(0.6, 3, seed=1), "random": noisy(0.4, 7, seed=2)}, pool="alpaca", budget=1000)
    rows = compare(scores)
    document = json.loads(json.dumps(to_json(rows), allow_nan=False))
    assert document["schema_version"] == 1
    keys = (
        "arm control benchmark pool budget effect ci_low ci_high df p p_holm verdict items runs control_runs run_sd mde"
    )
    assert set(keys.split()) <= set(document["verdicts"][0])
    assert document["verdicts"][0]["verdict"] == "BEATS"
    row = rows[0]
    assert sentence(row) == (
        f"longest beats random on alpaca at 1,000 by {row.effect:.1f} points in bench "
        f"(95% interval {row.ci_low:.1f} to {row.ci_high:.1f}, Holm p below 0.001, 3 against 7 runs, 200 items)"
    )
