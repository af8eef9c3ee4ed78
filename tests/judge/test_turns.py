"""Comparisons of later turns, and inputs: from files to what a judge is shown, swapped, keyed and refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from selkit.api import Comparison, Context, DataError, EarlierTurn, Judgement, PairwiseJudge, UsageError
from selkit.judge import PairwiseJob, join_files, run_pairwise
from selkit.judge.canaries import canary_comparisons
from selkit.judge.engine import judging_key
from selkit.judge.exchange import export_comparisons
from selkit.store import Store


@dataclass
class Reader(PairwiseJudge):
    """Prefers the first response, and keeps what it is shown."""

    name = "reader"
    most_turns = 2
    shown: ClassVar[list[Comparison]] = []

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """1 for each."""
        self.shown.extend(comparisons)
        return [Judgement.of(c, 1.0) for c in comparisons]


@dataclass
class OneTurn(Reader):
    """Is shown single turns."""

    name = "one-turn"
    most_turns = 1


def answers(path: Path, name: str, **more: Any) -> Path:
    """A first turn, and a second one after it; ``more`` replaces what stands in the second row."""
    history = [{"role": "user", "content": "Name a city."}, {"role": "assistant", "content": f"{name}1"}]
    second = {"id": "a/turn-2", "prompt": "Why?", "response": f"{name}2", "history": history} | more
    rows = [{"id": "a", "prompt": "Name a city.", "response": f"{name}1"}, second]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_both_sides_earlier_turns_reach_the_judge_in_both_orders(tmp_path: Path) -> None:
    """Each side with its own answers; swapped with the responses, twice is back."""
    files = answers(tmp_path / "x.jsonl", "x"), answers(tmp_path / "y.jsonl", "y")
    Reader.shown.clear()
    run_pairwise(PairwiseJob.prepare(*files, Reader()), Store(tmp_path / "store"))
    seen = {(c.id, c.order): c for c in Reader.shown}
    assert len(seen) == 4
    assert seen["a", "first"].earlier == ()
    assert seen["a/turn-2", "first"].earlier == (EarlierTurn("Name a city.", "x1", "y1"),)
    assert seen["a/turn-2", "second"].earlier == (EarlierTurn("Name a city.", "y1", "x1"),)
    assert all(c.swapped().swapped() == c for c in Reader.shown)


def test_equal_last_answers_after_different_ones_are_no_tie_by_rule() -> None:
    """Only what is equal in every turn is left to the host."""
    same = Comparison("a", "Why?", "z", "z", earlier=(EarlierTurn("q", "x", "x"),))
    assert same.equal
    assert not replace(same, earlier=(EarlierTurn("q", "x", "y"),)).equal
    assert not replace(same, second="y").equal


def test_keys_know_earlier_turns_and_inputs_and_stay_what_they_were_without() -> None:
    """What a judge is shown stands in the key."""
    plain = Comparison("a", "Add.\n1 2", "3", "4")
    keys = {
        judging_key(Reader(), [c]).digest
        for c in (plain, replace(plain, input="1 2"), replace(plain, earlier=(EarlierTurn("q", "x", "y"),)))
    }
    assert len(keys) == 3
    assert replace(plain, input="1 2").instruction == "Add."
    assert plain.instruction == plain.prompt


def test_inputs_and_references_come_from_the_test_set(tmp_path: Path) -> None:
    """By id; a response whose id the test set does not know has neither."""
    row = {"id": "a", "instruction": "Name a city.", "input": "In France.", "reference": "Paris"}
    (tmp_path / "set.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    files = answers(tmp_path / "x.jsonl", "x"), answers(tmp_path / "y.jsonl", "y")
    job = PairwiseJob.prepare(*files, Reader(), testset=str(tmp_path / "set.jsonl"))
    assert [(c.reference, c.input) for c in job.comparisons] == [("Paris", "In France."), (None, "")]


def test_canaries_take_the_place_of_the_last_answer() -> None:
    """What was said before stays."""
    earlier = (EarlierTurn("Name a city.", "x1", "y1"),)
    found = canary_comparisons([Comparison("a", "Why?", "x2", "y2", earlier=earlier)])
    assert {c.earlier for c in found} == {earlier}
    assert {c.second for c in found} == {"y2"}


@pytest.mark.parametrize(
    "history",
    [
        "Name a city.",
        [{"role": "user", "content": "Name a city."}],
        [{"role": "assistant", "content": "y1"}, {"role": "user", "content": "Name a city."}],
        [{"role": "user", "content": "Name a city."}, {"role": "assistant"}],
        ["Name a city.", "y1"],
    ],
)
def test_a_malformed_history_is_named_with_its_line(tmp_path: Path, history: Any) -> None:
    """Line 2."""
    files = answers(tmp_path / "x.jsonl", "x"), answers(tmp_path / "y.jsonl", "y", history=history)
    with pytest.raises(DataError, match=r"y\.jsonl, line 2: 'history'"):
        join_files(*files)


def test_conversations_whose_users_said_different_things_are_refused(tmp_path: Path) -> None:
    """Another first turn, or none, is another conversation."""
    other = [{"role": "user", "content": "Name a town."}, {"role": "assistant", "content": "y1"}]
    for history in (other, []):
        files = answers(tmp_path / "x.jsonl", "x"), answers(tmp_path / "y.jsonl", "y", history=history)
        with pytest.raises(DataError, match="different prompts under 1"):
            join_files(*files)


def test_judges_of_one_turn_refuse_later_ones_before_anything_is_asked(tmp_path: Path) -> None:
    """Judging and export alike."""
    files = answers(tmp_path / "x.jsonl", "x"), answers(tmp_path / "y.jsonl", "y")
    with pytest.raises(UsageError, match=r"1 comparisons, e\.g\. 'a/turn-2', have earlier turns"):
        PairwiseJob.prepare(*files, OneTurn())
    pytest.importorskip("selkit_judge_human")
    with pytest.raises(UsageError, match="'human' is shown 1 in all"):
        export_comparisons(*files, tmp_path / "study")
