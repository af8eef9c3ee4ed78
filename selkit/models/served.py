"""A served model as evaluation and generation ask it: answers, and likelihoods where the server gives them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from selkit.api import (
    ChatReply,
    Continuation,
    Decoding,
    Example,
    Generation,
    Outcome,
    StartToken,
    TokenLosses,
    Turn,
    UsageError,
    WorkFailed,
)
from selkit.console import get_console
from selkit.models.client import ChatService
from selkit.models.client.answer import CUT, EMPTY
from selkit.models.client.conversation import encodable
from selkit.models.client.endpoints import Endpoint, parse_endpoint
from selkit.models.client.request import Asking, Request, request_of
from selkit.models.sampling import check_decoding, request_seed

ELSEWHERE = "engine hf or vllm gives likelihoods of a local model"


class Conversation(str):
    """Turns as JSON: what a server gets that puts its own chat template around them."""

    __slots__ = ()

    @property
    def turns(self) -> list[Turn]:
        """The turns."""
        return [Turn(*turn) for turn in json.loads(self)]


@dataclass(frozen=True)
class ServedTemplate:
    """The chat template of a served model, which only the server knows."""

    name: str = field(default="chat", init=False)

    @property
    def digest(self) -> str:
        """16 hex digits that stand for the server's own template, whatever it is."""
        return hashlib.sha256(b"served").hexdigest()[:16]

    def prompt(self, example: Example) -> Conversation:
        """The turns so far and the question."""
        return Conversation(json.dumps([*example.history, Turn("user", example.question)]))


class ServedModel:
    """A model behind an OpenAI-compatible API.

    Conversations of :class:`ServedTemplate` go to the chat API. Texts go to the completions API, where the model goes
    on with them as a local one would. Every answer is stored as it comes.

    Args:
        endpoint: Where requests go.
        service: Sends them and keeps the answers.

    Raises:
        DataError: There is no key.
        MissingExtra: What sends requests is not installed.
    """

    def __init__(self, endpoint: Endpoint, service: ChatService) -> None:
        self.endpoint = endpoint
        self._chat = service.remote(endpoint)

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """``decoding.samples`` answers per prompt, in order, all at the end: see :class:`TextModel`.

        A refusal's own words are the answer, and an answer that a filter stopped is empty; a note counts those.

        Raises:
            WorkFailed: Some requests failed; the answers to the others are stored.
            UsageError: The API has no such setting.
        """
        check_decoding(decoding)
        texts = list(prompts)
        asked = (
            self._request(text, decoding, request_seed(seed, text, sample), sample)
            for text in texts
            for sample in range(decoding.samples)
        )
        replies = list(self._chat.ask(asked, len(texts) * decoding.samples))
        self._refuse_failures(replies)
        answers = map(_generation, replies)
        for _ in texts:
            yield list(islice(answers, decoding.samples))

    def token_losses(
        self, pairs: Iterable[Continuation], *, max_length: int | None = None, start: StartToken = "auto"
    ) -> Iterator[TokenLosses]:
        """Losses (nats) of the tokens of each completion given its prompt, from a server that returns the
        log-probabilities of a prompt (``echo`` with ``logprobs``).

        ``start`` is the server's own way, and nothing is cut: both arguments are there for other engines.

        Raises:
            UsageError: The server does not return them, or it puts its own template around what it is asked.
            WorkFailed: Some requests failed, or the server's tokens do not spell the texts.
        """
        asked = list(pairs)
        if any(isinstance(pair.prompt, Conversation) for pair in asked):
            raise UsageError(
                f"this benchmark compares likelihoods, and {self.endpoint.label} puts its own template around what it "
                f"is asked and gives none: name another --template such as raw or alpaca, or a local model; {ELSEWHERE}"
            )
        settings = {"max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
        requests = (
            request_of(self.endpoint.url, {"model": self.endpoint.model, "prompt": encodable(p + c), **settings}, 0)
            for p, c in asked
        )
        replies = list(self._chat.ask(requests, len(asked)))
        self._refuse_failures(replies, f"; {ELSEWHERE}")
        for pair, reply in zip(asked, replies, strict=True):
            yield self._losses(pair, reply)

    def _request(self, text: str, decoding: Decoding, seed: int, sample: int) -> Request:
        asking = Asking(
            endpoint=self.endpoint,
            decoding=_single(decoding),
            # servers differ in the width of a seed
            seed=seed & 0x7FFFFFFF if decoding.temperature > 0 else None,
            sample=sample,
            fold_system=self._chat.folds_system,
        )
        if isinstance(text, Conversation):
            return asking.request(text.turns)
        settings = asking.settings()
        settings["max_tokens"] = settings.pop("max_completion_tokens", decoding.max_new_tokens)
        body = {"model": self.endpoint.model, "prompt": encodable(text), **settings}
        return request_of(self.endpoint.url, body, sample)

    def _refuse_failures(self, replies: Sequence[ChatReply], hint: str = "") -> None:
        """Refuses to go on with less than all answers; counts what is an answer of a special kind."""
        bad = [reply for reply in replies if not _is_answer(reply)]
        if bad:
            raise WorkFailed(
                f"{len(bad)} of {len(replies)} requests to {self.endpoint.label} failed, the first with: "
                f"{bad[0].reason}; the other answers are stored: mend the cause and run the same command again{hint}"
            )
        kinds = Counter(reply.outcome for reply in replies)
        for outcome, name in ((Outcome.REFUSAL, "refusals"), (Outcome.CONTENT_FILTER, "stopped by a filter")):
            if kinds[outcome]:
                get_console().note(f"{self.endpoint.label}: {kinds[outcome]} of {len(replies)} answers are {name}")

    def _losses(self, pair: Continuation, reply: ChatReply) -> TokenLosses:
        whole = encodable(pair.prompt + pair.completion)
        if not reply.logprobs or not reply.text.startswith(whole):
            raise UsageError(
                f"this benchmark compares likelihoods, and {self.endpoint.label} returns none of a prompt (echo with "
                f"logprobs): take another server, or a local model; {ELSEWHERE}"
            )
        written = int(reply.usage.get("output", 1))
        losses, spelt = _last(reply.logprobs[: len(reply.logprobs) - written], len(encodable(pair.completion)))
        if not whole.endswith(spelt):
            raise WorkFailed(
                f"the tokens of {self.endpoint.label} spell {spelt[-40:]!r} where {pair.completion[-40:]!r} was asked "
                f"for, so their likelihoods cannot be used; {ELSEWHERE}"
            )
        return TokenLosses(losses, max(0, int(reply.usage.get("input", 0)) - len(losses)))


def endpoint_of(ref: str) -> Endpoint:
    """The endpoint of a served model's name: ``openai:NAME`` and ``URL#NAME`` are taken as they are.

    Raises:
        UsageError: The name is empty or the address malformed.
    """
    found = parse_endpoint(ref if ref.startswith(("openai:", "http://", "https://")) else f"openai:{ref}")
    assert found is not None  # both forms name a server
    return found


def _last(found: Sequence[dict[str, float]], length: int) -> tuple[Any, str]:
    """Losses of the last tokens that hold ``length`` characters, and the text that they spell; a token over the
    boundary counts, and a first token, which nothing predicts, does not."""
    losses: list[float] = []
    spelt = ""
    for entry in reversed(found):
        if len(spelt) >= length or not entry:
            break
        token, value = next(iter(entry.items()))
        losses.append(-value)
        spelt = token + spelt
    return np.array(losses[::-1], np.float32), spelt


def _single(decoding: Decoding) -> Decoding:
    """The decoding of one sample: further ones are further requests."""
    return replace(decoding, samples=1)


def _is_answer(reply: ChatReply) -> bool:
    if reply.outcome == Outcome.MALFORMED:
        return reply.reason.startswith(EMPTY)
    if reply.outcome == Outcome.TRUNCATED:  # also a prompt that is too long, to which there is no answer
        return reply.reason == CUT
    return reply.outcome in (Outcome.OK, Outcome.REFUSAL, Outcome.CONTENT_FILTER)


def _generation(reply: ChatReply) -> Generation:
    text = reply.reason if reply.outcome == Outcome.REFUSAL else reply.text
    reasons: dict[str, str] = {Outcome.TRUNCATED: "length", Outcome.CONTENT_FILTER: "content_filter"}
    return Generation(text, reasons.get(reply.outcome, "stop"), int(reply.usage.get("output", 0)))
