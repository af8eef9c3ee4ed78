"""What is asked of a server: the body of a request, and the digest under which its answer is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selkit.api import Decoding, Turn, UsageError
from selkit.models.client.conversation import messages_of
from selkit.models.client.endpoints import Endpoint

MOST_LOGPROBS = 20
"""The most alternatives per token that the API gives."""

_FORMAT = 1  # raise it where the digest of the same request changes


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Args:
        digest: SHA-256 over everything that the answer depends on: address, body, number of the sample.
        body: The body, ready to be sent.
        text: The same as JSON, for the cache.
        sample: Number of the sample; further samples of one question are further requests.
    """

    digest: bytes
    body: Mapping[str, Any]
    text: str
    sample: int = 0


@dataclass(frozen=True)
class Asking:
    """How a series of conversations is put to an endpoint.

    Args:
        endpoint: Where to.
        decoding: How the answer is written.
        logprobs: Alternatives per token to return with their log-probabilities; 0 for none.
        seed: Seed of the server's sampling, where it takes one.
        sample: Number of the sample.
        fold_system: See :func:`~selkit.models.client.conversation.messages_of`.
        extra: Further fields of the body, e.g. ``response_format``.

    Raises:
        UsageError: The API has no such setting.
    """

    endpoint: Endpoint
    decoding: Decoding
    logprobs: int = 0
    seed: int | None = None
    sample: int = 0
    fold_system: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    def request(self, conversation: Sequence[Turn]) -> Request:
        """The request for one conversation. Raises UsageError where that is none."""
        messages = messages_of(conversation, fold_system=self.fold_system)
        body = {"model": self.endpoint.model, "messages": messages, **self.settings()}
        return request_of(self.endpoint.url, body, self.sample)

    def settings(self) -> dict[str, Any]:
        """The fields of the body beside model and messages; what the API does by default is left out.

        The temperature is left out for OpenAI alone, some of whose models refuse it: other servers, such as vLLM,
        would take the model's own.
        """
        decoding = self.decoding
        limit = "max_completion_tokens" if self.endpoint.openai else "max_tokens"
        fields: dict[str, Any] = {limit: decoding.max_new_tokens}
        if decoding.temperature != 1 or not self.endpoint.openai:
            fields["temperature"] = decoding.temperature
        if decoding.top_p != 1:
            fields["top_p"] = decoding.top_p
        if decoding.top_k:
            fields["top_k"] = decoding.top_k
        if decoding.repetition_penalty != 1:
            fields["repetition_penalty"] = decoding.repetition_penalty
        if decoding.stop:
            fields["stop"] = list(decoding.stop)
        if self.seed is not None:
            fields["seed"] = self.seed
        if self.logprobs:
            fields |= {"logprobs": True, "top_logprobs": self.logprobs}
        return fields | dict(self.extra)


def request_of(place: str, body: Mapping[str, Any], sample: int) -> Request:
    """The request with that body to a place: the address of a server, or what stands for a local model."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    whole = json.dumps([_FORMAT, place, sample, text])
    return Request(hashlib.sha256(whole.encode()).digest(), body, text, sample)


def _check(asking: Asking) -> None:
    decoding = asking.decoding
    if decoding.samples != 1:
        raise UsageError("an endpoint gives one answer a conversation: ask again with sample=1, 2, ... for more")
    if decoding.num_beams != 1:
        raise UsageError("endpoints have no beam search: set num_beams to 1")
    if decoding.max_new_tokens < 1:
        raise UsageError("max_new_tokens is a whole number from 1 on")
    if not 0 <= asking.logprobs <= MOST_LOGPROBS:
        raise UsageError(f"logprobs is a whole number from 0 to {MOST_LOGPROBS}")
    if asking.endpoint.openai and (decoding.top_k or decoding.repetition_penalty != 1):
        raise UsageError("OpenAI's API has neither top_k nor repetition_penalty: leave them at 0 and 1")
    if forbidden := {"model", "messages", "stream", "n"} & set(asking.extra):
        raise UsageError(f"{', '.join(sorted(forbidden))} cannot be set as further fields of a request")
