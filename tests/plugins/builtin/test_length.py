"""Longest and shortest, in every unit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selkit.api import Example, Pool, UsageError
from selkit.plugins.builtin.length import Longest, Shortest
from selkit.select import select
from selkit.store import Store

TEXTS = st.lists(st.text(alphabet="ab \n\t\u3000é漢😀", max_size=12), min_size=1, max_size=12)


def pool_of(texts: list[str]) -> Pool:
    """One row per text."""
    return Pool.from_examples(Example(f"{i:03d}", "say", response=text) for i, text in enumerate(texts))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(texts=TEXTS)
def test_lengths_are_those_of_python(texts: list[str], store: Store) -> None:
    """Words as str.split counts them, characters as len does."""
    pool = pool_of(texts)
    for unit, count in (("words", lambda t: len(t.split())), ("characters", len)):
        scores = select(pool, Longest(unit=unit), len(texts), store=store).selection.scores
        assert [scores[f"{i:03d}"] for i in range(len(texts))] == [count(text) for text in texts]


def test_longest_and_shortest_are_opposite_ends(store: Store) -> None:
    """And equal lengths go to the smaller id at both ends."""
    pool = pool_of(["a b", "a", "a b c", "b", "c d e"])
    assert select(pool, Longest(unit="words"), 3, store=store).ids == ("002", "004", "000")
    assert select(pool, Shortest(unit="words"), 3, store=store).ids == ("001", "003", "000")


def test_tokens_without_a_tokenizer_are_refused_with_a_way_out(pool: Pool, store: Store) -> None:
    """The refusal offers unit=words."""
    with pytest.raises(UsageError, match="unit=words"):
        select(pool, Longest(), 3, store=store)


def test_the_unit_is_recorded(pool: Pool, store: Store) -> None:
    """In the parameters of the key, and so in the manifest."""
    assert select(pool, Longest(unit="words"), 3, store=store).key.parameters["unit"] == "words"


def test_tokens_take_the_base_model(pool: Pool, store: Store) -> None:
    """Without a tokenizer of its own the selector counts with the experiment's base model, and says so."""
    pytest.importorskip("torch")
    result = select(pool, Longest(), 4, store=store, base_model="tiny:bytes")
    assert result.key.parameters["tokenizer"] == "tiny:bytes"
    by_words = select(pool, Longest(unit="words"), 4, store=store)
    assert set(result.ids) == set(by_words.ids)
