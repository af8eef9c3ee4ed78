"""The test sets of an experiment with all that their judging needs, checked before a model loads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from selkit.api import DECODINGS, PairwiseJudge, Pool, UsageError
from selkit.experiment.cells.job import Asked
from selkit.experiment.spec.entries import SearchSpec, TestsetSpec
from selkit.experiment.spec.judges import JudgeSpec
from selkit.experiment.spec.wording import in_a_spec
from selkit.experiment.testsets.anchors import Anchor, read_anchor
from selkit.models import HostContext, check_model
from selkit.models.conversations import turn_ids
from selkit.plugins import build, check_requirements
from selkit.pools import TestPrompt, TestSet, load_testset
from selkit.store import Store
from selkit.train import Recipe


@dataclass(frozen=True)
class NamedJudge:
    """A judge of a test set.

    Args:
        judge: The judge.
        endpoint: What the score table calls the test set under it: the judge is named where there are several.
        canaries: Names of the canaries that try to fool it.
    """

    judge: PairwiseJudge
    endpoint: str
    canaries: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgedSet:
    """A test set of the experiment with everything its judging needs."""

    spec: TestsetSpec
    asked: Asked
    judges: tuple[NamedJudge, ...]
    anchor: Anchor

    @property
    def label(self) -> str:
        """What tables call the test set."""
        return self.spec.label

    @cached_property
    def prompts(self) -> dict[str, TestPrompt]:
        """The prompts by id."""
        return {prompt.id: prompt for prompt in self.asked.testset.prompts}

    @cached_property
    def conversations(self) -> dict[str, str]:
        """The id of the conversation by that of an answer: the same for first turns."""
        return {own: name for name, prompt in self.prompts.items() for own in turn_ids(prompt, self.asked.turns)}


def judged_set(spec: TestsetSpec, recipe: Recipe, store: Store) -> JudgedSet:
    """The test set of a spec, with its judges and its anchor.

    Raises:
        UsageError: A judge cannot judge these prompts, or a parameter of it is wrong.
        DataError: The test set or the anchor is missing or malformed.
    """
    loaded = load_testset(spec.source, store=store)
    if spec.prompts is not None:
        loaded = loaded.sample(spec.prompts, seed=0)
    return _judged_set(spec, loaded, recipe.template)


def validation_set(search: SearchSpec, held: Pool) -> JudgedSet:
    """Held-out rows as prompts that are judged against the rows' own responses; they enter no verdict.

    Raises:
        UsageError: The judge cannot judge these prompts, or a parameter of it is wrong.
    """
    prompts = tuple(TestPrompt(row.id, replace(row, response=""), row.response) for row in held)
    spec = TestsetSpec(
        source=f"validation-{held.name}",
        judges=(search.judge or "reference",),
        anchor="reference",
        max_new_tokens=search.max_new_tokens,
    )
    return _judged_set(spec, TestSet(spec.source, prompts), "plain")


def _judged_set(spec: TestsetSpec, loaded: TestSet, template: str) -> JudgedSet:
    judges = tuple(_named(judge, spec) for judge in spec.judge_specs)
    for one in judges:
        _check_references(one.judge, loaded, spec)
        _check_turns(one.judge, loaded, spec)
    decoding = DECODINGS[spec.decoding]
    if spec.max_new_tokens is not None:
        decoding = replace(decoding, max_new_tokens=spec.max_new_tokens)
    anchor = read_anchor(spec.anchor, loaded, template, spec.turns)
    return JudgedSet(spec, Asked(loaded, decoding, spec.turns), judges, anchor)


def check_judge(judge: PairwiseJudge, ctx: HostContext) -> None:
    """Whatever can be known of a judge before it is asked. Raises a SelkitError."""
    check_requirements(judge)
    with in_a_spec(f"in the entry of judge {judge.name!r}"):
        judge.preflight(ctx)
    for name in judge.model_parameters():
        if (ref := getattr(judge, name)) is not None:
            check_model(ref)


def later_turns(testset: TestSet, spec: TestsetSpec) -> int:
    """How many turns after the first the longest conversation has, of those that are answered and judged."""
    return max((len(prompt.turns) for prompt in testset.prompts), default=0) if spec.turns == "all" else 0


def _named(given: JudgeSpec, spec: TestsetSpec) -> NamedJudge:
    with in_a_spec(f"in the entry of judge {given.label!r}"):
        component = build("judge", given.name, given.parameters)
    if not isinstance(component, PairwiseJudge):
        raise UsageError(f"{component.name!r} is not a judge")
    endpoint = spec.label if len(spec.judges) == 1 else f"{spec.label}/{given.label}"
    return NamedJudge(component, endpoint, given.canaries)


def _check_references(judge: PairwiseJudge, testset: TestSet, spec: TestsetSpec) -> None:
    if not judge.needs_reference:
        return
    bare = [prompt.id for prompt in testset.prompts if not prompt.reference]
    if bare:
        raise UsageError(
            f"judge {judge.name!r} needs references, and {len(bare)} of {len(testset)} prompts of test set "
            f"{spec.label!r} have none: take a test set with references, or another judge"
        )
    if later_turns(testset, spec):
        raise UsageError(
            f"judge {judge.name!r} needs references, and the later turns of test set {spec.label!r} have none: leave "
            "turns: all out, or take another judge"
        )


def _check_turns(judge: PairwiseJudge, testset: TestSet, spec: TestsetSpec) -> None:
    turns = later_turns(testset, spec) + 1
    if turns > judge.most_turns:
        raise UsageError(
            f"test set {spec.label!r} has conversations of {turns} turns, and under these settings judge "
            f"{judge.name!r} is shown {judge.most_turns} in all: leave turns: all out, or take other settings or "
            "another judge"
        )
