"""A stand-in for the model that lm-eval asks: a function of the row answers, so that a benchmark runs anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from selkit.api import UsageError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

Answerer = Callable[[Mapping[str, Any], str], str]
"""From a row and its prompt to the answer."""

WORDS = ("yes", "no", "4", "A", "B", "the answer is 7.", "I do not know.", "")


def by_digest(row: Mapping[str, Any], prompt: str) -> str:
    """An answer that depends on every letter of the prompt, and is the same whenever it is asked for."""
    return WORDS[_digest(prompt) % len(WORDS)]


def answering_lm(answer: Answerer) -> Any:
    """An lm-eval model whose answers are those of a function.

    Where choices are compared, the choice that is the answer is the likeliest; among others the digest decides.
    """
    from lm_eval.api.model import LM

    class AnsweringLM(LM):  # type: ignore[misc]
        """Answers from a function."""

        tokens = 0

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """The answer to each request."""
            return [answer(request.doc, request.args[0]) for request in requests]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """Close to 0 for the choice that is the answer, well below for others."""
            return [(_likelihood(answer, request), False) for request in requests]

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Not served by selkit's engines either."""
            raise UsageError("it measures perplexity: selkit serves generation and multiple choice only")

    return AnsweringLM()


def _likelihood(answer: Answerer, request: Instance) -> float:
    prompt, choice = request.args
    noise = _digest(prompt + choice) / 2**32
    return -noise if answer(request.doc, prompt).strip() == choice.strip() else -50.0 - noise


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4])
