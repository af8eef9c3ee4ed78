"""PandaLM's prompt and its answers (Wang et al., 2023; pandalm/utils/pandalm_inference.py of WeOpenML/PandaLM)."""

from __future__ import annotations

import re

from selkit.api import Comparison

_TASK = "Below are two responses for a given task. The task is defined by the Instruction"
_WITH_INPUT = " with an Input that provides further context"
_EVALUATE = ". Evaluate the responses and generate a reference answer for the task."

_SPECIAL = re.compile(
    r"<unk>|<pad>|<s>|</s>|\[PAD\]|<\|endoftext\|>|\[UNK\]|\[CLS\]|\[MASK\]|<\|startofpiece\|>|<\|endofpiece\|>"
    r"|\[gMASK\]|\[sMASK\]"
)
"""What PandaLM takes out of responses: special tokens of the models that it was made to compare."""

_VERDICTS = {"1": 1.0, "2": 0.0, "tie": 0.5}


def prompt_of(comparison: Comparison) -> str:
    """The text that PandaLM goes on from.

    Where the test set keeps an input apart, it stands under a mark of its own; else the whole prompt is the
    instruction.
    """
    c = comparison
    given = f"### Input:\n{c.input}\n\n" if c.input else ""
    return (
        f"{_TASK}{_WITH_INPUT if c.input else ''}{_EVALUATE}\n\n"
        f"### Instruction:\n{c.instruction}\n\n{given}"
        f"### Response 1:\n{cleaned(c.first)}\n\n### Response 2:\n{cleaned(c.second)}\n\n"
        "### Evaluation:\n"
    )


def cleaned(response: str) -> str:
    """A response without special tokens and without blanks at its ends.

    PandaLM takes tokens out once; here also those that the parts around a token make when it has gone.
    """
    text = response.strip()
    while (less := _SPECIAL.sub("", text)) != text:
        text = less
    return text.strip()


def parse(answer: str) -> float | None:
    """The preference for response 1 in PandaLM's answer: its first line is ``1``, ``2`` or ``Tie``.

    None for anything else, which PandaLM's own code counts as a tie.
    """
    line = answer.strip().partition("\n")[0].strip()
    return _VERDICTS.get(line.lower())


def first_line_ended(answer: str) -> bool:
    """Whether something follows the first line, so that a cut answer has its verdict all the same."""
    return "\n" in answer.lstrip()
