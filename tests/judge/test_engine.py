"""Judging: both orders, equal responses, interruption, and scores over stored passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import Comparison, Context, ContractViolation, Judgement, Outcome, PairwiseJudge, UsageError
from selkit.judge import item_scores, judge_health, judge_pairs, pass_from_row, pass_row
from selkit.models import HostContext
from selkit.plugins import build
from selkit.store import Store


@dataclass
class Longer(PairwiseJudge):
    """Prefers the longer response; ``shown`` collects what it was asked."""

    name = "longer"
    shown: ClassVar[list[tuple[str, str]]] = []
    fail_at: ClassVar[int] = -1

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """1, 0 or 0.5 by length."""
        for c in comparisons:
            if len(self.shown) == type(self).fail_at:
                type(self).fail_at = -1
                raise RuntimeError("cut off")
            self.shown.append((c.id, c.order))
            lead = len(c.first) - len(c.second)
            yield Judgement.of(c, 0.5 if lead == 0 else float(lead > 0))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return Store(tmp_path / "store")


@pytest.fixture
def ctx(tmp_path: Path) -> HostContext:
    """A context without services."""
    Longer.shown.clear()
    return HostContext(seed=0, cache_dir=tmp_path)


def comparisons(n: int) -> list[Comparison]:
    """The first response is longer for even ids."""
    return [Comparison(f"c{i}", "say", "x" * (i % 2 or 3), "y" * 2) for i in range(n)]


def test_both_orders_are_judged_and_averaged(ctx: HostContext, store: Store) -> None:
    """A judge without position bias gives 1 or 0 in the mean; each order is asked once."""
    passes, _ = judge_pairs(Longer(), comparisons(6), ctx, store)
    assert len(passes) == 12
    assert item_scores(passes) == {f"c{i}": float(i % 2 == 0) for i in range(6)}
    assert judge_health(passes)["inconsistency"] == 0.0


def test_equal_responses_are_a_tie_without_a_call(ctx: HostContext, store: Store) -> None:
    """The judge never sees them."""
    passes, _ = judge_pairs(Longer(), [Comparison("a", "say", "same", "same")], ctx, store)
    assert item_scores(passes) == {"a": 0.5}
    assert Longer.shown == []


def test_nothing_is_judged_twice(ctx: HostContext, store: Store) -> None:
    """Not on a second call, and after a crash only what has no answer yet."""
    Longer.fail_at = 5
    with pytest.raises(RuntimeError, match="cut off"):
        judge_pairs(Longer(), comparisons(6), ctx, store)
    judge_pairs(Longer(), comparisons(6), ctx, store)
    judge_pairs(Longer(), comparisons(6), ctx, store)
    assert len(Longer.shown) == len(set(Longer.shown)) == 12


def test_a_pass_without_verdict_leaves_no_score(ctx: HostContext, store: Store) -> None:
    """Never a tie, never a loss."""
    comparison = Comparison("a", "say", "x", "y")
    one = Judgement.of(comparison, 1.0)
    other = Judgement.failed(comparison.swapped(), Outcome.REFUSAL, "no")
    assert item_scores([one, other]) == {"a": None}
    assert judge_health([one, other])["outcomes"] == {"ok": 1, "refusal": 1}


@pytest.mark.parametrize("answer", [None, 1.5])
def test_a_judge_outside_its_contract_is_caught(ctx: HostContext, store: Store, answer: float | None) -> None:
    """No answer, and a preference outside [0, 1]."""

    @dataclass
    class Broken(PairwiseJudge):
        name = "broken"

        def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
            """One bad answer, or none."""
            return [] if answer is None else [Judgement.of(c, answer) for c in comparisons]

    with pytest.raises(ContractViolation):
        judge_pairs(Broken(), comparisons(2), ctx, store)


@given(st.sampled_from(["first", "second"]), st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]), st.text())
def test_passes_survive_storage(order: str, preference: float | None, raw: str) -> None:
    """A row of passes.jsonl gives the same judgement back."""
    outcome = Outcome.MALFORMED if preference is None else Outcome.OK
    judgement = Judgement("a", order, outcome, preference, raw, "why", {"input": 3.0})
    assert pass_from_row(pass_row("j", judgement)) == judgement


def test_reference_judge_agrees_with_sacrebleu_and_ties_inside_the_margin(ctx: HostContext, store: Store) -> None:
    """The nearer response wins; a difference within the margin is a tie; without references it is refused."""
    chrf = pytest.importorskip("sacrebleu.metrics.chrf").CHRF()
    near, far, truth = "the cat sat on the mat", "a dog ran", "the cat sat on a mat"
    lead = chrf.sentence_score(near, [truth]).score - chrf.sentence_score(far, [truth]).score
    case = [Comparison("a", "say", near, far, truth)]
    strict, lax = build("judge", "reference", {"margin": 1.0}), build("judge", "reference", {"margin": lead + 0.1})
    assert item_scores(judge_pairs(strict, case, ctx, store)[0]) == {"a": 1.0}
    assert item_scores(judge_pairs(lax, case, ctx, store)[0]) == {"a": 0.5}
    with pytest.raises(UsageError, match="1 prompts have none"):
        judge_pairs(strict, [Comparison("a", "say", near, far)], ctx, store)
