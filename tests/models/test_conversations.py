"""Conversations answered turn by turn, each after the model's own answers, also after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import ALPACA, Decoding, Example, Generation, Turn, UsageError
from selkit.models.conversations import answer_turns
from selkit.models.generate import GenerationJob, answer_rows, generate_responses
from selkit.pools import TestPrompt, TestSet
from selkit.store import Store

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=1024&seed=5"
SET = TestSet(
    "talks",
    (
        TestPrompt("a", Example("a", "Name a city."), turns=("Why that one?", "And its river?")),
        TestPrompt("b", Example("b", "Say no more.")),
        TestPrompt("c", Example("c", "Count.", history=(Turn("system", "Be brief."),)), turns=("Go on.",)),
    ),
)


class Counting:
    """A model that answers with the number of the answer, and fails after a given number of them."""

    ref = digest = "counting"

    def __init__(self, fails_after: int = 10**9, start: int = 0) -> None:
        self.left = fails_after
        self.count = start
        self.asked: list[str] = []

    def generate(self, prompts: Iterator[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """`` answer 1``, `` answer 2``, ..."""
        for prompt in prompts:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.count += 1
            self.asked.append(prompt)
            yield [Generation(f" answer {self.count}\n", "stop", 2)]


def talk(model: Counting, partial: Path | None = None) -> list[dict[str, Any]]:
    """All turns of the set, one prompt a block."""

    def answer(testset: TestSet, own: Path | None) -> list[dict[str, Any]]:
        return answer_rows(lambda: model, testset, ALPACA, Decoding(), partial=own, block=1)  # type: ignore[arg-type]

    return answer_turns(answer, SET, partial)


def test_each_turn_follows_the_models_own_answers() -> None:
    """Turn two holds turn one and its answer, turn three both; rows stand by conversation."""
    model = Counting()
    rows = talk(model)
    assert [row["id"] for row in rows] == ["a", "a/turn-2", "a/turn-3", "b", "c", "c/turn-2"]
    by_id = {row["id"]: row for row in rows}
    first, second = by_id["a"]["response"], by_id["a/turn-2"]["response"]
    assert by_id["a/turn-3"]["history"] == [
        {"role": "user", "content": "Name a city."},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Why that one?"},
        {"role": "assistant", "content": second},
    ]
    assert by_id["a/turn-3"]["prompt"] == "And its river?"
    assert "history" not in by_id["a"]
    history = (Turn("user", "Name a city."), Turn("assistant", first))
    assert ALPACA.prompt(Example("x", "Why that one?", history=history)) in model.asked
    briefly = (Turn("system", "Be brief."), Turn("user", "Count."), Turn("assistant", by_id["c"]["response"]))
    assert ALPACA.prompt(Example("x", "Go on.", history=briefly)) in model.asked


@pytest.mark.parametrize("after", [1, 3, 4, 5])
def test_an_interrupted_conversation_goes_on_with_the_same_answers(tmp_path: Path, after: int) -> None:
    """Nothing that was answered is asked again, and later turns follow the answers that were kept."""
    cut, partial = Counting(fails_after=after), tmp_path / "answers.jsonl"
    with pytest.raises(KeyboardInterrupt):
        talk(cut, partial)
    rest = Counting(start=after)
    assert talk(rest, partial) == talk(Counting())
    assert len(cut.asked) + len(rest.asked) == 6


def test_responses_of_all_turns_are_another_artefact(tmp_path: Path) -> None:
    """The key of first turns stays what it was; all turns have a key of their own, and a file that says so."""
    pytest.importorskip("torch")
    store = Store(tmp_path / "store")
    how = {"decoding": Decoding(max_new_tokens=3), "template": "plain", "store": store}
    one = generate_responses(TINY, SET, tmp_path / "one.jsonl", **how)  # type: ignore[arg-type]
    every = generate_responses(TINY, SET, tmp_path / "all.jsonl", turns="all", **how)  # type: ignore[arg-type]
    assert one.key != every.key
    assert (one.answers, every.answers) == (3, 6)
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
    assert [len(row.get("history", [])) for row in rows] == [0, 2, 4, 0, 0, 2]


def test_several_samples_are_no_conversation() -> None:
    """Refused before a model loads."""
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="several samples"):
        GenerationJob.prepare(TINY, SET, decoding=Decoding(samples=2, temperature=1.0), turns="all")
