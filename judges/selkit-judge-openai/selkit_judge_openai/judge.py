"""A model behind an OpenAI-compatible API as a judge, asked with the prompts of the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from selkit.api import (
    VERDICT_SCHEMA,
    ChatReply,
    Comparison,
    Decoding,
    Judgement,
    Outcome,
    PairScores,
    PromptJudge,
    Turn,
    UsageError,
    parse_structured,
    parse_two_score,
    parse_verdict_letter,
)
from selkit_judge_openai.preference import parse_written, token_preference, written
from selkit_judge_openai.prompts import LETTERS, OTHERS
from selkit_judge_openai.wording import Prompt

_REMOTE = ("openai:", "http://", "https://")
"""How references of endpoints begin that are no local model."""

Template = Literal["two-score", "two-score-no-length", "verdict-letter", "alpaca-eval", "pair-quality", "structured"]


@dataclass
class OpenAI(PromptJudge):
    """GPT-4o, or any model behind an OpenAI-compatible API, asked with a published prompt.

    Parameters without a value below take that of the prompt.

    Args:
        template: What is asked: two scores ('two-score', 'two-score-no-length'), a letter in brackets
            ('verdict-letter'), one token whose log-probability is the preference ('alpaca-eval'), two scores for two
            instruction pairs ('pair-quality'), or a JSON object of a schema that the server keeps to ('structured').
        prompt: Whose words ask for the letter: 'moon' (the default), 'car', or 'mt-bench', which also judges the second
            turn of conversations.
        endpoint: Who judges: a model of OpenAI's, of another server, or a local model.
        temperature: 0 is greedy.
        top_p: Share of the probability mass that sampling keeps.
        max_tokens: Longest answer, in tokens of the judge.
        delimiters: The marks around the responses as they were 'published', or 'keyed': with a key in each that
            follows from the comparison and that no response can know.
        fold_system: Put the system turn at the head of the user's, for models without such a role.
        reasks: How often an answer without a verdict is asked for again.
    """

    name: ClassVar[str] = "openai"

    template: Template = "two-score"
    prompt: Literal["moon", "car", "mt-bench"] | None = None
    endpoint: str = "openai:gpt-4o-2024-08-06"
    temperature: float | None = None
    top_p: float = 1.0
    max_tokens: int | None = None
    delimiters: Literal["published", "keyed"] = "published"
    fold_system: bool = False
    reasks: int = 0

    def __post_init__(self) -> None:
        """Puts the prompt's values where none were given, so that keys and manifests name what is done."""
        if self.template == "verdict-letter":
            self.prompt = self.prompt or "moon"
        elif self.prompt is not None:
            raise UsageError(
                f"judge 'openai': the template {self.template!r} has one prompt: leave prompt={self.prompt} out, or "
                "take template=verdict-letter"
            )
        self.temperature = self._asked.temperature if self.temperature is None else self.temperature
        self.max_tokens = self._asked.max_tokens if self.max_tokens is None else self.max_tokens
        _check(self)

    @property
    def decoding(self) -> Decoding:  # type: ignore[override]
        """How the judge writes."""
        return Decoding(self.max_tokens or 0, temperature=self.temperature or 0.0, top_p=self.top_p)

    @property
    def logprobs(self) -> int:  # type: ignore[override]
        """How many of the likeliest tokens are asked for."""
        return self._asked.logprobs

    @property
    def request_fields(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """The schema that the answer is to keep to, where it is a JSON object."""
        if self._asked.reads != "json":
            return None
        schema = {"name": "verdict", "strict": True, "schema": dict(VERDICT_SCHEMA)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    @property
    def most_turns(self) -> int:  # type: ignore[override]
        """2 with a prompt that has a text for the second turn."""
        return 1 if self._asked.second_turn is None else 2

    def model_parameters(self) -> tuple[str, ...]:
        """``endpoint`` where it names a local model, whose weights then stand in the keys."""
        remote = not self.endpoint or self.endpoint.lower().startswith(
            _REMOTE
        )  # an empty one is refused as it is asked
        return () if remote else ("endpoint",)

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """The conversation that asks for a verdict."""
        return self._asked.messages(comparison, keyed=self.delimiters == "keyed")

    def parse(self, text: str) -> float | PairScores | None:
        """What a stored raw answer says; for 'alpaca-eval' that is the log-probabilities as JSON."""
        reads = self._asked.reads
        if reads == "token":
            return parse_written(text)
        parsers = {"scores": parse_two_score, "letter": parse_verdict_letter, "json": parse_structured}
        return parsers[reads](text)

    def judgement(self, comparison: Comparison, reply: ChatReply) -> Judgement:
        """What one reply means. One token is always cut at the limit, so that there a cut answer is an answer."""
        cut = reply.outcome == Outcome.TRUNCATED and (reply.text or reply.logprobs)  # else the question was too long
        if self._asked.reads != "token" or not (reply.outcome == Outcome.OK or cut):
            return super().judgement(comparison, reply)
        if not reply.logprobs:
            reason = "the server sent no log-probabilities: take one that does, or another template"
            return Judgement.failed(comparison, Outcome.MALFORMED, reason, reply.text, **reply.usage)
        preference = token_preference(reply.logprobs[0])
        if preference is None:
            reason = "neither m nor M is among the likeliest tokens"
            return Judgement.failed(comparison, Outcome.MALFORMED, reason, written(reply.logprobs[0]), **reply.usage)
        return Judgement.of(comparison, preference, written(reply.logprobs[0]), **reply.usage)

    @property
    def _asked(self) -> Prompt:
        return OTHERS[self.template] if self.prompt is None else LETTERS[self.prompt]


def _check(judge: OpenAI) -> None:
    """Refuses settings that make no sense. Raises UsageError."""
    if not 0 <= (judge.temperature or 0.0) <= 2:
        raise UsageError(f"the temperature of judge 'openai' is from 0 to 2, not {judge.temperature:g}")
    if not 0 < judge.top_p <= 1:
        raise UsageError(f"top_p of judge 'openai' is above 0 and at most 1, not {judge.top_p:g}")
    if (judge.max_tokens or 0) < 1:
        raise UsageError(f"max_tokens of judge 'openai' is a number of tokens from 1 on, not {judge.max_tokens}")
    if not 0 <= judge.reasks <= 2:
        raise UsageError(f"reasks of judge 'openai' is 0, 1 or 2, not {judge.reasks}")
    if judge.template == "alpaca-eval" and judge.delimiters == "keyed":
        raise UsageError("judge 'openai': the template 'alpaca-eval' has no marks for a key: leave delimiters out")
