"""Prompt templates: the one object that formats prompts for training and for evaluation alike."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from selkit.api.data import Example


@runtime_checkable
class PromptTemplate(Protocol):
    """Anything that turns an example into the text the model continues."""

    @property
    def name(self) -> str:
        """What reports call the template."""

    @property
    def digest(self) -> str:
        """16 hex digits that change when a rendered prompt can change."""

    def prompt(self, example: Example) -> str:
        """The text before the response."""


@dataclass(frozen=True)
class Template:
    """A plain-text template.

    A prompt is the preamble, each earlier exchange as ``turn`` + answer + ``separator``, then the last ``turn``.
    System turns stand before the preamble, on a paragraph of their own.

    Args:
        name: What reports call the template.
        turn: Format of a user turn, with ``{instruction}``.
        turn_with_input: The same for a turn with ``{input}``.
        preamble: Text before the first turn.
        preamble_with_input: The same where the last turn has an input.
        separator: Text between an answer and the next turn.
    """

    name: str
    turn: str
    turn_with_input: str
    preamble: str = ""
    preamble_with_input: str = ""
    separator: str = "\n\n"

    @property
    def digest(self) -> str:
        """16 hex digits over every field of the template."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def prompt(self, example: Example) -> str:
        """The text before the response of ``example``."""
        parts = [f"{turn.content}\n\n" for turn in example.history if turn.role == "system"]
        parts.append(self.preamble_with_input if example.input else self.preamble)
        for turn in example.history:
            if turn.role == "user":
                parts.append(self.turn.format(instruction=turn.content))
            elif turn.role == "assistant":
                parts.append(turn.content + self.separator)
        last = self.turn_with_input if example.input else self.turn
        parts.append(last.format(instruction=example.instruction, input=example.input))
        return "".join(parts)


ALPACA = Template(
    name="alpaca",
    preamble=(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    ),
    preamble_with_input=(
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
    ),
    turn="### Instruction:\n{instruction}\n\n### Response:",
    turn_with_input="### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:",
)
"""Stanford Alpaca's prompt, which the four papers use."""

WIZARDLM = Template(
    name="wizardlm",
    turn="{instruction}\n\n### Response:",
    turn_with_input="{instruction}\n{input}\n\n### Response:",
)
"""WizardLM's prompt, as 'Rethinking Data Selection' (appendix C) gives it."""

PLAIN = Template(name="plain", turn="{instruction}\n", turn_with_input="{instruction}\n{input}\n", separator="\n")
"""The bare instruction, as Superfiltering's code formats it."""

RAW = Template(name="raw", turn="{instruction}", turn_with_input="{instruction}\n{input}", separator="\n")
"""Nothing but the text, as lm-eval asks a base model."""

TEMPLATES = {template.name: template for template in (ALPACA, WIZARDLM, PLAIN, RAW)}
"""Plain-text templates by name. The name 'chat' stands for the chat template of the model itself."""
