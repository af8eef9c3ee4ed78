"""What the engine promises of every selection."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from toys import ByGrade, Fixed, make_pool

from selkit.api import (
    Budget,
    BudgetError,
    Context,
    ContractViolation,
    Pool,
    RowScore,
    Scorer,
    Selection,
    Selector,
    UsageError,
    WorkFailed,
)
from selkit.plugins.builtin.random import Random
from selkit.select import select
from selkit.store import Store


def test_scorer_takes_the_best_and_breaks_ties_by_id(pool: Pool, store: Store) -> None:
    """The budget is filled from the highest grade down, the smaller id first."""
    result = select(pool, ByGrade(), 8, store=store)
    grades = {example.id: example.extra["grade"] for example in pool}
    assert list(result.ids) == sorted(grades, key=lambda i: (-grades[i], i))[:8]
    assert result.selection.scores == {i: grades[i] for i in result.ids}
    assert result.facts["ties_at_cut"] == sum(1 for grade in grades.values() if grade == grades[result.ids[-1]])


def test_order_of_the_pool_changes_nothing(pool: Pool, store: Store) -> None:
    """A shuffled pool gives the same choice, for a ranking and for a draw."""
    backwards = pool.take(pool.ids[::-1])
    assert select(pool, ByGrade(), 9, store=store).ids == select(backwards, ByGrade(), 9, store=store).ids
    assert select(pool, Random(), 9, seed=3, store=store).ids == select(backwards, Random(), 9, seed=3, store=store).ids


def test_seed_decides_the_draw(pool: Pool, store: Store) -> None:
    """Same seed, same rows; another seed, other rows."""
    draws = {seed: select(pool, Random(), 10, seed=seed, store=store).ids for seed in (0, 0, 1)}
    assert draws[0] == select(pool, Random(), 10, seed=0, store=store).ids
    assert set(draws[0]) != set(draws[1])


@pytest.mark.parametrize(("budget", "rows"), [(0, 0), (1, 1), ("5%", 2), ("50%", 20), (40, 40)])
def test_budget_is_exact(pool: Pool, store: Store, budget: int | str, rows: int) -> None:
    """Scenario 46: numbers and shares, from nothing to everything."""
    for selector in (ByGrade(), Random()):
        assert len(select(pool, selector, budget, store=store).ids) == rows


def test_budget_above_the_pool_is_refused(pool: Pool, store: Store) -> None:
    """One row more than there are."""
    with pytest.raises(BudgetError, match="41 is more than the 40 rows"):
        select(pool, ByGrade(), 41, store=store)


def test_scores_are_computed_once_for_all_budgets(pool: Pool, store: Store) -> None:
    """A second budget asks the scorer nothing."""
    calls: list[int] = []

    @dataclass
    class Counting(ByGrade):
        def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
            """Counts the rows it is given."""
            calls.append(len(pool))
            return super().score(pool, ctx)  # type: ignore[return-value]

    for budget in (3, 5, "20%"):
        select(pool, Counting(), budget, store=store)
    assert calls == [40]


def test_interrupted_pass_goes_on_where_it_stopped(pool: Pool, store: Store) -> None:
    """After a crash at row 25 only the other 15 rows are scored, and the choice is that of an undisturbed pass."""
    seen: list[str] = []

    @dataclass
    class Fragile(Scorer):
        name = "fragile"

        def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
            """Fails once, at the 25th row it is ever asked for."""
            for example in pool:
                if len(seen) == 25:
                    seen.append("crash")
                    raise RuntimeError("power cut")
                seen.append(example.id)
                yield example.extra["grade"]

    with pytest.raises(RuntimeError, match="power cut"):
        select(pool, Fragile(), 7, store=store)
    result = select(pool, Fragile(), 7, store=store)
    assert len(seen) == 41
    assert sorted(set(seen) - {"crash"}) == sorted(pool.ids)
    assert result.ids == select(pool, ByGrade(), 7, store=store).ids


def test_nan_is_reported_and_never_ranked(store: Store) -> None:
    """Scenario 47: one NaN in a hundred rows is a failure with a reason; the row is not chosen."""
    pool = make_pool(100)
    result = select(pool, ByGrade(bad=("r006",)), 99, store=store)
    assert "r006" not in result.ids
    assert result.facts["failed"] == {"the scorer returned NaN": 1}
    with pytest.raises(WorkFailed, match=r"by-grade failed on 3 of 100 rows, more than 2%"):
        select(pool, ByGrade(bad=("r006", "r007", "r008")), 99, store=store)


def test_a_number_beside_a_failure_is_not_ranked(store: Store) -> None:
    """A scorer that says 'failed' and still gives a value does not get that row chosen."""

    @dataclass
    class Contradictory(Scorer):
        name = "contradictory"

        def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
            """The first row failed with a huge value."""
            for i, _ in enumerate(pool):
                yield RowScore(1e9, "failed", "broke") if i == 0 else RowScore(float(i))

    result = select(make_pool(100), Contradictory(), 5, store=store)
    assert "r000" not in result.ids
    assert result.facts["failed"] == {"broke": 1}


def test_exclusion_by_rule_is_a_declared_shortfall(pool: Pool, store: Store) -> None:
    """Scenario 46: a method that leaves rows out ends short of the budget and says why; nothing fills the gap."""
    result = select(pool, ByGrade(out=("r001", "r002")), 40, store=store)
    assert len(result.ids) == 38
    assert result.selection.shortfall == "2 of 40 rows have no score under by-grade"
    assert result.facts["excluded"] == {"left out by rule": 2}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("r000", "nope"), "not in the pool, e.g. 'nope'"),
        (("r000", "r000"), "1 rows more than once"),
        (("r000",), "chose 1 rows where the budget is 2"),
        (("r000", "r001", "r002"), "chose 3 rows where the budget is 2"),
    ],
)
def test_a_broken_sampler_is_caught(pool: Pool, store: Store, ids: tuple[str, ...], message: str) -> None:
    """Scenario 47: foreign, repeated, missing and surplus ids."""
    with pytest.raises(ContractViolation, match=message):
        select(pool, Fixed(ids), 2, store=store)


@pytest.mark.parametrize(("given", "word"), [([0.5] * 39, "fewer"), ([0.5] * 41, "more"), (["x"] * 40, "not a number")])
def test_a_broken_scorer_is_caught(pool: Pool, store: Store, given: list[float], word: str) -> None:
    """Scenario 47: too few scores, too many, and text."""

    @dataclass
    class Broken(Scorer):
        name = "broken"

        def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
            """Whatever the test says."""
            return given

    with pytest.raises(ContractViolation, match=word):
        select(pool, Broken(), 2, store=store)


def test_a_selector_may_use_the_scores_of_another_component(pool: Pool, store: Store) -> None:
    """Composition: a full selector reads a scorer's scores through the context, and they are stored for both."""

    @dataclass
    class OnePerLength(Selector):
        name = "one-per-length"
        scorer: Scorer

        def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
            """The best row of each response length, until the budget is filled."""
            scores = ctx.scores(self.scorer)
            best: dict[int, str] = {}
            for example in sorted(pool, key=lambda e: (-scores[e.id], e.id)):
                best.setdefault(len(example.response), example.id)
            ids = tuple(best.values())[: budget.rows(len(pool))]
            return Selection(ids, scores={i: scores[i] for i in ids})

    result = select(pool, OnePerLength(ByGrade()), 10, store=store)
    assert len({len(e.response) for e in result.rows}) == 10
    assert result.spent == select(pool, ByGrade(), 1, store=store).spent
    assert json.dumps(result.key.parameters) == json.dumps({"scorer": {"name": "by-grade", "bad": [], "out": []}})


def test_a_selector_may_use_all_that_another_component_said(pool: Pool, store: Store) -> None:
    """Scores, reasons, flags and details come by ascending id, whatever the order of the pool, and are stored once."""

    @dataclass
    class Chatty(Scorer):
        name = "chatty"

        def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
            """A row is left out, the others have two details and a flag."""
            for row in pool:
                number = float(row.id[1:])
                said = RowScore(number, truncated=number > 30, details={"a": number, "b": -number})
                yield RowScore.excluded("too round", a=0.0) if row.id == "r010" else said

    @dataclass
    class Reader(Selector):
        name = "reader"
        scorer: Scorer

        def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
            """The first row; what was read goes to the notes."""
            rows = list(ctx.row_scores(self.scorer))
            return Selection(tuple(pool.ids[:1]), notes={"rows": rows})

    turned = pool.take(pool.ids[::-1])
    result = select(turned, Reader(Chatty()), 1, store=store)
    rows = dict(result.facts["rows"])
    assert list(rows) == sorted(pool.ids)
    assert rows["r010"] == RowScore.excluded("too round", a=0.0)
    assert rows["r031"] == RowScore(31.0, truncated=True, details={"a": 31.0, "b": -31.0})
    assert result.spent == select(pool, Chatty(), 1, store=store).spent


def test_budget_and_size_go_together(pool: Pool, store: Store, tmp_path: Path) -> None:
    """A selector that takes a budget needs one; one that has a size of its own takes none."""
    from selkit.plugins.builtin.given import Full

    assert len(select(pool, Full(), store=store).ids) == 40
    with pytest.raises(UsageError, match="has a size of its own"):
        select(pool, Full(), 3, store=store)
    with pytest.raises(UsageError, match="needs a budget"):
        select(pool, Random(), store=store)
