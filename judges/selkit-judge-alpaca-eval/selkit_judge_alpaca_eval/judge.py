"""AlpacaEval's annotators as a judge: alpaca_eval's prompts and parsers, selkit's orders, requests and outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from selkit.api import ChatReply, Comparison, Context, Decoding, Judgement, Outcome, PromptJudge, Turn, UsageError
from selkit_judge_alpaca_eval.asking import asking_of, obstacle
from selkit_judge_alpaca_eval.citations import ALPACA_FARM
from selkit_judge_alpaca_eval.configuration import Annotator, Configuration, installed_folder, read_configuration
from selkit_judge_alpaca_eval.decoders import judged_by
from selkit_judge_alpaca_eval.package import annotators_of, turns_of
from selkit_judge_alpaca_eval.template import examples_of, filled
from selkit_judge_alpaca_eval.verdicts import completion_of, preference, read_written, written

Requests = Literal["selkit", "alpaca-eval"]

SELKIT: Requests = "selkit"
ALPACA_EVAL: Requests = "alpaca-eval"


@dataclass
class AlpacaEval(PromptJudge):
    """Any annotator configuration of AlpacaEval's, read by the package alpaca_eval itself.

    Args:
        annotator: A name that alpaca_eval knows, a folder with configs.yaml, or a YAML file.
        endpoint: Who judges, where that is not to be the configuration's own model: openai:MODEL, the address of
            another server, or a local model.
        requests: Who sends the requests: 'selkit', with its cache, retries, prices and cap, or 'alpaca-eval', whose
            other ways of asking (Anthropic, vLLM, ...) selkit does not have. By default selkit wherever it can.
        read_cut: Read answers that were cut at the token limit too, as alpaca_eval does. A judge of a single token is
            always read.
        fold_system: Put the system turn at the head of the user's, for models without such a role.
        reasks: How often an answer without a verdict is asked for again.
        seed: Seed by which alpaca_eval draws an annotator for each instruction, where a configuration has several.
        configuration: Digest of the configuration, its prompts and alpaca_eval's version. It fills itself in; where it
            is given, another configuration is refused.
    """

    name: ClassVar[str] = "alpaca-eval"
    citation: ClassVar[str] = ALPACA_FARM
    requires: ClassVar[tuple[str, ...]] = ("alpaca_eval",)
    extra: ClassVar[str] = "selkit-judge-alpaca-eval"

    annotator: str = "weighted_alpaca_eval_gpt4_turbo"
    endpoint: str = ""
    requests: Literal["selkit", "alpaca-eval"] | None = None
    read_cut: bool = False
    fold_system: bool = False
    reasks: int = 0
    seed: int = 0
    configuration: str | None = None

    def __post_init__(self) -> None:
        """Reads the configuration, and puts what it says where nothing was given, so that keys name what is done."""
        if not 0 <= self.reasks <= 2:
            raise UsageError(f"reasks of judge 'alpaca-eval' is 0, 1 or 2, not {self.reasks}")
        if installed_folder() is None:
            return  # the host names the missing package before it asks for anything
        self._configuration = read_configuration(self.annotator)
        _check_pin(self._configuration, self.configuration)
        self.configuration = self._configuration.digest
        hindrance = obstacle(self._configuration)
        self.requests = self.requests or (ALPACA_EVAL if hindrance else SELKIT)
        _check_route(self, hindrance)
        if self.requests == SELKIT:
            self._asking = asking_of(self._one)
            self.endpoint = self.endpoint or self._asking.endpoint

    @property
    def decoding(self) -> Decoding:  # type: ignore[override]
        """How the judge writes."""
        return self._asking.decoding

    @property
    def logprobs(self) -> int:  # type: ignore[override]
        """How many of the likeliest tokens are asked for."""
        return self._asking.logprobs

    @property
    def request_fields(self) -> Mapping[str, Any]:  # type: ignore[override]
        """What else the configuration asks for, e.g. tools."""
        return self._asking.fields

    def model_parameters(self) -> tuple[str, ...]:
        """``endpoint`` where it names a local model, whose weights then stand in the keys."""
        remote = ("openai:", "http://", "https://")
        return () if not self.endpoint or self.endpoint.lower().startswith(remote) else ("endpoint",)

    def preflight(self, ctx: Context) -> None:
        """Makes sure that alpaca_eval takes the configuration, and that the endpoint can be asked."""
        self._check_cap(ctx)
        annotators_of(self._configuration, self.seed)
        if self.requests == SELKIT:
            super().preflight(ctx)

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Asks about each comparison, in the order that selkit gives it."""
        if self.requests == SELKIT:
            return super().compare(comparisons, ctx)
        self._check_cap(ctx)
        return judged_by(self._configuration, comparisons, ctx, seed=self.seed, read_cut=self.read_cut)

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """The conversation that asks for a verdict."""
        one = self._one
        roles, texts = zip(*_turns(one.template), strict=True)
        examples = examples_of(comparison, one.name, one.batch_size)
        return [Turn(role, text) for role, text in zip(roles, filled(texts, examples), strict=True)]

    def parse(self, text: str) -> float | None:
        """What a stored raw answer says; with log-probabilities it is JSON."""
        completion = read_written(text) if self._one.whole else text
        return None if completion is None else self._preference(completion)

    def judgement(self, comparison: Comparison, reply: ChatReply) -> Judgement:
        """What one reply means, to alpaca_eval's parser."""
        if not self._readable(reply):
            return super().judgement(comparison, reply)
        if self._one.whole and not reply.logprobs:
            reason = "the server sent no log-probabilities: take one that does, or another annotator"
            return Judgement.failed(comparison, Outcome.MALFORMED, reason, reply.text, **reply.usage)
        whole = completion_of(reply.text, reply.logprobs, self.logprobs) if self._one.whole else reply.text
        found = self._preference(whole)
        if found is None:
            reason = "alpaca_eval's parser finds no verdict in the answer"
            return Judgement.failed(comparison, Outcome.MALFORMED, reason, written(whole), **reply.usage)
        return Judgement.of(comparison, found, written(whole), **reply.usage)

    @property
    def _one(self) -> Annotator:
        return self._configuration.annotators[0]

    def _readable(self, reply: ChatReply) -> bool:
        """Whether there is something to parse: one token is always cut, and an empty one has log-probabilities too."""
        if reply.outcome == Outcome.TRUNCATED:
            wanted = self.read_cut or self.decoding.max_new_tokens == 1
            return wanted and bool(reply.text or reply.logprobs)  # else the question was too long
        empty = reply.outcome == Outcome.MALFORMED and self._one.whole and bool(reply.logprobs)
        return reply.outcome == Outcome.OK or empty

    def _preference(self, completion: Any) -> float | None:
        one = self._one
        single = annotators_of(self._configuration, self.seed)[one.name]
        return preference(single, completion, one.batch_size, one.parser)

    def _check_cap(self, ctx: Context) -> None:
        if self.requests == ALPACA_EVAL and ctx.max_cost is not None:
            raise UsageError(
                f"the annotator {self.annotator!r} is asked by alpaca_eval itself ({obstacle(self._configuration)}), "
                "whose spending selkit cannot cap: leave the cap on dollars out, or take another annotator"
            )


@lru_cache(maxsize=4)
def _turns(template: str) -> list[tuple[str, str]]:
    return turns_of(template)


def _check_pin(configuration: Configuration, given: str | None) -> None:
    if given not in (None, configuration.digest):
        raise UsageError(
            f"{configuration.path} has the digest {configuration.digest} now, not {given}: its settings, its prompt or "
            "the version of alpaca_eval has changed; leave the parameter 'configuration' out to take it as it is"
        )


def _check_route(judge: AlpacaEval, hindrance: str) -> None:
    """Refuses an endpoint, or selkit as the one who asks, where only alpaca_eval can ask."""
    if judge.requests == SELKIT and hindrance:
        raise UsageError(f"selkit cannot send the requests of {judge.annotator!r}: {hindrance}; leave requests out")
    if judge.requests == ALPACA_EVAL and judge.endpoint:
        why = hindrance or "as requests says"
        raise UsageError(
            f"alpaca_eval itself asks the annotator {judge.annotator!r} ({why}), and it knows no endpoint: leave it "
            "out, or take a configuration whose fn_completions is openai_completions and whose prompt is in ChatML"
        )
