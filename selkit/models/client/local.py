"""A local model behind its own chat template, asked as an endpoint is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from selkit.api import (
    ChatReply,
    Decoding,
    Example,
    Generation,
    LanguageModel,
    Outcome,
    PromptTemplate,
    Turn,
    UsageError,
)
from selkit.models.client.conversation import messages_of
from selkit.models.load import check_engine, load_model, load_tokenizer
from selkit.models.refs import check_model
from selkit.models.templates import prompt_template

BLOCK = 64
"""Conversations whose prompts are answered together, sorted by length."""


class LocalChat:
    """A model of :mod:`selkit.models`; see :class:`selkit.api.Chat`."""

    def __init__(self, ref: str, device: str | None) -> None:
        self.ref = ref
        self.device = device

    @classmethod
    def open(cls, ref: str, device: str | None) -> LocalChat:
        """Checks a reference as far as that goes without loading the model."""
        check_model(ref)
        check_engine()
        return cls(ref, device)

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
        """One reply per conversation, in order; see :meth:`selkit.api.Chat.complete`."""
        if extra:
            raise UsageError("a local model takes no further fields of a request")
        if logprobs:
            raise UsageError("a local model gives no log-probabilities here: use its label probabilities")
        prompts = (self._prompt(conversation, fold_system) for conversation in conversations)
        return self._replies(prompts, decoding, (seed or 0) + sample)

    def _prompt(self, conversation: Sequence[Turn], fold_system: bool) -> str:
        turns = [Turn(m["role"], m["content"]) for m in messages_of(conversation, fold_system=fold_system)]
        example = Example(id="", instruction=turns[-1].content, history=tuple(turns[:-1]), response="")
        return self._template.prompt(example)

    def _replies(self, prompts: Iterator[str], decoding: Decoding, seed: int) -> Iterator[ChatReply]:
        while block := list(islice(prompts, BLOCK)):
            order = sorted(range(len(block)), key=lambda i: -len(block[i]))
            found = dict(zip(order, self._model.generate([block[i] for i in order], decoding, seed=seed), strict=True))
            counts = load_tokenizer(self.ref).count(block)
            for i in range(len(block)):
                yield _reply(found[i][0], int(counts[i]), self.ref)

    @cached_property
    def _template(self) -> PromptTemplate:
        return prompt_template("chat", self.ref)

    @property
    def _model(self) -> LanguageModel:
        return load_model(self.ref, device=self.device)


def _reply(generation: Generation, prompt_tokens: int, model: str) -> ChatReply:
    usage = {"input": float(prompt_tokens), "output": float(generation.tokens)}
    if generation.finish_reason == "length":
        return ChatReply(generation.text, Outcome.TRUNCATED, "the answer ended at the token limit", usage, model=model)
    if not generation.text.strip():
        return ChatReply("", Outcome.MALFORMED, "the answer is empty", usage, model=model)
    return ChatReply(generation.text, usage=usage, model=model)
