"""Stored passes and what follows from them. Pure functions.

A pass is a :class:`selkit.api.Judgement`: what a judge said of one comparison in one order. Its preference is for the
response that was shown first; in the order 'second' that is the other response.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from selkit.api import Judgement, Outcome


def pass_row(judge: str, judgement: Judgement) -> dict[str, Any]:
    """A pass as it stands in passes.jsonl."""
    return {
        "id": judgement.id,
        "judge": judge,
        "order": judgement.order,
        "raw": judgement.raw,
        "outcome": str(judgement.outcome),
        "preference": judgement.preference,
        "reason": judgement.reason,
        "usage": dict(judgement.usage),
    }


def pass_from_row(row: Mapping[str, Any]) -> Judgement:
    """The pass of a row of passes.jsonl."""
    return Judgement(
        id=row["id"],
        order=row["order"],
        outcome=Outcome(row["outcome"]),
        preference=row["preference"],
        raw=row.get("raw", ""),
        reason=row.get("reason", ""),
        usage=row.get("usage") or {},
    )


def preference_for_first(judgement: Judgement) -> float | None:
    """The preference for the comparison's first response, whichever was shown first; None without a verdict."""
    if judgement.preference is None:
        return None
    return judgement.preference if judgement.order == "first" else 1.0 - judgement.preference


def item_scores(passes: Iterable[Judgement]) -> dict[str, float | None]:
    """Score of the first response by comparison: the mean over the orders (win 1, tie 0.5, loss 0).

    A comparison with a pass that has no verdict has no score: None.
    """
    by_id: dict[str, list[float | None]] = defaultdict(list)
    for judgement in passes:
        by_id[judgement.id].append(preference_for_first(judgement))
    return {
        row_id: None if None in values else sum(v for v in values if v is not None) / len(values)
        for row_id, values in by_id.items()
    }


def judge_health(passes: Iterable[Judgement]) -> dict[str, Any]:
    """What to know of a judge before believing it.

    Returns:
        passes; outcomes (counts); first_position_rate: how often the first-shown response won among passes with a
        winner (0.5 is no bias); inconsistency: share of comparisons judged in both orders whose verdicts contradict.
    """
    judgements = list(passes)
    decided = [j.preference for j in judgements if j.preference is not None and j.preference != 0.5]
    pairs: dict[str, list[float]] = defaultdict(list)
    for judgement in judgements:
        preference = preference_for_first(judgement)
        if preference is not None:
            pairs[judgement.id].append(preference)
    both = [values for values in pairs.values() if len(values) == 2]
    return {
        "passes": len(judgements),
        "outcomes": dict(sorted(Counter(str(j.outcome) for j in judgements).items())),
        "first_position_rate": sum(p > 0.5 for p in decided) / len(decided) if decided else None,
        "inconsistency": sum((a > 0.5) != (b > 0.5) or (a < 0.5) != (b < 0.5) for a, b in both) / len(both)
        if both
        else None,
    }
