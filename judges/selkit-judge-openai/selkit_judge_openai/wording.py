"""What a prompt is: texts with slots, and how it is answered and read.

Slots are ``{question}``, ``{first}`` and ``{second}`` (the responses in the order shown), ``{pair_first}`` and
``{pair_second}`` (question and response together), ``{question_1}``, ``{first_1}`` and ``{second_1}`` (the turn
before), and ``{key}``, which stands inside the marks and is empty in the published form.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from selkit.api import Comparison, Turn

Reads = Literal["scores", "letter", "token", "json"]

_SLOT = re.compile(r"\{(question(?:_1)?|first(?:_1)?|second(?:_1)?|pair_first|pair_second|key)\}")


@dataclass(frozen=True)
class Wording:
    """A system turn, which may be empty, and a user turn, with slots."""

    system: str
    user: str

    def turns(self, fields: Mapping[str, str]) -> tuple[Turn, ...]:
        """The turns with the slots filled in one go: what fills a slot is never read as one."""
        said = (Turn("system", self.system), Turn("user", self.user))
        return tuple(Turn(role, _SLOT.sub(lambda slot: fields[slot[1]], text)) for role, text in said if text)


@dataclass(frozen=True)
class Prompt:
    """A way of asking which response is better.

    Args:
        name: What people call it.
        version: Raised with every change of what follows, but for the source.
        source: Where it was published.
        wording: The texts.
        reads: What the answer is: two scores, a letter in brackets, one token with its log-probability, or a JSON
            object of a schema that the server is asked to keep to.
        max_tokens: Longest answer.
        second_turn: The texts where the second turn of a conversation is judged; None where there are none.
        temperature: 0 is greedy.
        logprobs: How many of the likeliest tokens to ask for.
    """

    name: str
    version: int
    source: str
    wording: Wording
    reads: Reads
    max_tokens: int
    second_turn: Wording | None = None
    temperature: float = 0.0
    logprobs: int = 0

    @property
    def digest(self) -> str:
        """16 hex digits over what is asked and how it is answered and read."""
        facts = {name: value for name, value in asdict(self).items() if name != "source"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def has_marks(self) -> bool:
        """Whether the prompt has marks that a key can stand in."""
        return "{key}" in self.wording.user

    def messages(self, comparison: Comparison, *, keyed: bool = False) -> tuple[Turn, ...]:
        """The turns that ask about a comparison; whatever it holds stands there verbatim.

        Args:
            comparison: Of one turn, or of two where the prompt has a text for the second.
            keyed: Whether the comparison's key stands in the marks.
        """
        c = comparison
        fields = {"question": c.prompt, "first": c.first, "second": c.second}
        fields |= {"pair_first": _pair(c.prompt, c.first), "pair_second": _pair(c.prompt, c.second)}
        fields["key"] = f" {key_of(c)}" if keyed else ""
        if not c.earlier:
            return self.wording.turns(fields)
        if self.second_turn is None or len(c.earlier) > 1:
            raise ValueError(f"prompt {self.name} has no text for turn {len(c.earlier) + 1} of a conversation")
        (before,) = c.earlier
        fields |= {"question_1": before.prompt, "first_1": before.first, "second_1": before.second}
        return self.second_turn.turns(fields)


def key_of(comparison: Comparison) -> str:
    """12 hex digits that follow from all that is shown of a comparison.

    The same comparison has the same key, so that answers are found again; a response cannot hold it, since it follows
    from that response and the other one.
    """
    c = comparison
    shown = [c.prompt, c.first, c.second, *(text for t in c.earlier for text in (t.prompt, t.first, t.second))]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:12]


def _pair(question: str, response: str) -> str:
    """A question and its answer, a blank line between."""
    return "\n\n".join(part for part in (question, response) if part)
