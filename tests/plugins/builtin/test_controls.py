"""Random choice and the controls beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import ByGrade

from selkit.api import BudgetError, DataError, Pool, UsageError
from selkit.plugins.builtin.controls import LengthMatchedRandom, StrictRandom, apportion, decile_of
from selkit.plugins.builtin.length import Longest
from selkit.plugins.builtin.random import Random, RandomLowOverlap
from selkit.select import Arms, select, write_selection
from selkit.store import Store


def saved(pool: Pool, store: Store, folder: Path, budget: int = 12) -> str:
    """The folder of a selection of the longest rows."""
    folder.mkdir()
    result = select(pool, Longest(unit="words"), budget, store=store)
    write_selection(result, folder, measured={})
    return str(folder)


def test_random_is_uniform(pool: Pool, store: Store) -> None:
    """Over 400 draws of 10 from 40 every row is drawn about 100 times (5 standard deviations either way)."""
    counts = Counter(i for seed in range(400) for i in select(pool, Random(), 10, seed=seed, store=store).ids)
    assert set(counts) == set(pool.ids)
    assert all(abs(count - 100) < 5 * np.sqrt(400 * 0.25 * 0.75) for count in counts.values())


def test_strict_random_draws_from_what_nobody_chose(pool: Pool, store: Store, tmp_path: Path) -> None:
    """Never a row of the named folders; every other row can come."""
    folder = saved(pool, store, tmp_path / "longest")
    taken = set(select(pool, Longest(unit="words"), 12, store=store).ids)
    result = select(pool, StrictRandom(without=(folder,)), 28, store=store)
    assert set(result.ids) == set(pool.ids) - taken
    with pytest.raises(BudgetError, match="leave 28 of 40"):
        select(pool, StrictRandom(without=(folder,)), 29, store=store)


def test_strict_random_uses_the_arms_of_the_experiment(pool: Pool, store: Store) -> None:
    """Without folders it leaves out what the other arms chose, and its key changes when they choose otherwise."""
    chosen = {"a": pool.ids[:10], "b": pool.ids[5:20]}
    result = select(pool, StrictRandom(), 20, store=store, arms=Arms(chosen=chosen))
    assert set(result.ids) == set(pool.ids[20:])
    other = select(pool, StrictRandom(), 20, store=store, arms=Arms(chosen={"a": pool.ids[:10]}))
    assert other.key != result.key


def test_strict_random_without_anything_to_avoid_is_refused(pool: Pool, store: Store) -> None:
    """The refusal says how to name folders."""
    with pytest.raises(UsageError, match="-p without=DIR,DIR"):
        select(pool, StrictRandom(), 5, store=store)
    with pytest.raises(DataError, match="no finished selection"):
        select(pool, StrictRandom(without=("nowhere",)), 5, store=store)


def test_low_overlap_is_kept_or_refused(pool: Pool, store: Store) -> None:
    """The stated overlap holds for every seed, and an impossible one is refused with the lowest that was seen."""
    arms = Arms(chosen={"a": pool.ids[:20]})
    for seed in range(20):
        ids = select(pool, RandomLowOverlap(max_overlap=0.3), 10, seed=seed, store=store, arms=arms).ids
        assert len(set(ids) & set(pool.ids[:20])) <= 3
    with pytest.raises(DataError, match="the lowest was"):
        select(pool, RandomLowOverlap(max_overlap=0.3, attempts=20), 35, store=store, arms=arms)


def test_length_matched_random_has_the_profile_of_the_other(pool: Pool, store: Store, tmp_path: Path) -> None:
    """Counts per decile of the pool's lengths are equal; the rows are not all the same."""
    folder = saved(pool, store, tmp_path / "like", budget=10)
    like = select(pool, Longest(unit="words"), 10, store=store).ids
    words = {example.id: len(example.response.split()) for example in pool}
    decile = dict(zip(words, decile_of(np.array(list(words.values()))), strict=True))
    draws = [select(pool, LengthMatchedRandom(like=folder), 10, seed=seed, store=store).ids for seed in range(8)]
    for ids in draws:
        assert Counter(decile[i] for i in ids) == Counter(decile[i] for i in like)
    assert len({frozenset(ids) for ids in draws}) > 1


@given(st.lists(st.integers(0, 50), min_size=10, max_size=10).filter(any), st.integers(0, 300))
def test_apportion_is_exact_and_close_to_proportional(profile: list[int], k: int) -> None:
    """The parts sum to k and none is a whole row off its share."""
    counts = apportion(np.array(profile), k)
    assert counts.sum() == k
    assert all(abs(count - p * k / sum(profile)) < 1 for count, p in zip(counts, profile, strict=True))


def test_low_scores_do_not_make_a_control(pool: Pool, store: Store) -> None:
    """Baselines are marked, methods are not: strict-random counts only the latter."""
    assert Random.baseline
    assert StrictRandom.baseline
    assert LengthMatchedRandom.baseline
    assert not RandomLowOverlap.baseline
    assert not ByGrade.baseline
