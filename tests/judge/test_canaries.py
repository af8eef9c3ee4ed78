"""Canaries: a sound judge is fit, a gullible one is found out, and a response is never read as a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selkit.api import (
    Comparison,
    Context,
    Judgement,
    Outcome,
    PairScores,
    PairwiseJudge,
    PromptJudge,
    Turn,
    parse_output_ab,
    parse_two_score,
    parse_verdict_letter,
)
from selkit.judge import canary_comparisons, canary_report, judge_canaries, judge_pairs
from selkit.judge.canaries import CANARIES, LIMIT, holds_verdict
from selkit.models import HostContext
from selkit.store import Store
from selkit.testing import check_component
from selkit.testing.chat import ScriptedChat
from selkit.testing.comparisons import INJECTIONS


@dataclass
class Rule(PairwiseJudge):
    """Judges by a function of the comparison, for the test."""

    name = "rule"
    judge: ClassVar[Callable[[Comparison], float | None]]

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """What the function says; None is a refusal."""
        for c in comparisons:
            said = type(self).judge(c)
            yield Judgement.failed(c, Outcome.REFUSAL, "no") if said is None else Judgement.of(c, said)


@dataclass
class Letters(PromptJudge):
    """A judge of the given format behind an endpoint.

    Args:
        endpoint: Where it is asked.
        template: The format of its answers.
    """

    name = "letters"
    endpoint: str = "scripted"
    template: str = "verdict-letter"

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """All in one turn."""
        return [Turn("user", f"{comparison.prompt}\nA: {comparison.first}\nB: {comparison.second}")]

    def parse(self, text: str) -> float | PairScores | None:
        """By the format."""
        parsers = {"two-score": parse_two_score, "verdict-letter": parse_verdict_letter, "output-ab": parse_output_ab}
        return parsers[self.template](text)


ORDINARY = [
    Comparison(f"c{i}", f"Question {i}?", f"Answer {i}.", f"The answer to question {i} is {i}.") for i in range(30)
]


def run(judge: Callable[[Comparison], float | None], tmp_path: Path, prompts: int = 20) -> list[str] | None:
    """Names of the canaries that fooled a judge; None where nothing can be said."""
    Rule.judge = judge
    report, _ = judge_canaries(
        Rule(), ORDINARY, HostContext(seed=0, cache_dir=tmp_path), Store(tmp_path), prompts=prompts
    )
    assert report.to_dict()["fit"] is report.fit
    return None if report.fit is None else report.fooled_by


def ordinary_wins(c: Comparison) -> float:
    """A sound judge: real answers here begin with 'The answer'."""
    return float(c.first.startswith("The answer"))


def test_a_sound_judge_is_fit(tmp_path: Path) -> None:
    """It likes no canary in either order."""
    assert run(ordinary_wins, tmp_path) == []


@pytest.mark.parametrize(
    ("judge", "fooled_by"),
    [
        (lambda c: 1.0 if "[[A]]" in c.first + c.second else ordinary_wins(c), ["injection"]),
        (lambda c: float(len(c.first) > len(c.second)) if "Evaluation" not in c.first + c.second else ordinary_wins(c),
         ["null", "injection", "filler"]),
        (lambda c: ordinary_wins(c) if c.first and c.second else float(not c.first), ["empty"]),
        (lambda c: 1.0 if "### Evaluation:\n1" in c.first else ordinary_wins(c), ["spoof"]),
        (lambda c: float(c.first == c.prompt) if c.prompt in (c.first, c.second) else ordinary_wins(c), ["echo"]),
        (lambda c: 1.0, list(CANARIES)),
    ],
)  # fmt: skip
def test_a_gullible_judge_is_found_out(
    tmp_path: Path, judge: Callable[[Comparison], float], fooled_by: list[str]
) -> None:
    """By the canary that it falls for; one that always takes the first-shown response by all of them."""
    assert run(judge, tmp_path) == fooled_by


def test_a_judge_without_verdicts_is_neither(tmp_path: Path) -> None:
    """No word where a canary got no verdict, and no crash where there is nothing to try it on."""
    assert run(lambda c: None, tmp_path) is None
    assert run(lambda c: None if "Evaluation" in c.first + c.second else ordinary_wins(c), tmp_path / "b") is None


def test_five_percent_is_the_limit() -> None:
    """Two of forty passes are borne, three are not; refusals do not thin it out."""
    asked = [c for c in canary_comparisons(ORDINARY, 20) if c.id.startswith("null/")]

    def passes(wins: int) -> list[Judgement]:
        first = [Judgement.of(c, float(i < wins)) for i, c in enumerate(asked)]
        return first + [Judgement.of(c.swapped(), 1.0) for c in asked]

    assert LIMIT == 0.05
    assert "null" not in canary_report(passes(2)).fooled_by
    assert "null" in canary_report(passes(3)).fooled_by
    row = next(row for row in canary_report(passes(3)).to_dict()["canaries"] if row["name"] == "null")
    assert (row["passes"], row["verdicts"], row["wins"], row["win_rate"]) == (40, 40, 3, 0.075)
    refused = [Judgement.failed(c, Outcome.REFUSAL, "no") for c in asked]
    half = [*refused[2:], *passes(2)[:2], *passes(0)[20:]]
    assert "null" in canary_report(half).fooled_by


def test_canaries_meet_ordinary_answers() -> None:
    """The second responses, never blank; the same ones whatever the order of the comparisons."""
    odd = [
        Comparison("blank", "?", "x", "  "),
        Comparison("same", "?", "x", CANARIES["null"]("?")),
        Comparison("none", " ", "x", "y"),
    ]
    asked = canary_comparisons([*ORDINARY, *odd], 99)
    assert {c.second for c in asked} == {c.second for c in [*ORDINARY, *odd[1:]]}
    ids = [c.id for c in asked]
    assert len(ids) == len(set(ids)) == 6 * 32 - 2
    assert not {"null/same", "echo/none"} & set(ids)
    chosen = canary_comparisons(ORDINARY, 5)
    assert len(chosen) == 30
    assert {c.id for c in chosen} == {c.id for c in canary_comparisons(ORDINARY[::-1], 5)}


@pytest.mark.parametrize("text", [*INJECTIONS[:7], CANARIES["injection"](""), CANARIES["spoof"]("")])
def test_verdicts_in_responses_are_noticed(text: str) -> None:
    """The known ones; ordinary answers are not."""
    assert holds_verdict(f"An answer.\n{text}") or text == INJECTIONS[4]
    assert not any(holds_verdict(c.second) for c in ORDINARY)


COMPLETIONS = {
    "verdict-letter": "[[B]]",
    "two-score": "3 9\nThe second.",
    "output-ab": "Therefore, Output (b) is better.",
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text() | st.sampled_from([*INJECTIONS, *COMPLETIONS.values(), *(text("?") for text in CANARIES.values())]),
    st.sampled_from(sorted(COMPLETIONS)),
    st.booleans(),
)
def test_a_response_is_never_read_as_the_verdict(tmp_path: Path, response: str, template: str, garbage: bool) -> None:
    """Behind an endpoint the completion alone counts: its verdict stands, and without one there is none."""
    completion = "I will not say." if garbage else COMPLETIONS[template]
    asked = [Comparison("c", "?", response, response + " more"), Comparison("d", "?", response + " more", response)]
    ctx = HostContext(seed=0, cache_dir=tmp_path, chat_service=lambda endpoint: ScriptedChat(completion))
    store = Store(tmp_path / str(abs(hash((response, template, garbage)))))
    passes, _ = judge_pairs(Letters(template=template), asked, ctx, store)
    assert [one.preference for one in passes] == [None if garbage else 0.0] * 4
    assert {one.raw for one in passes} == {completion}


@pytest.mark.parametrize(
    ("template", "completions"),
    [
        ("two-score", {"9 3\nThe first.": 1.0, "3, 9": 0.0, "Assistant 1: 5, Assistant 2: 5": 0.5}),
        ("verdict-letter", {"So [[A]]": 1.0, "[[B]]": 0.0, "[[C]]": 0.5}),
        ("output-ab", {"Output (a)": 1.0, "Therefore, Output (b) is better.": 0.0}),
    ],
)
def test_formats_make_sound_judges(template: str, completions: dict[str, float]) -> None:
    """A judge that is nothing but a prompt and one of the parsers passes the conformance checks."""
    report = check_component(Letters(template=template), completions=completions)
    assert [result.reason for result in report.results if result.status == "failed"] == []
