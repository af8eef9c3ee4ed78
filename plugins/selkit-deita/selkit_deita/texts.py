"""What DEITA shows its models: the scorers' prompts, and the text that is embedded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from selkit.api import Example

COMPLEXITY = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {instruction}  \n##Complexity: "
)
"""The prompt that DEITA's complexity scorer was trained on, blanks included (hkust-nlp/deita, llama_scorer.py)."""

QUALITY = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{instruction}\n#Response#:\n{output} \n##Quality: "
)
"""The prompt that DEITA's quality scorer was trained on (same file)."""

_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


class Exchange(NamedTuple):
    """A question and the response to it."""

    question: str
    response: str


class Prompt(NamedTuple):
    """A prompt in three parts; where the whole is too long, ``text`` is what may lose its end."""

    before: str
    text: str
    after: str

    def cut(self, size: int) -> str:
        """The prompt with the first ``size`` characters of the text that may be cut."""
        return f"{self.before}{self.text[:size]}{self.after}"


def complexity_prompt(exchange: Exchange) -> Prompt:
    """Asks how complex a question is."""
    before, _, after = COMPLEXITY.partition("{instruction}")
    return Prompt(before, exchange.question, after)


def quality_prompt(exchange: Exchange) -> Prompt:
    """Asks how good a response is to its question."""
    before, _, after = QUALITY.partition("{output}")
    opening, _, between = before.partition("{instruction}")
    return Prompt(f"{opening}{exchange.question}{between}", exchange.response, after)


def exchanges(example: Example) -> Iterator[Exchange]:
    """The user turns of a row with the responses to them, oldest first; the row's own response is in the last one.

    System turns are left out, and so are user turns that no assistant turn follows.
    """
    for asked, answer in zip(example.history, example.history[1:], strict=False):
        if asked.role == "user" and answer.role == "assistant":
            yield Exchange(asked.content, answer.content)
    yield Exchange(example.question, example.response)


def vicuna(example: Example) -> str:
    """The whole conversation in the template vicuna_v1.1 of FastChat, which DEITA embeds; it ends with ``</s>``."""
    turns = (f"USER: {question} ASSISTANT: {response}</s>" for question, response in exchanges(example))
    return f"{_VICUNA} {''.join(turns)}"


def prompt(example: Example) -> str:
    """The questions of all turns, a line break between them."""
    return "\n".join(exchange.question for exchange in exchanges(example))


def response(example: Example) -> str:
    """The responses of all turns, a line break between them: DEITA's option ``only_answer``."""
    return "\n".join(exchange.response for exchange in exchanges(example))


TEXTS = {"vicuna": vicuna, "prompt": prompt, "response": response}
"""What can be embedded, by name."""
