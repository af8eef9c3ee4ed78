"""The table of recall on a planted pool, against figures counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from toys import make_pool

from selkit.api import Budget, Context, Pool, Sampler, Scorer, Selection, Selector, UsageError
from selkit.plugins import build
from selkit.pools.planted import CORRUPTIONS
from selkit.select import select
from selkit.testing import planted_pool, planted_table, sample_pool

KINDS = tuple(CORRUPTIONS)


@dataclass
class Knowing(Scorer):
    """Cheats: right rows first, then those of one kind."""

    name = "knowing"
    then: str = "padded"

    def score(self, pool: Pool, ctx: Context) -> list[float]:
        """2, 1 or 0."""
        kinds = pool.column("corruption").to_pylist()
        return [2.0 if kind == "none" else float(kind == self.then) for kind in ctx.track(kinds)]


@dataclass
class Half(Selector):
    """Returns half of what it is asked for, and says so."""

    name = "half"
    seeded = False

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The first ids."""
        return Selection(tuple(pool.sorted_ids[: budget.rows(len(pool)) // 2]), shortfall="half is enough")


@dataclass
class Whole(Selector):
    """Takes every row."""

    name = "whole"
    seeded = False
    sized = False

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """All ids."""
        return Selection(tuple(pool.ids))


def _entry(table, name):
    return next(entry for entry in table.entries if entry.name == name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_corruption_can_be_planted_alone(kind: str) -> None:
    """The share that is asked for, of that kind, and nothing else; the truth column agrees."""
    pool = planted_pool(rows=60, corrupted=0.25, kinds=(kind,))
    kinds = pool.column("corruption").to_pylist()
    assert kinds.count("none") == 45
    assert kinds.count(kind) >= 12  # a kind that would change nothing takes another one
    assert pool.column("truth").to_pylist() == [one == "none" for one in kinds]


@pytest.mark.parametrize("seed", range(3))
def test_each_kind_can_have_a_share_of_its_own(seed: int) -> None:
    """Exactly that many rows of each, also of kinds that leave answers of one word as they are."""
    shares = {"truncated": 0.3, "shuffled": 0.2, "empty": 0.05, "padded": 0.1}
    pool = planted_pool(rows=200, corrupted=shares, seed=seed)
    kinds = pool.column("corruption").to_pylist()
    assert {kind: kinds.count(kind) for kind in shares} == {kind: round(200 * share) for kind, share in shares.items()}
    assert kinds.count("none") == 70
    assert planted_pool(rows=200, corrupted=shares, seed=seed).fingerprint == pool.fingerprint


@pytest.mark.parametrize("shares", [{"padded": 0.7, "empty": 0.4}, {"padded": -0.1}, {"rotten": 0.1}, {"padded": "x"}])
def test_shares_that_make_no_sense_are_refused(shares: dict) -> None:
    """Above the whole, below nothing, of no known kind, or no number."""
    with pytest.raises(UsageError, match=r"no share|no list of kinds"):
        planted_pool(rows=20, corrupted=shares)


def test_the_figures_are_those_counted_by_hand() -> None:
    """100 rows, 60 right: a budget of 70 takes all right rows, and ten of one kind."""
    pool = planted_pool(rows=100, corrupted=0.4, kinds=("padded", "truncated", "shuffled"), seed=4)
    kinds = pool.column("corruption").to_pylist()
    table = planted_table(Knowing(), pool=pool, budget=70)
    own = _entry(table, "knowing")
    assert (table.rows, table.right, table.budget) == (100, 60, 70)
    assert (own.recall, own.spread) == (1.0, 0.0)
    assert own.chosen["padded"] == pytest.approx(10 / kinds.count("padded"))
    assert own.chosen["truncated"] == own.chosen["shuffled"] == 0.0
    assert table.kinds == {kind: kinds.count(kind) for kind in KINDS if kind in kinds}


def test_chance_is_the_share_and_random_is_close_to_it() -> None:
    """Chance is exact; the built-in's mean over seeds is that of its own draws."""
    pool = planted_pool(rows=200, seed=1)
    table = planted_table(Knowing(), pool=pool, budget=40, seeds=3)
    chance, random = _entry(table, "chance"), _entry(table, "random")
    assert (chance.recall, set(chance.chosen.values())) == (0.2, {0.2})
    right = {i for i, truth in zip(pool.ids, pool.column("truth").to_pylist(), strict=True) if truth}
    drawn = [len(right & set(select(pool, build("selector", "random"), 40, seed=seed).ids)) / 100 for seed in range(3)]
    assert random.recall == pytest.approx(np.mean(drawn))
    assert random.spread == pytest.approx(np.std(drawn))
    assert abs(random.recall - 0.2) < 0.1


def test_built_ins_show_what_length_alone_does() -> None:
    """Corruption makes most answers longer: 'shortest' finds none of the padded rows and 'longest' all of them."""
    table = planted_table(Knowing(), pool=planted_pool(rows=200, kinds=("padded", "off-topic")))
    assert _entry(table, "longest").chosen == {"padded": 1.0, "off-topic": 1.0}
    assert _entry(table, "shortest").recall == 1.0
    assert _entry(table, "oracle").recall == 1.0


def test_a_selection_that_is_too_short_is_told() -> None:
    """Its recall counts what it chose, and a note says how many that was."""
    table = planted_table(Half(), pool=planted_pool(rows=40, kinds=("padded",)))
    assert "half chose 10 rows of the 20 it was asked for" in table.notes
    assert _entry(table, "half").recall < 0.75


def test_a_selector_of_its_own_size_is_compared_at_that_size() -> None:
    """The whole pool has all right rows, and so has everything else at that budget."""
    table = planted_table(Whole(), pool=planted_pool(rows=40))
    assert table.budget == 40
    assert {entry.recall for entry in table.entries} == {1.0}


def test_a_builtin_does_not_stand_in_the_table_twice() -> None:
    """Whoever tries 'random' sees it once."""
    table = planted_table(build("selector", "random"), pool=planted_pool(rows=40))
    assert [entry.name for entry in table.entries].count("random") == 1


@dataclass
class Spread(Sampler):
    """Draws, and is averaged over seeds."""

    name = "spread"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Uniform."""
        return list(ctx.rng.choice(pool.sorted_ids, size=k, replace=False))


def test_seeds_are_averaged() -> None:
    """One seed has no spread, several have."""
    pool = planted_pool(rows=100)
    assert _entry(planted_table(Spread(), pool=pool, seeds=1), "spread").spread == 0.0
    assert _entry(planted_table(Spread(), pool=pool, seeds=4), "spread").spread > 0.0


def test_a_pool_without_truth_is_refused() -> None:
    """So is nothing to average over."""
    with pytest.raises(UsageError, match="does not say which of its rows are right"):
        planted_table(Knowing(), pool=make_pool())
    with pytest.raises(UsageError, match="0 seeds"):
        planted_table(Knowing(), pool=sample_pool(), seeds=0)
