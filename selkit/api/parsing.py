"""What a judge's completion says, for the answer formats that are published. Pure functions of the completion alone.

A parser reads the judge's own words, never the prompt or the responses in it. It gives the preference for the response
that was shown first, or the scores that it follows from, and None where the completion does not hold exactly one
verdict in the format that was asked for: another format, or a contradiction, is counted as unparsed and never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DECORATION = re.compile(r"[*`_#>]+")
_LETTER = re.compile(r"\[\[([ABC])\]\]")
_NUMBER = r"([0-9]{1,2}(?:\.[0-9]+)?)(?:\s*/\s*10)?"
_PLAIN = re.compile(rf"(?:scores?\s*:\s*)?{_NUMBER}(?:\s*[,;]\s*|\s+){_NUMBER}\.?", re.IGNORECASE)
_NAMED = rf"(?:score (?:of|for) )?assistant ([12])(?:'s score|’s score| score)?\s*[:=]\s*{_NUMBER}"
_PAIR = re.compile(rf"{_NAMED}(?:\s*[,;]\s*|\s+){_NAMED}\.?", re.IGNORECASE)
_HIGHEST = 10.0
_OUTPUT = re.compile(r"Output \(([ab])\)")
_BARE = re.compile(r"Output \(([ab])\)(?: is (?:the )?better(?: output)?)?[.!]?")
_STATED = re.compile(r"(?:^|[\s,:(\"'])Output \(([ab])\) is (?:the )?better\b")
_CLOSING = re.compile(r"(?:^|[\s,:(\"'])Output \(([ab])\) is (?:the )?better(?: [^.!?\n]*)?[.!]?[\"')]*$")
_DOUBT = re.compile(r"\b(?:(?:neither|nor|whether|if)|not \w+(?: that)?)\s+$", re.IGNORECASE)

_OF_WORD = {"A": 1.0, "B": 0.0, "tie": 0.5}

VERDICT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"explanation": {"type": "string"}, "verdict": {"type": "string", "enum": list(_OF_WORD)}},
    "required": ["explanation", "verdict"],
    "additionalProperties": False,
}
"""The JSON schema of a structured verdict; the explanation comes first, so that the verdict can follow from it."""


@dataclass(frozen=True, slots=True)
class PairScores:
    """What a judge gave the response that was shown first and the one that was shown second; higher is better."""

    first: float
    second: float

    @property
    def preference(self) -> float:
        """The verdict for the response that was shown first: 1 win, 0.5 tie, 0 loss."""
        return 0.5 if self.first == self.second else float(self.first > self.second)


def parse_two_score(text: str) -> PairScores | None:
    """The two scores on the first line that is not blank ('Rethinking Data Selection', Figure 4).

    The whole line must be the two scores, from 0 to 10: ``8 9``, ``8, 9``, ``8.5 9``, ``8/10 9/10``, ``Scores: 8 9`` or
    ``Assistant 1: 8, Assistant 2: 9`` (by name, in either order). Scores behind other words, on a later line, on two
    lines, or beside a third number are not read.
    """
    line = next((stripped for part in text.split("\n") if (stripped := _DECORATION.sub("", part).strip())), "")
    if named := _PAIR.fullmatch(line):
        scores = {named[1]: float(named[2]), named[3]: float(named[4])}
        return _in_range(scores["1"], scores["2"]) if len(scores) == 2 else None
    plain = _PLAIN.fullmatch(line)
    return _in_range(float(plain[1]), float(plain[2])) if plain else None


def parse_verdict_letter(text: str) -> float | None:
    """``[[A]]`` (the first is better), ``[[B]]`` or ``[[C]]`` (tie), wherever it stands ('Call for Rigor', CaR).

    The same letter may come several times. Two different letters contradict each other and give no verdict; FastChat
    takes A before B before C there, whichever came last. ``[[a]]`` and other brackets are not what was asked for.
    """
    letters = set(_LETTER.findall(text))
    return {"A": 1.0, "B": 0.0, "C": 0.5}[letters.pop()] if len(letters) == 1 else None


def parse_output_ab(text: str) -> float | None:
    """``Output (a)`` or ``Output (b)`` alone on the first line, or the conclusion that one ``is better`` (LLMBar).

    The conclusion is the last sentence. Where the text has no such end, cut off for instance, every plain statement
    that an output is better must name the same one. A first line and a conclusion that differ give no verdict.
    """
    lines = [stripped for part in text.split("\n") if (stripped := _DECORATION.sub("", part).strip())]
    if not lines:
        return None
    opening, closing = _BARE.fullmatch(lines[0]), _CLOSING.search(lines[-1])
    said = {found[1] for found in (opening, closing) if found and not _doubted(found)}
    said = said or {found[1] for found in _STATED.finditer("\n".join(lines)) if not _doubted(found)}
    return {"a": 1.0, "b": 0.0}[said.pop()] if len(said) == 1 else None


def parse_structured(text: str) -> float | None:
    """The verdict in a JSON object of the schema :data:`VERDICT_SCHEMA`: ``A`` (the first is better), ``B`` or ``tie``.

    The whole text must be that object, with these keys and no others, each once. NaN, another type or another word is
    no verdict, whatever a server's promise to keep to a schema is worth.
    """
    try:
        found = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) != set(VERDICT_SCHEMA["properties"]):
        return None
    said = [found[name] for name in ("explanation", "verdict")]
    return _OF_WORD.get(said[1]) if all(isinstance(value, str) for value in said) else None


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _doubted(found: re.Match[str]) -> bool:
    """Whether the words right before make a question or a denial of the statement: 'nor Output (b) is better'."""
    before = found.string[: found.start(1)].removesuffix("Output (")
    return _DOUBT.search(before) is not None


def _in_range(first: float, second: float) -> PairScores | None:
    return PairScores(first, second) if max(first, second) <= _HIGHEST else None
