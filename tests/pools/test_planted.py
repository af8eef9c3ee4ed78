"""The planted pool says the truth about itself."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import UsageError
from selkit.pools import CORRUPTIONS, load_pool, planted_pool, planted_prompts, planted_vocabulary
from selkit.pools.planted import TASKS

# Written out once more, so that the programs of the pool are held against others.
ANSWERS = {
    "Reverse the words.": lambda words: [words[len(words) - 1 - i] for i in range(len(words))],
    "Repeat the words.": list,
    "Write the words in capitals.": lambda words: " ".join(words).upper().split(),
    "Swap the first and the last word.": lambda words: [words[-1], *words[1 : len(words) - 1], words[0]],
    "Leave out the first word.": lambda words: [word for i, word in enumerate(words) if i > 0],
    "Write the last word.": lambda words: [words.pop()],
}


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 300),
    corrupted=st.floats(0, 1),
    kinds=st.lists(st.sampled_from(sorted(CORRUPTIONS)), min_size=1, unique=True),
    seed=st.integers(0, 10**9),
)
def test_truth_is_what_it_says(rows: int, corrupted: float, kinds: list[str], seed: int) -> None:
    """Exactly the stated share is wrong, in the stated ways, and all else is right; prompts are unique."""
    pool = planted_pool(rows, corrupted, kinds, seed)
    assert len(pool) == rows
    assert len({row.question for row in pool}) == rows
    assert sum(not row.extra["truth"] for row in pool) == round(rows * corrupted)
    for row in pool:
        right = " ".join(ANSWERS[row.instruction](row.input.split()))
        assert row.extra["answer"] == right
        assert (row.response == right) == row.extra["truth"] == (row.extra["corruption"] == "none")
        assert row.extra["corruption"] in {*kinds, "none", "wrong-answer"}


def test_kinds_of_corruption_are_what_they_say() -> None:
    """Each kind does to the right answer what its name says."""
    checks = {
        "wrong-answer": lambda said, right: len(said) == len(right) and not set(said) & set(right),
        "truncated": lambda said, right: 0 < len(said) < len(right) and said == right[: len(said)],
        "shuffled": lambda said, right: said != right and sorted(said) == sorted(right),
        "empty": lambda said, right: said == [],
        "duplicated": lambda said, right: len(said) > 4 and said == right * (len(said) // len(right)),
        "off-topic": lambda said, right: len(said) > 4,
        "padded": lambda said, right: said[: len(right)] == right and len(said) > 8,
    }
    pool = planted_pool(rows=700, corrupted=1.0, kinds=sorted(CORRUPTIONS))
    counts = Counter(row.extra["corruption"] for row in pool)
    assert set(counts) == set(CORRUPTIONS)
    assert min(counts.values()) > 60
    for row in pool:
        assert checks[row.extra["corruption"]](row.response.split(), row.extra["answer"].split()), row


def test_longest_responses_are_corrupted() -> None:
    """A quarter of the pool that is picked by length holds no clean row: 'longest' is a trap here."""
    rows = sorted(planted_pool(), key=lambda row: -len(row.response.split()))[:250]
    assert not any(row.extra["truth"] for row in rows)


def test_planted_pool_is_the_same_everywhere() -> None:
    """The default pool never changes; another seed gives other rows."""
    assert planted_pool().fingerprint == GOLDEN
    assert len(set(planted_pool(seed=1).ids) & set(planted_pool().ids)) < 300


GOLDEN = "adbe4fc222743f09fcc076f2183f1e38eba47e0798fda57c96eb618a4b4424f9"


def test_held_out_prompts_stand_in_no_pool() -> None:
    """Prompts for testing are disjoint from every pool, whatever the seeds, and have right answers."""
    held = {row.question: row for seed in range(3) for row in planted_prompts(200, seed)}
    trained = {row.question for seed in range(3) for row in planted_pool(3000, 0.0, seed=seed)}
    assert not set(held) & trained
    assert all(row.response == " ".join(ANSWERS[row.instruction](row.input.split())) for row in held.values())


def test_vocabulary_is_complete_and_small() -> None:
    """Every word of every task and response is in the vocabulary."""
    known = set(planted_vocabulary())
    said = {word for row in planted_pool(2000) for word in f"{row.question} {row.response}".replace(".", " .").split()}
    assert said <= known
    assert len(known) < 64


def test_large_pools_have_longer_tasks() -> None:
    """Up to four thousand rows have tasks of three words; there is an end to how many rows there are."""
    assert {len(row.input.split()) for row in planted_pool(4000)} == {3}
    assert {len(row.input.split()) for row in planted_pool(5000)} == {4}
    with pytest.raises(UsageError, match="ask for fewer"):
        planted_pool(10**8)
    with pytest.raises(UsageError, match="ask for fewer"):
        planted_prompts(5000)


def test_options_of_the_named_pool() -> None:
    """'planted' is a name that load_pool knows, with its options."""
    pool = load_pool({"name": "planted", "rows": 40, "corrupted": 0.25, "kinds": ["padded"], "seed": 3})
    assert Counter(row.extra["corruption"] for row in pool) == {"none": 30, "padded": 10}
    assert load_pool("planted").fingerprint == GOLDEN
    assert {row.extra["task"] for row in pool} <= set(TASKS)
