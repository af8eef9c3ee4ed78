"""The preference in the log-probabilities of one token, as AlpacaEval's weighted annotators read it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

FIRST, SECOND = "m", "M"
"""The identifiers of the response that is shown first and of the other."""


def token_preference(logprobs: Mapping[str, float]) -> float | None:
    """P(m) / (P(m) + P(M)): the preference for the response that was shown first.

    As AlpacaEval's ``logprob_parser`` has it: other tokens count for nothing, of two identifiers a missing one has the
    probability 0, and without either there is no verdict.

    Args:
        logprobs: Log-probability (nats) of the likeliest tokens at the one place of the answer.
    """
    first, second = (logprobs.get(token, -math.inf) for token in (FIRST, SECOND))
    if max(first, second) == -math.inf or math.isnan(first) or math.isnan(second):
        return None
    lead = first - second
    return 1 / (1 + math.exp(-lead)) if lead >= 0 else 1 - 1 / (1 + math.exp(lead))


def written(logprobs: Mapping[str, float]) -> str:
    """Log-probabilities as they are kept in place of a text: a JSON object, the likeliest token first."""
    return json.dumps(dict(sorted(logprobs.items(), key=lambda entry: (-entry[1], entry[0]))), ensure_ascii=False)


def parse_written(text: str) -> float | None:
    """The preference in what :func:`written` wrote; None for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    known = {token: found[token] for token in (FIRST, SECOND) if token in found}
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in known.values()):
        return None
    return token_preference(known)
