"""The score that DEITA ranks by: complexity times quality, added over the turns. Pure functions on scores."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from selkit.api import RowScore
from selkit_deita.scorers import turn_ratings

Scored = tuple[str, RowScore]
"""A row's id and what a scorer says of it."""


@dataclass(frozen=True)
class Ranking:
    """The rows that have a score.

    Args:
        ids: Their ids, best first; equal scores go by the smaller id.
        scores: Score by id.
        excluded: How many rows the method's own rule leaves out, by reason.
        failed: How many rows could not be scored, by reason.
    """

    ids: tuple[str, ...]
    scores: Mapping[str, float]
    excluded: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)


def ranked(rows: Iterable[Scored], *, higher_is_better: bool = True) -> Ranking:
    """Ranks rows; those without a score are counted by their reason."""
    scores: dict[str, float] = {}
    without: dict[str, Counter[str]] = {"excluded": Counter(), "failed": Counter()}
    for row_id, row in rows:
        if row.value is None:
            without[row.status][row.reason] += 1
        else:
            scores[row_id] = row.value
    sign = -1 if higher_is_better else 1
    ids = tuple(sorted(scores, key=lambda i: (sign * scores[i], i)))
    return Ranking(ids, scores, dict(without["excluded"]), dict(without["failed"]))


def evol_scores(complexity: Iterable[Scored], quality: Iterable[Scored]) -> Iterable[Scored]:
    """The evol score of each row (section 2.4 of the paper); both scorers hand over the same ids in the same order."""
    for (row_id, asked), (other, answered) in zip(complexity, quality, strict=True):
        if row_id != other:
            raise ValueError(f"the scores of {row_id!r} stand beside those of {other!r}")
        yield row_id, evol_score(asked, answered)


def evol_score(complexity: RowScore, quality: RowScore) -> RowScore:
    """The sum over the turns of complexity times quality.

    Where one of the two scores is not made of turns (another package's scorer), the two scores are multiplied.
    """
    for name, row in (("complexity", complexity), ("quality", quality)):
        if row.value is None:
            return RowScore(None, row.status, f"{name}: {row.reason}")
    first, second = turn_ratings(complexity), turn_ratings(quality)
    if first is not None and second is not None:
        if len(first) != len(second):
            return RowScore.failed("the two scorers rated different numbers of turns: give both the same 'turns'")
        value = math.fsum(c * q for c, q in zip(first, second, strict=True))
    else:
        value = float(complexity.value or 0) * float(quality.value or 0)
    return RowScore(value) if math.isfinite(value) else RowScore.failed("complexity times quality is not a number")
