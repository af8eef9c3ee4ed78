"""Questions that are longer than a model's context: they lose their beginning, as in lm-eval, and are flagged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from selkit.api import Example, PromptTemplate

POLICY = (
    "a question that does not fit the model's context together with its longest answer loses its beginning; it keeps "
    "at least half of the context, and the template around it stays whole"
)
"""What becomes of long questions, for results and documentation."""

_MARGIN = 8
"""Bytes that special tokens are counted as, when a text is so short that its tokens need not be."""


class Fitted(NamedTuple):
    """A prompt that fits, and whether its question lost its beginning."""

    prompt: str
    cut: bool


def fit(
    model: Any, template: PromptTemplate, question: str, prompt: str, *, answer: int = 0, completion: str = ""
) -> Fitted:
    """The prompt of a question, shortened so that it and what follows fit the context.

    Args:
        model: The model. One that cannot say how long texts are in its tokens (a server) is handed the whole question.
        template: What is put around the question.
        question: The question, with the examples before it.
        prompt: The question in the template.
        answer: Tokens that the answer may take.
        completion: Text that follows the prompt and is weighed.
    """
    context = getattr(model, "context", None)
    if context is None or not hasattr(model, "lengths"):
        return Fitted(prompt, False)
    room = max(context - answer, context // 2)
    # no text has more tokens than bytes, so most need not be counted
    if len((prompt + completion).encode("utf-8", "replace")) + _MARGIN <= room:
        return Fitted(prompt, False)

    def fits(start: int) -> bool:
        return bool(model.lengths([_framed(template, question[start:]) + completion])[0] <= room)

    if fits(0):
        return Fitted(prompt, False)
    return Fitted(_framed(template, question[_first(fits, len(question)) :]), True)


def _first(holds: Callable[[int], bool], end: int) -> int:
    """About the first place up to ``end`` from which on a condition holds; ``end`` where it never does."""
    low, high = 0, end  # it does not hold at low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _framed(template: PromptTemplate, question: str) -> str:
    return template.prompt(Example("0", question))
