"""What an answer means: alpaca_eval's own parsers, and every way in which they say nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from selkit_judge_alpaca_eval.package import Single, quiet

Logprobs = Sequence[Mapping[str, float]]

_LOWEST, _HIGHEST, _DRAW = 1, 2, 0
_TWO_SCORES = "lmsys_parser"


def preference(single: Single, completion: Any, batch_size: int, parser: str) -> float | None:
    """The preference for the response that was shown first; None where the completion holds no verdict.

    alpaca_eval's parsers return a list with one annotation for each example: 1 where the first output is better, 2
    where the second is, 0 for a draw, or a number between. An exception, another number of annotations, NaN, a truth
    value or a number outside is no verdict; alpaca_eval drops the row there, or stops.

    Args:
        single: alpaca_eval's annotator.
        completion: What its parser reads: the text, or the whole answer.
        batch_size: Examples in the prompt; the first is the comparison.
        parser: The parser's name.
    """
    if parser == _TWO_SCORES and not _plain_scores(completion):
        return None
    try:
        with quiet():
            found = list(single.fn_completion_parser(completion))
    except Exception:  # whatever a parser trips over, the answer is not in its format
        return None
    if len(found) != batch_size or isinstance(found[0], bool):
        return None
    try:
        value = float(found[0])
    except (TypeError, ValueError):
        return None
    if value == _DRAW:
        return 0.5
    return _HIGHEST - value if _LOWEST <= value <= _HIGHEST else None


def completion_of(text: str, logprobs: Logprobs, most: int) -> dict[str, Any]:
    """An answer as alpaca_eval's parsers of log-probabilities read it.

    Args:
        text: What the model wrote.
        logprobs: By position, the log-probability (nats) of the likeliest tokens, and of the one that was drawn.
        most: How many were asked for: alpaca_eval does not look at the drawn one where it is not among them.
    """
    content = [{"top_logprobs": _likeliest(position, most)} for position in logprobs]
    return {"text": text, "logprobs": {"content": content}}


def written(completion: Any) -> str:
    """A completion as it is stored: the text, or text and log-probabilities as JSON."""
    if not isinstance(completion, Mapping):
        return str(completion)
    content = ((completion.get("logprobs") or {}).get("content")) or []
    positions = [{entry["token"]: entry["logprob"] for entry in position["top_logprobs"]} for position in content]
    return json.dumps({"text": completion.get("text") or "", "logprobs": positions}, ensure_ascii=False)


def read_written(raw: str) -> dict[str, Any] | None:
    """The completion in a stored answer that holds log-probabilities; None where it is none."""
    try:
        stored = json.loads(raw)
        return completion_of(stored["text"], stored["logprobs"], max(map(len, stored["logprobs"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _likeliest(position: Mapping[str, float], most: int) -> list[dict[str, Any]]:
    ranked = sorted(position.items(), key=lambda entry: -entry[1])[:most]
    return [{"token": token, "logprob": value} for token, value in ranked]


def _plain_scores(completion: Any) -> bool:
    """Whether the first line is two finite numbers: alpaca_eval's parser calls 'nan nan' a draw."""
    try:
        values = [float(part) for part in str(completion).split("\n")[0].replace(",", " ").split(" ")]
    except ValueError:
        return False
    return len(values) == 2 and all(map(math.isfinite, values))
