"""The rubrics: what the rater is asked, word for word, and how it answers.

A change of a text, or of how a rubric answers or is read, raises the rubric's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from selkit.api import Decoding, Example, Turn
from selkit_alpagasus.parsing import RuleName

RubricName = Literal["original", "shen", "chasing-random"]

Dimension = Literal["accuracy", "helpfulness"]

TieRule = Literal["id", "random"]


@dataclass(frozen=True)
class Wording:
    """A system turn and a user turn, each with ``{instruction}``, ``{input}``, ``{response}`` and ``{dimension}``."""

    system: str
    user: str

    def turns(self, row: Example, dimension: str) -> tuple[Turn, Turn]:
        """Both turns about one row; whatever the row holds stands there verbatim and is never read as a format."""
        fields = {
            "instruction": conversation(row),
            "input": row.input,
            "response": row.response,
            "dimension": dimension,
        }
        return Turn("system", self.system.format(**fields)), Turn("user", self.user.format(**fields))


@dataclass(frozen=True)
class Rubric:
    """A way of asking for ratings that somebody published.

    Args:
        name: What people call it.
        version: Raised with every change of what follows, but for the grader's name.
        source: Where it was published.
        wordings: The texts by dimension, for rows with an input.
        without_input: The same for rows without one; where it is empty, the same texts serve both.
        max_tokens: Longest answer.
        temperature: 0 is greedy.
        rule: How the answer is read.
        ties: Which rows with equal scores come first.
        endpoint: Who grades today, where nobody else is named.
    """

    name: str
    version: int
    source: str
    wordings: Mapping[str, Wording]
    without_input: Mapping[str, Wording]
    max_tokens: int
    temperature: float
    rule: RuleName
    ties: TieRule
    endpoint: str

    @property
    def digest(self) -> str:
        """16 hex digits over what is asked and how it is answered and read; not over who answers today."""
        facts = {name: value for name, value in asdict(self).items() if name not in ("source", "endpoint")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def decoding(self) -> Decoding:
        """How the rater answers."""
        return Decoding(max_new_tokens=self.max_tokens, temperature=self.temperature)

    def messages(self, row: Example, dimension: Dimension) -> tuple[Turn, Turn]:
        """The system turn and the user turn that ask for the rating of one row."""
        texts = self.wordings if row.input or not self.without_input else self.without_input
        return texts[dimension].turns(row, dimension)


def conversation(row: Example) -> str:
    """The instruction; in a longer conversation everything up to it, each turn after the name of its speaker."""
    if not row.history:
        return row.instruction
    turns = [*row.history, Turn("user", row.instruction)]
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)


_FEEDBACK = (
    "We would like to request your feedback on the performance of AI assistant in response to the instruction "
    "and the given input displayed following."
)
_FEEDBACK_WITHOUT_INPUT = (
    "We would like to request your feedback on the performance of AI assistant in response to the instruction "
    "displayed following."
)
_EXPLAIN = " ".join(
    (
        "In the subsequent line, please provide a comprehensive explanation of your evaluation,",
        "avoiding any potential bias.",
    )
)


def _ask(about: str, article: str = "a") -> str:
    return (
        f"Please rate according to the {{dimension}} of the response to {about}. Each assistant receives {article} "
        "score on a scale of 0 to 5, where a higher score indicates higher level of the {dimension}. Please first "
        f"output a single line containing value indicating the scores. {_EXPLAIN}"
    )


def _original(article: str) -> Wording:
    # '###Instruction' has no blank and the other two marks have one; the text ends in ' \n\n'.
    triplet = "###Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n{response}\n\n"
    return Wording(_FEEDBACK, f"{triplet}{_ask('the instruction and the input', article)} \n\n")


_SHEN = Wording(
    f"{_FEEDBACK}\n\nInstruction: {{instruction}}\nInput: {{input}}\nResponse: {{response}}",
    _ask("the instruction and the input"),
)
_SHEN_WITHOUT_INPUT = Wording(
    f"{_FEEDBACK_WITHOUT_INPUT}\n\nInstruction: {{instruction}}\nResponse: {{response}}", _ask("the instruction")
)
_CHASING_RANDOM = Wording(
    f"{_FEEDBACK} \n\n",
    # The pool's instruction and input are joined without anything between them.
    "Instruction: {instruction}{input} \n Response: {response}\n"
    "Please rate the given instruction and response tuple according to the {dimension} of the response. Each response "
    "receives a score on a scale of 0 to 5, where a higher score indicates higher level of the {dimension}. Please "
    f"first output a single line containing the value indicating the scores. {_EXPLAIN}",
)

_GPT_4O_MINI = "openai:gpt-4o-mini-2024-07-18"
_GPT_4O = "openai:gpt-4o-2024-08-06"

ORIGINAL = Rubric(
    name="original",
    version=1,
    source="Alpagasus (Chen et al., 2023): rating/chatgpt_rating.py of gpt4life/alpagasus",
    wordings={"accuracy": _original("a"), "helpfulness": _original("an")},  # 'an score' is how it was asked
    without_input={},
    max_tokens=256,
    temperature=0.0,
    rule="original",
    ties="id",
    endpoint=_GPT_4O_MINI,
)
"""Alpagasus's own code, the input's mark also where there is none; rated by gpt-3.5-turbo-0301."""

SHEN = Rubric(
    name="shen",
    version=1,
    source="'Rethinking Data Selection for Supervised Fine-Tuning' (Shen, 2024), figure 3 and appendix D",
    wordings={"accuracy": _SHEN, "helpfulness": _SHEN},
    without_input={"accuracy": _SHEN_WITHOUT_INPUT, "helpfulness": _SHEN_WITHOUT_INPUT},
    max_tokens=256,
    temperature=0.0,
    rule="original",
    ties="random",
    endpoint=_GPT_4O_MINI,
)
"""The row in the system turn, another text for rows without input, a random draw among equals."""

CHASING_RANDOM = Rubric(
    name="chasing-random",
    version=1,
    source="'Chasing Random' (Diddee and Ippolito, 2024): src/preprocessor/scorer.py of ippolito-cmu/ChasingRandom",
    wordings={"accuracy": _CHASING_RANDOM, "helpfulness": _CHASING_RANDOM},
    without_input={},
    max_tokens=3,
    temperature=1.0,
    rule="substring",
    ties="id",
    endpoint=_GPT_4O,
)
"""Reworded, answered by gpt-4o in at most three sampled tokens, read by its smallest digit."""

RUBRICS: Mapping[str, Rubric] = {rubric.name: rubric for rubric in (ORIGINAL, SHEN, CHASING_RANDOM)}
"""The rubrics by name."""
