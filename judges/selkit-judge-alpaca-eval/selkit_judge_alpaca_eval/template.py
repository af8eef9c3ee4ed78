"""AlpacaEval's prompt templates, filled in so that nothing in a response is taken for a part of the template.

alpaca_eval fills placeholders in one after the other and then splits the whole text at ChatML's marks. A response that
holds ``{output_2}`` or ``<|im_start|>`` changes its prompt that way. Here the template alone is split, and every
placeholder is replaced once. For other responses the prompts are the same, character by character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from selkit.api import Comparison, DataError

MARKS = ("<|im_start|>", "<|im_end|>")
"""What ChatML begins and ends a turn with."""

FIELDS = ("instruction", "output_1", "output_2", "annotator")
"""What alpaca_eval has to fill in."""

PADDING = {"instruction": "1+1=", "output_1": "2", "output_2": "3"}
"""The example with which alpaca_eval fills up a prompt that holds several."""

_PLACEHOLDER = re.compile(r"{([^ \s]+?)}")
_HEAD = re.compile(r"<\|im_start\|>([^\n]*)")
_ROLES = ("system", "user", "assistant")

Examples = Sequence[Mapping[str, str]]


def check_template(template: str, batch_size: int, what: str) -> None:
    """Raises DataError where the placeholders are not those that alpaca_eval fills in, each as often as there are
    examples in a prompt."""
    found = Counter(_PLACEHOLDER.findall(template))
    unknown = sorted(set(found) - set(FIELDS))
    missing = sorted({"output_1", "output_2"} - set(found))
    if unknown or missing:
        wrong = f"has {{{unknown[0]}}}" if unknown else f"lacks {{{missing[0]}}}"
        raise DataError(f"{what} {wrong}: its placeholders are {', '.join(f'{{{name}}}' for name in FIELDS)}")
    if wrong_count := sorted(name for name, count in found.items() if count != batch_size):
        raise DataError(f"{what} has {{{wrong_count[0]}}} {found[wrong_count[0]]} times: batch_size is {batch_size}")


def is_conversation(template: str) -> bool:
    """Whether a template is in ChatML with plain turns, the last one the user's, as chat endpoints take it."""
    text = template.strip()
    roles = [head.strip() for head in _HEAD.findall(text)]
    whole = text.startswith(MARKS[0]) and text.endswith(MARKS[1])
    return whole and all(role in _ROLES for role in roles) and roles[-1:] == ["user"]


def examples_of(comparison: Comparison, annotator: str, batch_size: int) -> list[dict[str, str]]:
    """What a prompt about one comparison holds: the comparison, and alpaca_eval's padding in the other places.

    selkit shows every comparison by itself: a verdict must not depend on what else is asked.
    """
    own = {
        "instruction": comparison.prompt,
        "output_1": comparison.first,
        "output_2": comparison.second,
        "annotator": annotator,
    }
    return [own, *({**PADDING, "annotator": annotator} for _ in range(batch_size - 1))]


def filled(texts: Iterable[str], examples: Examples) -> list[str]:
    """Texts of one template, filled in: the first placeholder of a name from the first example, and so on."""
    seen: Counter[str] = Counter()

    def value(match: re.Match[str]) -> str:
        name = match[1]
        seen[name] += 1
        return examples[seen[name] - 1][name]

    return [_PLACEHOLDER.sub(value, text) for text in texts]
