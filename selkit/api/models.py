"""What a component can ask of a model. The host serves it through :meth:`selkit.api.Context.model`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from selkit.api.data import Turn
from selkit.api.decoding import Decoding

Pooling = Literal["mean", "last", "cls"]

LocalEngine = Literal["hf", "vllm"]
"""What runs a model on this machine: transformers, or vLLM."""

StartToken = Literal["auto", "always", "never"]
"""Whether a text begins with the model's start token: as its tokenizer has it, in any case, or not at all."""


class Continuation(NamedTuple):
    """A text in two parts; the model is asked about the second given the first. ``prompt`` may be empty."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class TokenLosses:
    """Negative log-likelihoods (nats) of the completion's tokens, in order.

    A first token that nothing precedes (empty prompt, no start token) has no loss and is left out. ``truncated`` is
    True where the text did not fit ``max_length`` and its end was cut off.
    """

    losses: NDArray[np.float32]
    prompt_tokens: int
    truncated: bool = False

    @property
    def mean(self) -> float:
        """Mean loss over the scored tokens; NaN where none was scored."""
        return float(np.mean(self.losses, dtype=np.float64)) if len(self.losses) else float("nan")


class ModelFiles(Protocol):
    """A model on disk: configuration, weights in safetensors, tokenizer."""

    @property
    def ref(self) -> str:
        """The reference the model was asked for under."""

    @property
    def path(self) -> Path:
        """The folder with the files, to be read only."""

    @property
    def digest(self) -> str:
        """Digest of the weights, the configuration and the tokenizer."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Vectors of texts, as :meth:`selkit.api.Context.embeddings` returns them.

    Args:
        ids: The texts' ids, in the order they were given in.
        vectors: One row per id, float32 of shape (len(ids), width), finite, not normalised, not writable; memory-mapped
            where the texts were given in ascending order of their ids. Equal texts have equal bits.
        truncated: Whether each text was longer than allowed and lost its end, shape (len(ids),).
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    truncated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer. ``finish_reason`` is 'stop' or 'length'; ``tokens`` counts the answer's tokens."""

    text: str
    finish_reason: str
    tokens: int


class LanguageModel(Protocol):
    """A causal language model or a text encoder. Results come in the order of the inputs, batch by batch."""

    @property
    def ref(self) -> str:
        """The reference the model was asked for under."""

    @property
    def digest(self) -> str:
        """Digest of the weights and the tokenizer."""

    @property
    def context(self) -> int:
        """The longest text in tokens, special tokens counted."""

    def lengths(self, prompts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each prompt as label_probabilities and generate see it, special tokens counted."""

    def token_losses(
        self, pairs: Iterable[Continuation], *, max_length: int | None = None, start: StartToken = "auto"
    ) -> Iterator[TokenLosses]:
        """Losses of each completion given its prompt; ``max_length`` in tokens, by default the model's context."""

    def label_probabilities(self, prompts: Iterable[str], labels: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """Softmax of the raw next-token logits over ``labels`` only, one array of len(labels) per prompt."""

    def embed(
        self, texts: Iterable[str], *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Last-layer hidden states pooled over the tokens of each text, one array of (width,) per text."""

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """``decoding.samples`` answers per prompt."""


class Tokenizer(Protocol):
    """A tokenizer without its model."""

    @property
    def digest(self) -> str:
        """Digest of the tokenizer's file."""

    def count(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each text, special tokens not counted, shape (len(texts),)."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer of a chat endpoint.

    Args:
        text: What the model wrote; empty unless the outcome is 'ok' or 'truncated'.
        outcome: A value of :class:`selkit.api.Outcome`.
        reason: What happened, where the outcome is not 'ok'; a refusal's own words.
        usage: Tokens by 'input' and 'output', where the server counted them, and 'dollars' at present prices, where
            the price is known; also where the answer is ``cached``.
        logprobs: For each token of the answer the log-probability (nats) of the likeliest tokens at its place, where
            they were asked for and the server sent them.
        cached: Whether the answer was stored or asked for already, so that this reply cost nothing.
        model: The name of the model that answered, as the server gives it.
        fingerprint: The server's name for the state of its system, where it gives one (``system_fingerprint``).
    """

    text: str
    outcome: str = "ok"
    reason: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    logprobs: tuple[dict[str, float], ...] = ()
    cached: bool = False
    model: str = ""
    fingerprint: str = ""


class Chat(Protocol):
    """A chat endpoint: OpenAI-compatible, or a local model behind its chat template."""

    def complete(
        self,
        conversations: Iterable[Sequence[Turn]],
        *,
        decoding: Decoding,
        logprobs: int = 0,
        seed: int | None = None,
        sample: int = 0,
        fold_system: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Iterator[ChatReply]:
        """One reply per conversation, in order, as they come. A failure is a reply with an outcome, not an exception.

        Every answer is stored before it is returned, under all that it depends on; the same request is sent once.

        Args:
            conversations: Each ends with a turn of the user; they are read as answers come in, somewhat ahead of them.
            decoding: How answers are written; ``samples`` and ``num_beams`` are 1.
            logprobs: How many alternatives per token to return with their log-probabilities.
            seed: Seed of the model's sampling; servers may ignore it.
            sample: Number of the sample: another number is another request for the same conversation.
            fold_system: Put system turns at the head of the next user turn, for models without a system role.
            extra: Further fields of an OpenAI-compatible request, e.g. ``response_format``.

        Raises:
            UsageError: The endpoint has no such setting.
            DataError: The endpoint refuses the key, or has no such model. What was answered stays stored.
            WorkFailed: The account has no money left, or the server fails again and again.
        """
