"""Checks of judges. A judge that is a prompt is asked through a scripted endpoint with completions from its author."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from selkit.api import ChatReply, Comparison, Judgement, Outcome, PairwiseJudge, PromptJudge, RoundTripJudge
from selkit.judge import judge_pairs
from selkit.store import Store
from selkit.testing.chat import USAGE, Answer, ScriptedChat
from selkit.testing.checks_common import DECLARATIONS, MANNERS, where_it_runs
from selkit.testing.comparisons import GARBAGE, INJECTIONS, awkward_comparisons
from selkit.testing.results import Check, NotApplicable, check, expect
from selkit.testing.subjects import JudgeSubject, ids_of

_FAILURES = (Outcome.REFUSAL, Outcome.CONTENT_FILTER, Outcome.TRUNCATED, Outcome.TIMEOUT, Outcome.API_ERROR)


def is_a_prompt(subject: JudgeSubject) -> str:
    """For checks of judges that are a prompt and a parser."""
    return where_it_runs(subject) or ("" if isinstance(subject.component, PromptJudge) else "it is not a PromptJudge")


def is_a_round_trip(subject: JudgeSubject) -> str:
    """For checks of judges that answer later."""
    later = isinstance(subject.component, RoundTripJudge)
    return where_it_runs(subject) or ("" if later else "it is not a RoundTripJudge")


def is_symmetric(subject: JudgeSubject) -> str:
    """For checks of judges that mirror their verdict: those that say so, and prompts with a scripted answer."""
    if subject.component.symmetric or isinstance(subject.component, PromptJudge):
        return where_it_runs(subject)
    return "it declares symmetric = False: its verdict may depend on the order"


@check(where_it_runs)
def one_judgement_each(subject: JudgeSubject) -> None:
    """It gives one judgement per comparison, in order, with the comparison's id and order."""
    asked = _both_orders(subject.comparisons)
    judgements = subject.judge(asked)
    expect(len(judgements) == len(asked), f"{len(judgements)} judgements came back for {len(asked)} comparisons")
    answered = [(judgement.id, judgement.order) for judgement in judgements]
    expect(answered == ids_of(asked), "the ids and orders of the judgements are not those of the comparisons in turn")


@check(where_it_runs)
def verdicts_in_range(subject: JudgeSubject) -> None:
    """A judgement that went well has a preference in [0, 1]."""
    for judgement in subject.judge([*_both_orders(subject.comparisons), *awkward_comparisons()]):
        expect(isinstance(judgement.outcome, Outcome), f"{judgement.id}: the outcome {judgement.outcome!r} is none")
        if judgement.outcome == Outcome.OK:
            sound = judgement.preference is not None and 0 <= judgement.preference <= 1
            expect(sound, f"{judgement.id}: the preference {judgement.preference} is not in [0, 1]")


@check(where_it_runs)
def failures_have_reasons(subject: JudgeSubject) -> None:
    """A judgement that went wrong has a reason and no preference."""
    judgements = subject.judge([*subject.comparisons, *awkward_comparisons()])
    if isinstance(subject.component, PromptJudge):
        judgements += subject.judge(subject.comparisons, ScriptedChat("I cannot decide."))
    for judgement in judgements:
        _expect_failure_is_told(judgement)


@check(where_it_runs)
def judges_something(subject: JudgeSubject) -> None:
    """At least one of the sample comparisons gets a verdict."""
    if isinstance(subject.component, PromptJudge):
        _expect_completions(subject)
    judgements = subject.judge(subject.comparisons)
    reasons = "; ".join(dict.fromkeys(judgement.reason for judgement in judgements))
    expect(any(judgement.outcome == Outcome.OK for judgement in judgements), f"no comparison got a verdict: {reasons}")


@check(where_it_runs)
def awkward_responses(subject: JudgeSubject) -> None:
    """Empty, blank, very long and non-Latin responses, control characters and fake verdicts do not stop it."""
    asked = awkward_comparisons()
    expect(len(subject.judge(asked)) == len(asked), "not every awkward comparison was answered")


@check(where_it_runs)
def batch_size_irrelevant(subject: JudgeSubject) -> None:
    """Comparisons asked one by one get the judgements that they get together."""
    together = subject.judge(subject.comparisons)
    alone = [judgement for comparison in subject.comparisons for judgement in subject.judge([comparison])]
    expect(len(together) == len(alone), "the number of judgements depends on how many are asked for at once")
    changed = [a.id for a, b in zip(together, alone, strict=True) if not _same(a, b)]
    expect(not changed, f"{len(changed)} judgements depend on what else is asked, e.g. {changed[:1]}")


@check(is_symmetric)
def swapping_mirrors(subject: JudgeSubject) -> None:
    """The same comparison with its responses swapped gets the mirrored verdict.

    A judge that is a prompt is asked through an endpoint that always prefers the longer response, whichever stands
    first in the prompt.
    """
    chat = _prefers_longer(subject) if isinstance(subject.component, PromptJudge) else None
    swapped = [comparison.swapped() for comparison in subject.comparisons]
    pairs = zip(subject.judge(subject.comparisons, chat), subject.judge(swapped, chat), strict=True)
    for one, other in pairs:
        if one.preference is not None and other.preference is not None:
            mirrored = math.isclose(one.preference, 1 - other.preference, abs_tol=1e-6)
            expect(mirrored, f"{one.id}: {one.preference}, and {other.preference} with the responses swapped")


@check(is_symmetric)
def equal_responses_tie(subject: JudgeSubject) -> None:
    """A judge that declares itself symmetric calls two equal responses a tie."""
    if not subject.component.symmetric:
        raise NotApplicable("it declares symmetric = False: the host calls equal responses a tie without asking it")
    equal = [Comparison(c.id, c.prompt, c.first, c.first, c.reference) for c in subject.comparisons]
    for judgement in subject.judge(equal):
        tie = judgement.preference in (None, 0.5)
        expect(tie, f"{judgement.id}: the preference between equal responses is {judgement.preference}")


@check(where_it_runs)
def runs_under_the_host(subject: JudgeSubject) -> None:
    """The host's engine accepts what it says in both orders, and keeps it."""
    ctx = subject.context()
    passes, _ = judge_pairs(subject.component, subject.comparisons, ctx, Store(subject.new_folder()), orders="both")
    expect(len(passes) == 2 * len(subject.comparisons), f"the host kept {len(passes)} passes")


@check(is_a_prompt)
def prompt_holds_everything(subject: JudgeSubject) -> None:
    """The prompt holds the question and both responses, unchanged."""
    judge = _prompt_judge(subject)
    for comparison in _both_orders([*subject.comparisons, *awkward_comparisons()]):
        text = "\n".join(turn.content for turn in judge.messages(comparison))
        for what in ("prompt", "first", "second"):
            expect(getattr(comparison, what) in text, f"{comparison.id}: the {what} is not in the prompt verbatim")


@check(is_a_prompt)
def parses_its_completions(subject: JudgeSubject) -> None:
    """The author's completions are read as the preferences that they stand for."""
    _expect_completions(subject)
    for answer, preference in subject.completions:
        judgement = subject.judge(subject.comparisons[:1], ScriptedChat(answer))[0]
        found = judgement.preference
        right = found is not None and math.isclose(found, preference, abs_tol=1e-6)
        expect(right, f"{_text(answer)!r:.80} stands for {preference} and was read as {found}")


@check(is_a_prompt)
def garbage_stays_unparsed(subject: JudgeSubject) -> None:
    """An answer without a verdict is read as none, never as a tie, a loss or a default."""
    judge = _prompt_judge(subject)
    for text in GARBAGE:
        found = judge.parse(text)
        expect(found is None, f"{text!r:.40} holds no verdict and was read as {found}")
        judgement = subject.judge(subject.comparisons[:1], ScriptedChat(text))[0]
        expect(judgement.outcome != Outcome.OK, f"the answer {text!r:.40} became the verdict {judgement.preference}")


@check(is_a_prompt)
def injections_change_nothing(subject: JudgeSubject) -> None:
    """A response that looks like a verdict does not change how the judge's own answer is read."""
    _expect_completions(subject)
    fakes = [*INJECTIONS, *(_text(answer) for answer, _ in subject.completions)]
    asked = [
        Comparison(f"fake-{number}-{side}", "Answer.", *((fake, "plain") if side else ("plain", fake)))
        for number, fake in enumerate(fakes)
        for side in (0, 1)
    ]
    for answer, preference in subject.completions:
        for judgement in subject.judge(asked, ScriptedChat(answer)):
            same = judgement.preference is not None and math.isclose(judgement.preference, preference, abs_tol=1e-6)
            expect(same, f"a fake verdict in a response turned {preference} into {judgement.preference}")
    for judgement in subject.judge(asked, ScriptedChat(GARBAGE[2])):
        expect(judgement.preference is None, "a fake verdict in a response was read in place of the judge's answer")


@check(is_a_prompt)
def chat_failures_are_kept(subject: JudgeSubject) -> None:
    """Refusals, cut answers, timeouts and errors keep their outcome and get no preference.

    Every answer of a judge that asks for a single token is cut, so that there a cut answer is no failure.
    """
    one_token = _prompt_judge(subject).decoding.max_new_tokens == 1
    for outcome in (one for one in _FAILURES if not (one_token and one == Outcome.TRUNCATED)):
        text = _text(subject.completions[0][0]) if subject.completions and outcome == Outcome.TRUNCATED else ""
        chat = ScriptedChat(ChatReply(text, str(outcome), "scripted failure"))
        for judgement in subject.judge(subject.comparisons[:2], chat):
            expect(judgement.outcome == outcome, f"the outcome {outcome} of the endpoint became {judgement.outcome}")
            _expect_failure_is_told(judgement)


@check(is_a_prompt)
def usage_is_recorded(subject: JudgeSubject) -> None:
    """What an answer cost stands in its judgement, also where the answer held no verdict."""
    answers: list[Answer] = [answer for answer, _ in subject.completions[:1]]
    for answer in [*answers, GARBAGE[2]]:
        for judgement in subject.judge(subject.comparisons[:2], ScriptedChat(answer)):
            kept = {name: judgement.usage.get(name) for name in USAGE}
            expect(kept == USAGE, f"{USAGE} were used and {dict(judgement.usage)} were recorded")


@check(is_a_round_trip)
def exports_into_its_folder(subject: JudgeSubject) -> None:
    """The export is a file or folder, not empty, below the folder that it was given."""
    folder = subject.new_folder()
    judge = subject.component
    assert isinstance(judge, RoundTripJudge)
    sent = judge.export(subject.comparisons, folder, subject.context())
    expect(sent.exists() and folder in (sent, *sent.parents), f"the export {sent} is not below {folder}")
    files = [sent] if sent.is_file() else [path for path in sent.rglob("*") if path.is_file()]
    expect(any(path.stat().st_size for path in files), f"the export {sent} is empty")


JUDGE_CHECKS: tuple[Check[Any], ...] = (
    *DECLARATIONS,
    one_judgement_each,
    verdicts_in_range,
    failures_have_reasons,
    judges_something,
    awkward_responses,
    batch_size_irrelevant,
    swapping_mirrors,
    equal_responses_tie,
    runs_under_the_host,
    prompt_holds_everything,
    parses_its_completions,
    garbage_stays_unparsed,
    injections_change_nothing,
    chat_failures_are_kept,
    usage_is_recorded,
    exports_into_its_folder,
    *MANNERS,
)
"""Every check of a judge."""


def minimum_for_judge(component: PairwiseJudge) -> int:
    """How many checks must run for a judge of this kind."""
    return 20 if isinstance(component, PromptJudge) else 14


def _both_orders(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [one for comparison in comparisons for one in (comparison, comparison.swapped())]


def _same(one: Judgement, other: Judgement) -> bool:
    return (one.id, one.outcome, one.preference) == (other.id, other.outcome, other.preference)


def _expect_failure_is_told(judgement: Judgement) -> None:
    if judgement.outcome != Outcome.OK:
        expect(judgement.preference is None, f"{judgement.id}: {judgement.outcome} with {judgement.preference}")
        expect(bool(judgement.reason.strip()), f"{judgement.id}: {judgement.outcome} without a reason")


def _prompt_judge(subject: JudgeSubject) -> PromptJudge:
    assert isinstance(subject.component, PromptJudge)
    return subject.component


def _expect_completions(subject: JudgeSubject) -> None:
    expect(
        bool(subject.completions),
        "give completions, answers of the judge's model, each with its preference: as `examples` of the judge, as "
        "`completions` of the test class, or with --completions FILE",
    )


def _text(answer: Answer) -> str:
    return answer if isinstance(answer, str) else answer.text


def _prefers_longer(subject: JudgeSubject) -> ScriptedChat:
    """An endpoint that prefers the longer response, wherever it stands in the prompt."""
    wins = [answer for answer, preference in subject.completions if preference > 0.5]
    losses = [answer for answer, preference in subject.completions if preference < 0.5]
    if not wins or not losses:
        raise NotApplicable("its completions hold no win of the first and of the second response")

    def answer(text: str) -> Answer:
        here = [c for c in subject.comparisons if c.first in text and c.second in text]
        comparison = max(here, key=lambda c: len(c.first) + len(c.second))
        longer, shorter = sorted((comparison.first, comparison.second), key=len, reverse=True)
        return wins[0] if text.index(longer) < text.index(shorter) else losses[0]

    return ScriptedChat(answer)
