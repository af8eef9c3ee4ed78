"""From the passes of a comparison to one verdict, under the rules of the papers. Pure functions over stored passes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal, get_args

from selkit.api import Judgement, UsageError
from selkit.judge.passes import preference_for_first, sign

Rule = Literal["net", "strict", "score-sum", "single"]
RULES: tuple[Rule, ...] = get_args(Rule)


class Verdict(StrEnum):
    """What a comparison says of its first response."""

    WIN = "win"
    TIE = "tie"
    LOSE = "lose"
    UNPARSED = "unparsed"


_OF_SIGN = {1: Verdict.WIN, 0: Verdict.TIE, -1: Verdict.LOSE}


def verdict(passes: Sequence[Judgement], rule: Rule) -> Verdict:
    """The verdict of one comparison from its passes. A pass without a verdict that the rule reads makes it unparsed.

    net (CaR 3.3): win with two wins, or a win and a tie; lose likewise; else tie.
    strict ('Rethinking Data Selection' 3): win or lose where both passes say so; else tie.
    score-sum: the larger sum of the scores of both passes; of the preferences, where the judge gives no scores.
    single ('Call for Rigor'): what the pass in the given order says, or the only one that there is.

    Args:
        passes: One pass in each order; a single one is enough for ``single``.
        rule: The rule.

    Raises:
        UsageError: The rule needs both orders and there is one.
    """
    if rule == "single":
        read = [min(passes, key=lambda one: one.order != "first")]
    else:
        read = list(passes)
        if {one.order for one in read} != {"first", "second"}:
            raise UsageError(
                f"the rule {rule!r} needs both orders of a comparison, and {passes[0].id!r} was judged in one: "
                "judge both orders, or take the rule 'single'"
            )
    preferences = [preference_for_first(one) for one in read]
    known = [preference for preference in preferences if preference is not None]
    if len(known) < len(preferences):
        return Verdict.UNPARSED
    return _OF_SIGN[_decided(read, known, rule)]


def verdicts(passes: Iterable[Judgement], rule: Rule) -> dict[str, Verdict]:
    """The verdict of every comparison, by id, in the order in which the ids come."""
    return {name: verdict(ones, rule) for name, ones in by_comparison(passes).items()}


def by_comparison(passes: Iterable[Judgement]) -> Mapping[str, list[Judgement]]:
    """The passes of each comparison, by id."""
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for one in passes:
        groups[one.id].append(one)
    return groups


def _decided(passes: Sequence[Judgement], preferences: Sequence[float], rule: Rule) -> int:
    """1, 0 or -1 for the first response of the comparison."""
    signs = [sign(preference - 0.5) for preference in preferences]
    if rule == "score-sum":
        return sign(_lead(passes, preferences))
    if rule == "strict":
        return signs[0] if len(set(signs)) == 1 else 0
    return sign(sum(signs))


def _lead(passes: Sequence[Judgement], preferences: Sequence[float]) -> float:
    """How far the first response is ahead in the sum of scores, or of preferences where a pass has no scores."""
    leads = [preference - 0.5 for preference in preferences]
    if all(one.scores for one in passes):
        shown = [(one.order, one.scores) for one in passes if one.scores]
        leads = [pair.first - pair.second if order == "first" else pair.second - pair.first for order, pair in shown]
    return round(math.fsum(leads), 9)  # 8.3 - 8.1 and 7.1 - 7.3 cancel for people, but not in binary
