"""`selkit eval` on test sets: a subject's answers against a baseline's, judged in both orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selkit.api import Comparison, DataError, PairwiseJudge, UsageError
from selkit.evals.evaluation import Subject
from selkit.experiment.testsets.anchors import read_anchor
from selkit.judge import PairwiseJob, PairwiseResult, Response, compared, responses_of, run_pairwise
from selkit.judge.engine import check_judge
from selkit.models import check_model
from selkit.models.client import ChatService
from selkit.models.context import HostContext
from selkit.models.conversations import AnsweredTurns, turn_ids
from selkit.models.generate import RESPONSES, GenerationJob, stored_answers
from selkit.pools import TestPrompt, TestSet, load_testset
from selkit.store import Store, read_jsonl

REFERENCE = "reference"
"""The baseline that stands for the test set's own answers."""


@dataclass(frozen=True)
class Answers:
    """Responses to a test set by id, those to later turns under ids of their own.

    Args:
        responses: The responses.
        cut: How many a model left unfinished at the limit of tokens; None where that is not known.
    """

    responses: Mapping[str, Response]
    cut: int | None = None


@dataclass(frozen=True)
class JudgedTestSet:
    """A test set that is answered and judged.

    Args:
        testset: The prompts that count.
        published: Rows of the published set, where the name is that of one.
        departures: How the rows at hand differ from those, as clauses.
        sample: How many prompts were drawn; None takes all.
        seed: Seed of that draw.
        max_new_tokens: Longest answer of a model, in tokens; None leaves the decoding's own.
    """

    testset: TestSet
    published: int | None
    departures: tuple[str, ...]
    sample: int | None = None
    seed: int = 0
    max_new_tokens: int | None = None

    @property
    def label(self) -> str:
        """What results call it."""
        return self.testset.name

    @property
    def turns(self) -> AnsweredTurns:
        """Every turn is answered where there are several."""
        return "all" if any(prompt.turns for prompt in self.testset.prompts) else "first"

    @property
    def conversations(self) -> dict[str, str]:
        """The id of the prompt by that of an answer: the same for first turns."""
        return {name: prompt.id for prompt in self.testset.prompts for name in turn_ids(prompt, self.turns)}


def plan_testset(
    name: str,
    judge: PairwiseJudge,
    *,
    data: Path | None = None,
    sample: int | None = None,
    seed: int = 0,
    max_new_tokens: int | None = None,
) -> JudgedTestSet:
    """A test set, and whether the judge can judge it.

    Args:
        name: A published test set, 'planted', a file, or a name in a folder of test sets.
        judge: The judge.
        data: Folder in which the name is looked up first.
        sample: How many prompts are drawn; None takes all.
        seed: Seed of that draw.
        max_new_tokens: Longest answer of a model, in tokens.

    Raises:
        DataError: There is no such test set, or it is malformed.
        UsageError: The judge needs references and a prompt has none, or is shown too few turns.
        MissingExtra: Something that the judge needs is not installed.
    """
    from selkit.pools.testsets import SIZES

    whole = load_testset(name, data=data)
    part = whole if sample is None else whole.sample(sample, seed=seed)
    drawn = len(part) if part.part else None
    planned = JudgedTestSet(part, SIZES.get(whole.name), tuple(whole.departures), drawn, seed, max_new_tokens)
    if judge.needs_reference and planned.turns == "all":
        raise UsageError(
            f"judge {judge.name!r} compares with references, and the later turns of test set {whole.name!r} have none: "
            "take another judge"
        )
    nobody = _conversations(planned, dict.fromkeys(planned.conversations, ""))
    check_judge(judge, compare_answers(planned, nobody, nobody))
    return planned


def check_duels(judge: PairwiseJudge, chat: ChatService, store: Store) -> None:
    """Whatever can be known of a judge before it is asked. Raises a SelkitError."""
    judge.preflight(HostContext(seed=0, cache_dir=store.root, chat_service=chat))
    for name in judge.model_parameters():
        if (ref := getattr(judge, name)) is not None:
            check_model(ref)


def answers_of(planned: JudgedTestSet, subject: Subject, store: Store) -> Answers:
    """What a model, or stored outputs, answer to a test set; each later turn after the subject's own answers.

    Raises:
        DataError: Stored outputs are missing, or a prompt fills the model's context.
        MissingExtra: A model is to answer, and what runs models is not installed.
    """
    if subject.outputs is not None:
        return Answers(_stored(planned, subject))
    rows = read_jsonl(stored_answers(generation(planned, subject), store).file(RESPONSES))
    return Answers(responses_of(rows), sum(row["finish_reason"] == "length" for row in rows))


def generation(planned: JudgedTestSet, subject: Subject) -> GenerationJob:
    """The checked job that lets a model answer. Raises a SelkitError."""
    return GenerationJob.prepare(
        subject.name,
        planned.testset,
        template=subject.template.name,
        max_new_tokens=planned.max_new_tokens,
        turns=planned.turns,
        engine=subject.engine,
    )


def reference_answers(planned: JudgedTestSet) -> Answers:
    """The test set's own answers. Raises UsageError where a prompt or a later turn has none."""
    found = read_anchor(REFERENCE, planned.testset, "raw", planned.turns)
    return Answers(found.answers or {})


def judge_duel(
    planned: JudgedTestSet, judge: PairwiseJudge, mine: Answers, theirs: Answers, store: Store, chat: ChatService
) -> PairwiseResult:
    """Judges the answers that both have, in both orders; rates are about ``mine``.

    Raises:
        DataError: They have no answer in common.
    """
    comparisons = compare_answers(planned, mine.responses, theirs.responses)
    if not comparisons:
        raise DataError(f"the model and the baseline share no answer to test set {planned.label!r}")
    unmatched = tuple(sorted(set(mine.responses) ^ set(theirs.responses)))
    return run_pairwise(PairwiseJob(judge, comparisons, unmatched, chat=chat), store)


def compare_answers(
    planned: JudgedTestSet, mine: Mapping[str, Response], theirs: Mapping[str, Response]
) -> tuple[Comparison, ...]:
    """The comparisons of the answers that both sides have, with the references and inputs of first turns."""
    known = {prompt.id: prompt for prompt in planned.testset.prompts}
    comparisons = []
    for name in planned.conversations:
        if name in mine and name in theirs:
            one = compared(mine[name], theirs[name])
            if (prompt := known.get(name)) is not None:
                one = replace(one, reference=prompt.reference, input=prompt.prompt.input)
            comparisons.append(one)
    return tuple(comparisons)


def _stored(planned: JudgedTestSet, subject: Subject) -> dict[str, Response]:
    outputs = subject.outputs
    assert outputs is not None
    asked = [pair for prompt in planned.testset.prompts for pair in _asked(prompt, planned.turns)]
    found = {name: outputs.response([name], text) for name, text in asked}
    lacking = [(name, text) for name, text in asked if found[name] is None]
    outputs.refuse_missing(lacking, len(asked), subject.partial)
    return _conversations(planned, {name: text for name, text in found.items() if text is not None})


def _conversations(planned: JudgedTestSet, answers: Mapping[str, str]) -> dict[str, Response]:
    """Answers with what was said before them; one whose earlier answers are not all there is left out."""
    responses: dict[str, Response] = {}
    for prompt in planned.testset.prompts:
        earlier: list[tuple[str, str]] = []
        for name, text in _asked(prompt, planned.turns):
            if name not in answers:
                break
            responses[name] = Response(name, text, answers[name], tuple(earlier))
            earlier.append((text, answers[name]))
    return responses


def _asked(prompt: TestPrompt, turns: AnsweredTurns) -> Iterable[tuple[str, str]]:
    """Id and text of every turn of the user that is answered."""
    said: Sequence[str] = (prompt.prompt.question, *prompt.turns)
    return zip(turn_ids(prompt, turns), said, strict=False)
