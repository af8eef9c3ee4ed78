"""selkit's engine as an lm-eval model, so that benchmarks see the very template that training used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import RAW, Continuation, Decoding, Example, PromptTemplate, UsageError
from selkit.console import get_console
from selkit.evals.room import Fitted, fit
from selkit.models import default_device
from selkit.models.engines import TextModel
from selkit.models.hf import CPU, GPU
from selkit.store import JsonlWriter, canonical_json, read_jsonl

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

_DEFAULT_TOKENS = 256  # lm-eval's own, where a task names no limit

BLOCK = 64
"""Choices that the engine weighs at once, and again after a kill: batches are then cut as without it."""


def as_lm(
    model: Callable[[], TextModel],
    template: PromptTemplate,
    max_new_tokens: int | None,
    partial: Path | None = None,
    together: int | None = None,
) -> Any:
    """An lm-eval model over an engine; ``model`` is called when the first request comes.

    Its attribute ``tokens`` counts the tokens that were written, and ``framed`` says whether an answer begins a turn of
    its own, so that a choice is not led by the space that divides it from the question in running text. ``cut`` holds
    the numbers of the rows whose question did not fit the context (:mod:`selkit.evals.room`).

    Args:
        model: Gives the engine.
        template: Puts every prompt into the form that the model was trained on.
        max_new_tokens: Limits answers below what the task asks for; None leaves the task's own limit.
        partial: File that answers are appended to as they come; what it holds is not asked again.
        together: Prompts that the engine is asked at once (:attr:`selkit.models.engines.Engine.together`), by default
            as many as transformers answers at once.
    """
    from lm_eval.api.model import LM

    class EngineLM(LM):  # type: ignore[misc]
        """Generation and likelihoods through the engine."""

        tokens = 0
        framed = template.digest != RAW.digest
        tokenizer_name = template.name

        def __init__(self) -> None:
            super().__init__()
            self.cut: set[int | None] = set()

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            """The bare text of a question with the examples before it, which the template is put around later."""
            return "".join(turn["content"] for turn in chat_history)

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """One answer per request, in order; requests with the same settings go together, sorted by length."""
            answers: dict[int, str] = {}
            for decoding, positions in _by_decoding(requests, max_new_tokens).items():
                questions = {i: requests[i].args[0] for i in positions}
                for i, row in _answers(model, template, questions, decoding, partial, together or _batch()).items():
                    answers[i] = row["text"]
                    self.tokens += row["tokens"]
                    self._flag(requests[i], row)
            return [answers[i] for i in range(len(requests))]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """Sum of the log-likelihoods of each continuation. Whether it is the likeliest one is not looked at.

            Raises:
                UsageError: The task would count how often it is.
            """
            pairs = [Continuation(request.args[0], request.args[1]) for request in requests]
            rows = _likelihoods(model, template, pairs, partial, max(BLOCK, together or 0))
            for request, row in zip(requests, rows, strict=True):
                self._flag(request, row)
            return [(row["value"], False) for row in rows]

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Not served: selkit's benchmarks generate or choose."""
            raise UsageError("this benchmark measures perplexity: selkit serves generation and multiple choice only")

        def _flag(self, request: Instance, row: Mapping[str, Any]) -> None:
            if row.get("cut"):
                self.cut.add(request.doc_id)

    return EngineLM()


def _answers(
    model: Callable[[], TextModel],
    template: PromptTemplate,
    questions: Mapping[int, str],
    decoding: Decoding,
    partial: Path | None,
    together: int,
) -> dict[int, dict[str, Any]]:
    """Text and tokens of the answer to each question, and whether the question was cut; the shortest first, so that
    batches carry little padding."""
    prompts = {i: template.prompt(Example(str(i), question)) for i, question in questions.items()}
    order = sorted(prompts, key=lambda i: (len(prompts[i]), prompts[i]))
    keys = [_key(prompts[i], str(decoding)) for i in order]

    def ask(positions: Sequence[int]) -> Iterator[dict[str, Any]]:
        engine, limit = model(), decoding.max_new_tokens
        fitted = [fit(engine, template, questions[i], prompts[i], answer=limit) for i in (order[p] for p in positions)]
        answers = engine.generate([one.prompt for one in fitted], decoding)
        for one, (answer, *_) in zip(fitted, answers, strict=True):
            yield {"text": answer.text, "tokens": answer.tokens, **_flagged(one)}

    return dict(zip(order, _resumed(keys, ask, partial, together, "answering"), strict=True))


def _likelihoods(
    model: Callable[[], TextModel],
    template: PromptTemplate,
    pairs: Sequence[Continuation],
    partial: Path | None,
    together: int,
) -> list[dict[str, Any]]:
    """Sum of the log-likelihoods (``value``) of the tokens of each completion of a question, and whether the question
    was cut; choices of one question stay together, to share it."""
    prompts = [template.prompt(Example(str(i), pair.prompt)) for i, pair in enumerate(pairs)]
    order = sorted(range(len(pairs)), key=lambda i: (len(prompts[i]), prompts[i], i))
    keys = [_key(prompts[i], pairs[i].completion) for i in order]

    def ask(positions: Sequence[int]) -> Iterator[dict[str, Any]]:
        engine, places = model(), [order[p] for p in positions]
        asked = [pairs[i] for i in places]
        fitted = [fit(engine, template, pairs[i].prompt, prompts[i], completion=pairs[i].completion) for i in places]
        weighed = (Continuation(one.prompt, pair.completion) for one, pair in zip(fitted, asked, strict=True))
        for one, losses in zip(fitted, engine.token_losses(weighed), strict=True):
            yield {"value": -float(losses.losses.sum(dtype="float64")), **_flagged(one)}

    rows = dict(zip(order, _resumed(keys, ask, partial, together, "weighing choices"), strict=True))
    return [rows[i] for i in range(len(pairs))]


def _flagged(fitted: Fitted) -> dict[str, bool]:
    return {"cut": True} if fitted.cut else {}


def _resumed(
    keys: Sequence[str],
    ask: Callable[[Sequence[int]], Iterator[dict[str, Any]]],
    partial: Path | None,
    block: int,
    description: str,
) -> list[dict[str, Any]]:
    """A row per key: from ``partial`` as far as it goes, in whole blocks, and the rest by asking."""
    known = {row["key"]: row for row in read_jsonl(partial)} if partial and partial.exists() else {}
    stored = len(list(takewhile(known.__contains__, keys)))
    start = stored if stored == len(keys) else stored - stored % block
    rows = [known[key] for key in keys[:start]]
    if start:
        get_console().note(f"{start} of {len(keys)} answers are there already")
    new = _asked(keys, start, ask, partial, block)
    return rows + list(get_console().track(new, total=len(keys) - start, description=description))


def _asked(
    keys: Sequence[str],
    start: int,
    ask: Callable[[Sequence[int]], Iterator[dict[str, Any]]],
    partial: Path | None,
    size: int,
) -> Iterator[dict[str, Any]]:
    """The rows from ``start`` on, block by block; written down as they come."""
    with JsonlWriter(partial) if partial else nullcontext() as writer:
        for first in range(start, len(keys), size):
            block = range(first, min(first + size, len(keys)))
            for position, answer in zip(block, ask(block), strict=True):
                row = {"key": keys[position], **answer}
                if writer:
                    writer.append(row)
                yield row


def _batch() -> int:
    """Answers that the engine writes together: after a kill, only those of the last batch are written again."""
    return (CPU if default_device().startswith("cpu") else GPU).answers


def _key(*parts: str) -> str:
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]


def _by_decoding(requests: list[Any], limit: int | None) -> dict[Decoding, list[int]]:
    groups: dict[Decoding, list[int]] = {}
    for position, request in enumerate(requests):
        groups.setdefault(decoding_of(request.args[1], limit), []).append(position)
    return groups


def decoding_of(settings: Mapping[str, Any], limit: int | None = None) -> Decoding:
    """lm-eval's generation settings as a decoding.

    Args:
        settings: The keyword arguments of a request: ``until``, ``max_gen_toks``, ``do_sample`` and so on.
        limit: Most tokens of an answer, where that is below what the task asks for.
    """
    until = settings.get("until") or ()
    stop = tuple(text for text in ((until,) if isinstance(until, str) else until) if text)
    tokens = int(settings.get("max_gen_toks") or _DEFAULT_TOKENS)
    tokens = tokens if limit is None else min(limit, tokens)
    if not settings.get("do_sample"):
        return Decoding(max_new_tokens=tokens, stop=stop)
    return Decoding(
        max_new_tokens=tokens,
        temperature=float(settings.get("temperature", 1.0)),
        top_p=float(settings.get("top_p", 1.0)),
        top_k=int(settings.get("top_k", 0)),
        stop=stop,
    )
