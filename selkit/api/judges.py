"""Judges: which of two responses is better?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from selkit.api.components import Component
from selkit.api.context import Context
from selkit.api.data import Turn
from selkit.api.decoding import Decoding
from selkit.api.models import ChatReply
from selkit.api.parsing import PairScores


class Outcome(StrEnum):
    """How a judgement ended. Only OK has a preference; the rest are counted, never guessed."""

    OK = "ok"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    API_ERROR = "api_error"
    BUDGET_STOP = "budget_stop"


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """A turn before the one that is judged: what the user said to both, and what each side answered."""

    prompt: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prompt with two responses, in the order in which the judge sees them.

    The host makes the orders: a comparison judged in both orders comes as two of these with the responses swapped.
    ``id`` is the same for both; ``order`` is 'first' for the given order and 'second' for the swapped one.
    ``earlier`` holds the turns before, oldest first, of a conversation whose later turn is judged. ``input`` is the end
    of the prompt that a test set keeps apart as its input.
    """

    id: str
    prompt: str
    first: str
    second: str
    reference: str | None = None
    order: str = "first"
    earlier: tuple[EarlierTurn, ...] = ()
    input: str = ""

    @property
    def equal(self) -> bool:
        """Whether both sides said the same, in every turn."""
        return self.first == self.second and all(turn.first == turn.second for turn in self.earlier)

    @property
    def instruction(self) -> str:
        """The prompt without its input."""
        return self.prompt.removesuffix(f"\n{self.input}") if self.input else self.prompt

    def swapped(self) -> Comparison:
        """The same comparison with the responses in the other order."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            order="second" if self.order == "first" else "first",
            earlier=tuple(EarlierTurn(turn.prompt, turn.second, turn.first) for turn in self.earlier),
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of one comparison in one order.

    ``preference`` is 1 where the first-shown response is better, 0 where the second is, 0.5 for a tie, or in between;
    None unless the outcome is OK, and then ``reason`` says what happened. ``raw`` is the judge's own text; ``scores``
    are what it gave the two responses, where it gives scores; ``served`` is the name that the server gave its model and
    its state, where an endpoint was asked.
    """

    id: str
    order: str
    outcome: Outcome
    preference: float | None
    raw: str = ""
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    scores: PairScores | None = None
    served: str = ""

    @classmethod
    def of(cls, comparison: Comparison, verdict: float | PairScores, raw: str = "", **usage: float) -> Judgement:
        """A judgement that went well; ``verdict`` is the preference, or the scores that it follows from."""
        scores = verdict if isinstance(verdict, PairScores) else None
        preference = verdict.preference if isinstance(verdict, PairScores) else verdict
        return cls(comparison.id, comparison.order, Outcome.OK, preference, raw, usage=usage, scores=scores)

    @classmethod
    def failed(cls, comparison: Comparison, outcome: Outcome, reason: str, raw: str = "", **usage: float) -> Judgement:
        """A judgement without a verdict; it may have cost something all the same."""
        return cls(comparison.id, comparison.order, outcome, None, raw, reason, usage)


class PairwiseJudge(Component, ABC):
    """Says which of two responses is better. Both orders, rules, ties and totals are the host's.

    Attributes:
        needs_reference: Whether the judge can do nothing without the test set's own answer.
        symmetric: Whether swapping the responses always mirrors the verdict. True for rules and for people who never
            see the order; a model has a position bias.
        most_turns: The most turns of a conversation that the judge can be shown, the judged one counted.
    """

    needs_reference: ClassVar[bool] = False
    symmetric: ClassVar[bool] = False
    most_turns: ClassVar[int] = 1

    def preflight(self, ctx: Context) -> None:
        """Checks that can fail before any work starts, e.g. a key that must be there. Raises a SelkitError."""

    @abstractmethod
    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """One judgement per comparison, in order; a failure is a judgement with an outcome, not an exception."""


class RoundTripJudge(PairwiseJudge):
    """A judge that answers later: comparisons go out as files, labels come back as files.

    Subclasses have a field ``labels``: empty until something comes back; then the folder that was exported to, with the
    labels filled in there, or that folder and the files that came back.
    """

    labels: tuple[Path, ...]

    def facts(self) -> Mapping[str, Any]:
        """What else is known of the labels once :meth:`compare` has read them, such as how far people agree: JSON."""
        return {}

    @abstractmethod
    def export(self, comparisons: Sequence[Comparison], directory: Path, ctx: Context) -> Path:
        """Writes what people need to label into ``directory``; returns the file or folder to send to them."""


class PromptJudge(PairwiseJudge):
    """A judge that is a prompt and a parser; the host's chat service does the rest.

    Subclasses have a field ``endpoint`` (a model or an OpenAI-compatible server). The other attributes are settings of
    the class, or fields where they should be parameters.

    Attributes:
        endpoint: Who judges.
        decoding: How the judge writes.
        logprobs: How many alternatives per token to ask for; :meth:`judgement` finds them in the reply.
        fold_system: Whether system turns go to the head of the user's turn, for models without such a role.
        reasks: How often an answer without a verdict is asked for again, as a further sample.
        request_fields: Further fields of an OpenAI-compatible request, such as tools; none by default.
        examples: Answers of its model, each with the preference that it stands for: a win of either side and what a
            tie looks like. They are documentation, and the conformance kit tries them.
    """

    endpoint: str
    decoding: Decoding = Decoding(max_new_tokens=512)
    logprobs: int = 0
    fold_system: bool = False
    reasks: int = 0
    request_fields: Mapping[str, Any] | None = None
    examples: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """The conversation that asks for a verdict; it holds both responses verbatim."""

    @abstractmethod
    def parse(self, text: str) -> float | PairScores | None:
        """What the judge's own completion says: the preference for the first-shown response, or the two scores.

        None where it holds no verdict. :mod:`selkit.api.parsing` has parsers of the published formats.
        """

    def judgement(self, comparison: Comparison, reply: ChatReply) -> Judgement:
        """What one reply of the endpoint means; override it where the verdict is not in the text alone."""
        if reply.outcome != Outcome.OK:
            return Judgement.failed(comparison, Outcome(reply.outcome), reply.reason, reply.text, **reply.usage)
        verdict = self.parse(reply.text)
        if verdict is None:
            reason = "no verdict in the judge's answer"
            return Judgement.failed(comparison, Outcome.MALFORMED, reason, reply.text, **reply.usage)
        return Judgement.of(comparison, verdict, reply.text, **reply.usage)

    def preflight(self, ctx: Context) -> None:
        """Makes sure that the endpoint can be asked: its reference, its key, its files."""
        ctx.chat(self.endpoint)

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Asks the endpoint about each comparison."""
        ask = partial(
            ctx.chat(self.endpoint).complete,
            decoding=self.decoding,
            logprobs=self.logprobs,
            fold_system=self.fold_system,
            extra=self.request_fields,
        )
        replies = ask(self.messages(comparison) for comparison in comparisons)
        for comparison, reply in zip(comparisons, replies, strict=True):
            yield self._settled(comparison, self._judged(comparison, reply), ask)

    def _judged(self, comparison: Comparison, reply: ChatReply) -> Judgement:
        """What a reply means, and who gave it."""
        return replace(self.judgement(comparison, reply), served=f"{reply.model} {reply.fingerprint}".strip())

    def _settled(
        self, comparison: Comparison, judgement: Judgement, ask: Callable[..., Iterator[ChatReply]]
    ) -> Judgement:
        """The judgement, or where it has no verdict that of the first further sample that has one, else the last."""
        used: Counter[str] = Counter(judgement.usage)
        for sample in range(1, self.reasks + 1):
            if judgement.outcome != Outcome.MALFORMED:
                break
            (reply,) = ask([self.messages(comparison)], sample=sample)
            judgement = self._judged(comparison, reply)
            used.update(judgement.usage)
        return replace(judgement, usage=dict(used))
