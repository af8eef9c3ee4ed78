"""The nearest known word to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'x'?" with the nearest of ``known``, with a space before it; empty where none is near."""
    spellings = {_plain(name): name for name in known}
    near = get_close_matches(_plain(word), spellings, n=1)
    return f" Did you mean '{spellings[near[0]]}'?" if near else ""


def _plain(word: str) -> str:
    """Case, hyphens and underscores are mixed up more often than letters."""
    return word.lower().replace("_", "-")
