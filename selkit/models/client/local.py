"""A local model behind its own chat template, asked as an endpoint is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

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
from selkit.models.client.answer import read_body, reply_of
from selkit.models.client.cache import StoredAnswer
from selkit.models.client.conversation import messages_of
from selkit.models.client.request import Request, request_of
from selkit.models.load import check_engine, load_model, load_tokenizer
from selkit.models.refs import check_model, resolve
from selkit.models.templates import check_template, prompt_template

if TYPE_CHECKING:
    from selkit.models.client.service import ChatService

BLOCK = 128
"""Conversations that are looked up together, and written by length."""


@dataclass(frozen=True)
class _Ask:
    """A prompt with the request under which its answer is kept."""

    prompt: str
    request: Request


class LocalChat:
    """A model of :mod:`selkit.models`; see :class:`selkit.api.Chat`.

    Answers are kept as those of servers are, under the digests of the weights and the template, the versions of the
    libraries and the device. A prompt that fills the model's context is a failure of that conversation alone.

    Args:
        ref: Reference of the model.
        device: What it runs on.
        service: Keeps answers.
        account: Says what calls are charged to.
        track: Shows progress.

    Raises:
        DataError: There is no such model.
        UsageError: The model has no chat template.
        MissingExtra: torch or transformers is not installed.
    """

    def __init__(
        self,
        ref: str,
        device: str,
        service: ChatService,
        account: Callable[[], str],
        track: Callable[..., Iterator[ChatReply]],
    ) -> None:
        check_model(ref)
        check_engine()
        check_template("chat", ref)
        self.ref = ref
        self._device = device
        self._service = service
        self._account = account
        self._track = track

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
        """One reply per conversation, in order; see :meth:`selkit.api.Chat.complete`.

        The answer depends on the seed, the sample and the prompt alone. ``logprobs`` and ``extra`` are refused.
        """
        if extra:
            raise UsageError("a local model takes no further fields of a request: leave `extra` out")
        if logprobs:
            raise UsageError("a local model returns no log-probabilities as a chat endpoint: ask a server for them")
        if decoding.samples != 1:
            raise UsageError("an endpoint gives one answer a conversation: ask again with sample=1, 2, ... for more")
        noise = (seed or 0, sample) if decoding.temperature > 0 else (0, 0)
        asked = (self._ask(conversation, decoding, noise, fold_system) for conversation in conversations)
        total = len(conversations) if isinstance(conversations, Sequence) else None
        return self._track(self._replies(asked, decoding, noise), total=total, description=self.ref)

    def _ask(self, conversation: Sequence[Turn], decoding: Decoding, noise: tuple[int, int], fold: bool) -> _Ask:
        turns = [Turn(m["role"], m["content"]) for m in messages_of(conversation, fold_system=fold)]
        prompt = self._template.prompt(Example(id="", instruction=turns[-1].content, history=tuple(turns[:-1])))
        body = {"model": self.ref, "prompt": prompt, "decoding": asdict(decoding), "seed": noise[0], **self._conditions}
        return _Ask(prompt, request_of(self._place, body, noise[1]))

    def _replies(self, asked: Iterator[_Ask], decoding: Decoding, noise: tuple[int, int]) -> Iterator[ChatReply]:
        account, gateways = self._account(), self._service.opened()
        gateways.tally.opened(account, "")
        while block := list(islice(asked, BLOCK)):
            stored = gateways.find([ask.request.digest for ask in block])
            replies = {digest: replace(reply_of(read_body(text)), cached=True) for digest, text in stored.items()}
            missing = {ask.request.digest: ask for ask in block if ask.request.digest not in replies}
            replies |= self._written(list(missing.values()), decoding, noise, account)
            for ask in block:
                reply = replies[ask.request.digest]
                if reply.cached:
                    gateways.tally.found(account)
                yield reply
                replies[ask.request.digest] = replace(reply, cached=True)

    def _written(
        self, asked: Sequence[_Ask], decoding: Decoding, noise: tuple[int, int], account: str
    ) -> dict[bytes, ChatReply]:
        """The replies to what was not asked before, each stored as it comes; the longest prompts first."""
        replies: dict[bytes, ChatReply] = {}
        if not asked:
            return replies
        sizes = self._tokenizer.count(ask.prompt for ask in asked).tolist()
        fitting = []
        for tokens, ask in sorted(zip(sizes, asked, strict=True), key=lambda pair: (-pair[0], pair[1].prompt)):
            # the start token that the tokenizer may add is one more
            if tokens + 1 >= self._model.context:
                reason = f"the prompt fills the {self._model.context} tokens of the model's context"
                replies[ask.request.digest] = ChatReply("", Outcome.TRUNCATED, reason, model=self.ref)
            else:
                fitting.append((tokens, ask))
        seed = noise[0] * 1_000_003 + noise[1]
        began = time.perf_counter()
        written = self._model.generate([ask.prompt for _, ask in fitting], decoding, seed=seed)
        for (tokens, ask), (generation,) in zip(fitting, written, strict=True):
            answer = _answer(self.ref, generation, tokens)
            reply = replies[ask.request.digest] = reply_of(answer)
            row = StoredAnswer.of(
                ask.request,
                url=self._place,
                model=self.ref,
                answer=json.dumps(answer),
                account=account,
                seconds=time.perf_counter() - began,
                usage=reply.usage,
                dollars=0.0,
            )
            self._service.opened().keep(row)
        return replies

    @cached_property
    def _place(self) -> str:
        return f"local:{resolve(self.ref).digest}"

    @cached_property
    def _conditions(self) -> dict[str, str]:
        names = ("torch", "transformers")
        return {"template": self._template.digest, "device": self._device.partition(":")[0]} | {
            name: version(name) for name in names
        }

    @cached_property
    def _template(self) -> PromptTemplate:
        return prompt_template("chat", self.ref)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.ref)

    @property
    def _model(self) -> LanguageModel:
        return load_model(self.ref, device=self._device)


def _answer(model: str, generation: Generation, prompt_tokens: int) -> dict[str, Any]:
    """What was written, in the form in which servers answer."""
    message = {"role": "assistant", "content": generation.text}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": generation.tokens}
    choice = {"index": 0, "message": message, "finish_reason": generation.finish_reason}
    return {"model": model, "choices": [choice], "usage": usage}
