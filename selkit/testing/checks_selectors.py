"""Checks of selectors: scorers, samplers and those with full control. The choice is made by the host's own engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from selkit.api import (
    BaseSelector,
    Budget,
    BudgetError,
    Context,
    DataError,
    Pool,
    Sampler,
    Scorer,
    Selection,
    Selector,
)
from selkit.select import fill_models, score_key
from selkit.store import Store
from selkit.testing.checks_common import DECLARATIONS, MANNERS, where_it_runs
from selkit.testing.checks_scorers import SCORER_CHECKS, close, same_score
from selkit.testing.pools import awkward_pool, shuffled
from selkit.testing.results import Broken, Check, check, expect
from selkit.testing.scorers import scorers_at_work
from selkit.testing.subjects import SelectorSubject, training_in

SEEDS = 8
"""Seeds under which a seeded selector must make at least two different choices."""


def takes_a_budget(subject: SelectorSubject) -> str:
    """For checks of budgets."""
    own = "" if subject.component.sized else "it takes no budget: its selection has a size of its own"
    return where_it_runs(subject) or own


@check(takes_a_budget)
def exact_budget(subject: SelectorSubject) -> None:
    """It chooses exactly the budget, or fewer and says why."""
    _expect_count(subject.choose(subject.third), subject.third)


@check(where_it_runs)
def ids_unique_and_from_pool(subject: SelectorSubject) -> None:
    """The chosen ids are texts, are in the pool, and come once each."""
    ids = subject.directly(_chosen_directly)
    known = set(subject.pool.ids)
    strange = [i for i in ids if not isinstance(i, str) or i not in known]
    expect(not strange, f"{len(strange)} chosen ids are not in the pool, e.g. {strange[:1]!r}")
    expect(len(set(ids)) == len(ids), f"{len(ids) - len(set(ids))} rows were chosen more than once")


@check(where_it_runs)
def same_seed_same_choice(subject: SelectorSubject) -> None:
    """The same seed gives the same choice with the same scores, whatever ran before."""
    first, second = (subject.choose(subject.third, seed=3) for _ in range(2))
    expect(first.ids == second.ids, "two runs with the same seed chose differently: draw with ctx.rng alone")
    changed = [i for i, score in first.scores.items() if not close(score, second.scores.get(i))]
    expect(not changed, f"two runs with the same seed gave different scores to {len(changed)} rows")


@check(where_it_runs)
def seed_as_declared(subject: SelectorSubject) -> None:
    """A selector that declares ``seeded`` chooses differently under some seed; one that does not never does."""
    if not subject.component.seeded:
        choices = {subject.choose(subject.third, seed=seed).ids for seed in range(2)}
        expect(len(choices) == 1, "it declares seeded = False, and its choice depends on the seed")
        return
    first = set(subject.choose(subject.third).ids)
    differs = any(set(subject.choose(subject.third, seed=seed).ids) != first for seed in range(1, SEEDS))
    expect(differs, f"{SEEDS} seeds gave the same choice: declare seeded = False")


@check(where_it_runs)
def pool_order_irrelevant(subject: SelectorSubject) -> None:
    """The order of the pool's rows changes neither the choice nor a score."""
    turned = shuffled(subject.pool)
    one, other = subject.choose(subject.third), subject.choose(subject.third, pool=turned)
    if isinstance(subject.component, Scorer):
        scores = dict(zip(turned.ids, subject.scores(pool=turned), strict=True))
        pairs = zip(subject.pool.ids, subject.scores(), strict=True)
        changed = [i for i, score in pairs if not same_score(score, scores[i])]
        expect(
            not changed, f"{len(changed)} rows have another score when the pool is in another order, e.g. {changed[:1]}"
        )
    expect(
        set(one.ids) == set(other.ids),
        "it chooses other rows when the pool is in another order: draw from pool.sorted_ids, break ties by id",
    )


@check(takes_a_budget)
def budget_zero(subject: SelectorSubject) -> None:
    """A budget of 0 selects nothing."""
    expect(not subject.choose(0).ids, "it chose rows where the budget is 0")
    ids = subject.directly(lambda component, pool, ctx: _ask(component, pool, 0, ctx))
    expect(not ids, f"asked for 0 rows it chose {len(ids)}")


@check(takes_a_budget)
def budget_one(subject: SelectorSubject) -> None:
    """A budget of 1 selects one row."""
    _expect_count(subject.choose(1), 1)


@check(takes_a_budget)
def budget_all(subject: SelectorSubject) -> None:
    """A budget of the whole pool selects every row, or fewer and says why, or is refused in a sentence."""
    try:
        selection = subject.choose(len(subject.pool))
    except DataError as refusal:
        expect(bool(str(refusal)), "it refused without a sentence")
        return
    _expect_count(selection, len(subject.pool))


@check(takes_a_budget)
def budget_too_large(subject: SelectorSubject) -> None:
    """One row more than the pool has is refused, never filled up."""
    size = len(subject.pool) + 1
    try:
        subject.choose(size)
    except BudgetError:
        pass
    else:
        expect(False, f"a budget of {size} was not refused for a pool of {size - 1} rows")
    try:
        ids = subject.directly(lambda component, pool, ctx: _ask(component, pool, size, ctx))
    except Broken:
        raise
    except Exception:
        return  # a refusal of any kind will do: the host has refused such a budget before it asks
    expect(not ids, f"asked for {size} of {size - 1} rows it chose {len(ids)}: raise BudgetError")


@check(where_it_runs)
def awkward_rows(subject: SelectorSubject) -> None:
    """Empty, blank, very long, duplicated and non-Latin rows, and control characters, do not stop it."""
    awkward = awkward_pool(subject.pool)
    if isinstance(subject.component, Scorer):
        subject.scores(pool=awkward)
    else:
        both = pa.concat_tables([subject.pool.table, awkward.table], promote_options="permissive")
        subject.choose(subject.third, pool=Pool(both, name="with-awkward-rows"))


@check(where_it_runs)
def leaves_pool_alone(subject: SelectorSubject) -> None:
    """It does not change the pool that it is given, nor the lists that the pool hands out."""
    pool = subject.pool
    table, name = pool.table, pool.name
    copy = Pool(table, name=name, turns=pool.turns)
    ids, ordered, fingerprint = list(pool.ids), list(pool.sorted_ids), pool.fingerprint
    subject.choose(subject.third, pool=pool)
    expect(pool.table is table and pool.name == name, "it put another table or name into the pool")
    expect(pool.ids == ids == copy.ids and list(pool.sorted_ids) == ordered, "it changed the pool's list of ids")
    expect(copy.fingerprint == pool.fingerprint == fingerprint, "it changed the pool's rows or fingerprint")


@check(where_it_runs)
def cost_is_recorded(subject: SelectorSubject) -> None:
    """Scorers run in the host's own passes alone, so that what a choice took stands in the ledger and is charged to it.

    A scorer that is a parameter is asked through ``ctx.scores``; one whose method is called by the component leaves
    neither its scores nor its cost behind.
    """
    component = fill_models(subject.component, subject.base_model)
    whole = replace(subject, component=component, folder=subject.new_folder())
    store = Store(subject.new_folder())
    with scorers_at_work(component) as at_work:
        result = whole.result(subject.third, store=store)
    for scorer in at_work:
        key = score_key(scorer, subject.pool, training_in(store), subject.base_model).digest
        charged = key in result.spent and any(row.resource == "wall_seconds" for row in store.ledger([key]))
        expect(charged, f"it runs the scorer {scorer.name!r} itself, at no recorded cost: ask ctx.scores(scorer)")


SELECTOR_CHECKS: tuple[Check[Any], ...] = (
    *DECLARATIONS,
    exact_budget,
    ids_unique_and_from_pool,
    same_seed_same_choice,
    seed_as_declared,
    pool_order_irrelevant,
    budget_zero,
    budget_one,
    budget_all,
    budget_too_large,
    awkward_rows,
    *SCORER_CHECKS,
    leaves_pool_alone,
    cost_is_recorded,
    *MANNERS,
)
"""Every check of a selector."""


def minimum_for_selector(component: BaseSelector) -> int:
    """How many checks must run for a selector of this kind."""
    if not component.sized:
        return 13
    return 21 if isinstance(component, Scorer) else 18


def _expect_count(selection: Selection, rows: int) -> None:
    short = len(selection) < rows and bool(selection.shortfall)
    expect(len(selection) == rows or short, f"it chose {len(selection)} rows where the budget is {rows}")


def _chosen_directly(component: BaseSelector, pool: Pool, ctx: Context) -> list[Any]:
    """What the component itself hands over for a third of the pool; a scorer hands over no ids."""
    return list(_ask(component, pool, len(pool) // 3, ctx))


def _ask(component: BaseSelector, pool: Pool, rows: int, ctx: Context) -> Sequence[Any]:
    if isinstance(component, Sampler):
        return list(component.sample(pool, rows, ctx))
    if isinstance(component, Selector):
        selection = component.select(pool, Budget(count=rows), ctx)
        return selection.ids if rows <= len(pool) or not selection.shortfall else ()
    return ()
