"""Stored passes and what follows from them. Pure functions.

A pass is a :class:`selkit.api.Judgement`: what a judge said of one comparison in one order. Its preference is for the
response that was shown first; in the order 'second' that is the other response.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selkit.api import Judgement, Outcome, PairScores
from selkit.judge.intervals import Interval, bootstrap_ratio, wilson

REFUSALS = (Outcome.REFUSAL, Outcome.CONTENT_FILTER)
"""Outcomes in which somebody refused to judge."""


def pass_row(judge: str, judgement: Judgement) -> dict[str, Any]:
    """A pass as it stands in passes.jsonl; ``scores`` and ``served`` only where there are some."""
    served = {"served": judgement.served} if judgement.served else {}
    scores = {} if judgement.scores is None else {"scores": [judgement.scores.first, judgement.scores.second]}
    return {
        "id": judgement.id,
        "judge": judge,
        "order": judgement.order,
        "raw": judgement.raw,
        "outcome": str(judgement.outcome),
        "preference": judgement.preference,
        "reason": judgement.reason,
        "usage": dict(judgement.usage),
        **scores,
        **served,
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
        scores=PairScores(*row["scores"]) if row.get("scores") else None,
        served=row.get("served", ""),
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


def score_bounds(scores: Sequence[float | None]) -> Interval | None:
    """The lowest and the highest mean score: every missing one a loss, and every one a win. None of nothing."""
    known = sum(score for score in scores if score is not None)
    missing = sum(score is None for score in scores)
    return (known / len(scores), (known + missing) / len(scores)) if scores else None


@dataclass(frozen=True)
class OrderBias:
    """What the place of a response does to a judge's verdicts.

    Args:
        first_position_rate: How often the response that was shown first won, among passes with a winner; 0.5 is no
            bias.
        first_position_interval: Its 95% bootstrap interval over comparisons.
        inconsistency: Share of the comparisons with a verdict in both orders whose verdicts (win, tie, lose) differ.
        inconsistency_interval: Its 95% interval (Wilson).
    """

    first_position_rate: float | None
    first_position_interval: Interval | None
    inconsistency: float | None
    inconsistency_interval: Interval | None


def order_bias(passes: Iterable[Judgement]) -> OrderBias:
    """Position bias and order inconsistency; None where there is nothing to count."""
    wins: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    seen: dict[str, list[int]] = defaultdict(list)
    for one in passes:
        if one.preference is not None:
            wins[one.id] += one.preference > 0.5
            decided[one.id] += one.preference != 0.5
            seen[one.id].append(sign(one.preference - 0.5) * (1 if one.order == "first" else -1))
    both = [signs for signs in seen.values() if len(signs) == 2]
    changed = sum(one != other for one, other in both)
    hits, counts = (np.array([counter[name] for name in decided], float) for counter in (wins, decided))
    return OrderBias(
        share(wins.total(), decided.total()),
        bootstrap_ratio(hits, counts),
        share(changed, len(both)),
        wilson(changed, len(both)),
    )


def outcome_counts(passes: Iterable[Judgement]) -> dict[str, int]:
    """How many passes ended how, by outcome; those that did not happen are left out."""
    return dict(sorted(Counter(str(one.outcome) for one in passes).items()))


def judge_health(passes: Iterable[Judgement]) -> dict[str, Any]:
    """What to know of a judge before believing it.

    Returns:
        passes; outcomes (counts); unparsed_rate: share of the passes without a verdict, for whatever reason;
        refusal_rate: share that the judge or a content filter refused; first_position_rate and inconsistency, see
        :class:`OrderBias`; served: how many passes each model or state of a server answered, by the name it gave.
    """
    judgements = list(passes)
    bias, outcomes = order_bias(judgements), outcome_counts(judgements)
    return {
        "passes": len(judgements),
        "outcomes": outcomes,
        "unparsed_rate": share(sum(one.preference is None for one in judgements), len(judgements)),
        "refusal_rate": share(sum(outcomes.get(name, 0) for name in REFUSALS), len(judgements)),
        "first_position_rate": bias.first_position_rate,
        "inconsistency": bias.inconsistency,
        "served": dict(sorted(Counter(one.served for one in judgements if one.served).items())),
    }


def share(part: int, whole: int) -> float | None:
    """``part / whole``; None of nothing."""
    return part / whole if whole else None


def sign(value: float) -> int:
    """1, 0 or -1."""
    return (value > 0) - (value < 0)
