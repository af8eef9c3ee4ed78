"""What kind of request an instruction is: its leading verb, or a question, or neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from selkit.store import package_version

LIBRARY = "lemminflect"
"""The package whose dictionary says which words are verbs in their base form."""

METHOD = (
    "The first word of the instruction ('please' and 'kindly' passed over) counts as its verb where the dictionary of "
    "lemminflect {version} has it as the base form of a verb that is no auxiliary; an auxiliary or a question word "
    "makes it a question, and everything else is 'other'. The language is English."
)
WITHOUT = "not counted: the dictionary of verbs is missing; install selkit-eval[report] and run the same command again"

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_POLITE = frozenset({"please", "kindly"})
_QUESTIONS = frozenset({"what", "how", "why", "who", "whom", "whose", "which", "where", "when"})
_FIRST = 80
"""Characters in which the first words are looked for."""


def method() -> str:
    """How verbs are found, or why they are not."""
    version = package_version(LIBRARY)
    return METHOD.format(version=version) if version else WITHOUT


def leading_verbs(instructions: Iterable[str], most: int) -> dict[str, Any] | None:
    """The commonest leading verbs of instructions; None where the dictionary is not installed.

    Args:
        instructions: The instructions.
        most: How many verbs to name.

    Returns:
        ``verbs``, pairs of verb and count, the commonest first and equal counts by the alphabet; ``distinct`` verbs;
        and how many instructions begin with a verb (``imperative``), are a ``question``, or neither (``other``).
    """
    if package_version(LIBRARY) is None:
        return None
    counts = Counter(kind_of(text) for text in instructions)
    verbs = {verb: count for (kind, verb), count in counts.items() if kind == "imperative"}
    ordered = sorted(verbs.items(), key=lambda pair: (-pair[1], pair[0]))
    kinds = dict.fromkeys(("imperative", "question", "other"), 0)
    for (kind, _), count in counts.items():
        kinds[kind] += count
    return {"verbs": [list(pair) for pair in ordered[:most]], "distinct": len(verbs), **kinds}


def kind_of(instruction: str) -> tuple[str, str]:
    """'imperative' with its verb, or 'question' or 'other' with an empty text."""
    words = (found.group().lower() for found in _WORD.finditer(instruction[:_FIRST]))
    word = next((word for word in words if word not in _POLITE), "")
    return _kind(word.replace("’", "'"))


@lru_cache(maxsize=65536)
def _kind(word: str) -> tuple[str, str]:
    from lemminflect import getAllLemmas

    lemmas = getAllLemmas(word) if word else {}
    if word.partition("'")[0].removesuffix("s") in _QUESTIONS or word in _QUESTIONS or "AUX" in lemmas:
        return "question", ""
    return ("imperative", word) if word in lemmas.get("VERB", ()) else ("other", "")
