"""What training sees of a row: where the loss begins, what is cut off, what is dropped, what runs together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import ALPACA, PLAIN, Example, Pool, Turn
from selkit.train.sequences import common_length, prepare, with_end
from selkit.train.turns import Pair, answered, training_pairs


@dataclass
class Letters:
    """A tokenizer of letters, except that the pairs in ``merges`` are one token; it puts a 0 before every text."""

    merges: Sequence[str] = ()
    eos_token: str = "$"

    def __call__(self, texts: Sequence[str]) -> dict[str, list[list[int]]]:
        """Ids of several texts, as tokenizers give them."""
        return {"input_ids": [self.encode(text) for text in texts]}

    def encode(self, text: str) -> list[int]:
        """Ids of one text: the character's number, or 1000 + the merge's place."""
        ids, at = [0], 0
        while at < len(text):
            merged = text[at : at + 2] in self.merges
            ids.append(1000 + list(self.merges).index(text[at : at + 2]) if merged else ord(text[at]))
            at += 2 if merged else 1
        return ids


def made(*pairs: tuple[str, str], max_length: int = 100, merges: Sequence[str] = ()) -> Any:
    """Prepares pairs of prompt and response, with ids a, b, c, ..."""
    named = [Pair(chr(97 + place), 1, *pair) for place, pair in enumerate(pairs)]
    return prepare(named, Letters(merges), max_length)  # type: ignore[arg-type]


def test_lengths_are_counted_with_start_and_end() -> None:
    """The start token belongs to the prompt, the end mark to the response."""
    prepared = made(("abc", "de"))
    assert prepared.kept[0].prompt == 4
    assert prepared.kept[0].total == 7
    assert (prepared.supervised_tokens, prepared.total_tokens, prepared.longest) == (3, 7, 7)


def test_a_long_response_is_cut_and_counted() -> None:
    """What lies beyond the length is not counted as trained."""
    prepared = made(("abc", "defghij"), ("x", "y"), max_length=6)
    assert prepared.truncated == {"a"}
    assert (prepared.supervised_tokens, prepared.total_tokens) == (2 + 2, 6 + 4)
    assert prepared.dropped == ()


@pytest.mark.parametrize(("length", "kept"), [(3, False), (4, False), (5, True)])
def test_a_prompt_that_fills_the_sequence_is_dropped_with_its_reason(length: int, kept: bool) -> None:
    """A row stays as soon as one token of its response fits."""
    prepared = made(("abc", "de"), max_length=length)
    assert [item.pair.id for item in prepared.kept] == (["a"] if kept else [])
    assert [(drop.id, "4 tokens" in drop.reason) for drop in prepared.dropped] == ([] if kept else [("a", True)])


def test_tokens_that_merge_over_the_boundary_are_told() -> None:
    """Where the prompt's last letter and the response's first become one token, the loss begins before it."""
    prepared = made(("abc", "de"), ("abx", "de"), merges=["cd"])
    assert prepared.merged == {"a"}
    assert [item.prompt for item in prepared.kept] == [3, 4]


def test_the_end_mark_is_not_doubled() -> None:
    """As in TRL, a response that ends with the mark gets no second one."""
    assert with_end("yes", Letters()) == "yes$"  # type: ignore[arg-type]
    assert with_end("yes$", Letters()) == "yes$"  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_length_is_the_longest_shared_start(first: list[int], second: list[int]) -> None:
    """Against trying every length."""
    best = max(n for n in range(min(len(first), len(second)) + 1) if first[:n] == second[:n])
    assert common_length(first, second) == best


def test_last_turn_trains_once_with_its_history() -> None:
    """A conversation whose last turn trains is one pair, and its prompt holds what came earlier."""
    history = (Turn("user", "one"), Turn("assistant", "eins"))
    pool = Pool.from_examples([Example("talk", "two", "", "zwei", history)])
    pairs = list(training_pairs(pool, PLAIN))
    assert [(pair.id, pair.turn, pair.response) for pair in pairs] == [("talk", 1, "zwei")]
    assert pairs[0].prompt == "one\neins\ntwo\n"


def test_all_turns_train_each_with_what_came_before(conversations: Pool) -> None:
    """Each assistant turn is a pair whose prompt is the conversation up to its user turn."""
    pairs = list(training_pairs(conversations, PLAIN))
    assert [(pair.id, pair.turn, pair.response) for pair in pairs] == [
        ("talk", 1, "eins"),
        ("talk", 2, "zwei"),
        ("talk", 3, "drei"),
        ("word", 1, "vier"),
    ]
    assert [pair.prompt for pair in pairs] == [
        "Be brief.\n\none\n",
        "Be brief.\n\none\neins\ntwo\n",
        "Be brief.\n\none\neins\ntwo\nzwei\nthree\n",
        "four\n",
    ]


def test_the_input_stands_in_the_last_turn_alone() -> None:
    """Earlier turns of a row with an input are formatted without it."""
    history = (Turn("user", "one"), Turn("assistant", "eins"))
    row = Example("talk", "two", "the input", "zwei", history)
    first, last = answered(row, "all")
    assert "Input" not in ALPACA.prompt(first)
    assert "the input" in ALPACA.prompt(last)


def test_an_answer_to_nobody_does_not_train() -> None:
    """An assistant turn that opens the conversation has no user turn to answer."""
    history = (Turn("assistant", "hello"), Turn("user", "one"), Turn("assistant", "eins"))
    row = Example("talk", "two", "", "zwei", history)
    assert [shown.response for shown in answered(row, "all")] == ["eins", "zwei"]
