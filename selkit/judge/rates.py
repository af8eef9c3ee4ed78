"""What the verdicts of many comparisons come to: counts, the papers' rates, and what missing verdicts could change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selkit.api import Comparison
from selkit.judge.intervals import Interval, bootstrap_ratio, wilson
from selkit.judge.passes import share
from selkit.judge.rules import Verdict


@dataclass(frozen=True)
class Rates:
    """Counts of comparisons by the verdict for the first response, and the rates that follow.

    The rates count over the comparisons with a verdict, N = n - unparsed, and are None where there is none. WS, WR and
    QS are those of CaR 3.3; WS is also the winning score of 'Rethinking Data Selection' 3.
    """

    win: int
    tie: int
    lose: int
    unparsed: int

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Rates:
        """The counts of these verdicts."""
        counts = Counter(verdicts)
        return cls(*(counts[name] for name in (Verdict.WIN, Verdict.TIE, Verdict.LOSE, Verdict.UNPARSED)))

    @property
    def n(self) -> int:
        """All comparisons."""
        return self.win + self.tie + self.lose + self.unparsed

    @property
    def judged(self) -> int:
        """Comparisons with a verdict."""
        return self.n - self.unparsed

    @property
    def ws(self) -> float | None:
        """Winning score, 1 + (win - lose) / N, from 0 to 2."""
        return 1 + (self.win - self.lose) / self.judged if self.judged else None

    @property
    def wr(self) -> float | None:
        """Win rate, win / N."""
        return share(self.win, self.judged)

    @property
    def qs(self) -> float | None:
        """Quality score, (win + tie) / N."""
        return share(self.win + self.tie, self.judged)

    def bounds(self) -> dict[str, Interval | None]:
        """The lowest and highest ws, wr and qs over all n comparisons: the unparsed ones all losses, and all wins."""
        lowest = Rates(self.win, self.tie, self.lose + self.unparsed, 0)
        highest = Rates(self.win + self.unparsed, self.tie, self.lose, 0)
        ends = {name: (getattr(lowest, name), getattr(highest, name)) for name in ("ws", "wr", "qs")}
        return {name: pair if self.n else None for name, pair in ends.items()}

    def intervals(self) -> dict[str, Interval | None]:
        """95% intervals over comparisons: Wilson's for wr and qs, the percentile bootstrap for ws."""
        values = np.repeat([2.0, 1.0, 0.0], [self.win, self.tie, self.lose])
        return {
            "ws": bootstrap_ratio(values, np.ones_like(values)),
            "wr": wilson(self.win, self.judged),
            "qs": wilson(self.win + self.tie, self.judged),
        }


@dataclass(frozen=True)
class LengthBias:
    """How often the longer response won.

    Args:
        rate: Share of the comparisons with a winner in which the longer response (in characters) won; None of none.
        interval: Its 95% interval.
        n: Comparisons with a winner whose responses differ in length.
        equal: Comparisons with a verdict whose responses are equally long; they have no part in the rate.
        equal_ties: Those of them that the judge called a tie.
    """

    rate: float | None
    interval: Interval | None
    n: int
    equal: int = 0
    equal_ties: int = 0


def length_bias(comparisons: Sequence[Comparison], verdicts: Mapping[str, Verdict]) -> LengthBias:
    """How often the longer response won, with Wilson's interval over the comparisons.

    Longer may also be better: compare with what people say of the same pairs.
    """
    leads = {c.id: len(c.first) - len(c.second) for c in comparisons if len(c.first) != len(c.second)}
    decided = [(lead > 0, verdicts[name]) for name, lead in leads.items() if verdicts[name] in ("win", "lose")]
    longer = sum((winner == Verdict.WIN) == first for first, winner in decided)
    return LengthBias(share(longer, len(decided)), wilson(longer, len(decided)), len(decided))


def length_bias_of_scores(scored: Iterable[tuple[Comparison, float | None]]) -> LengthBias:
    """How often the longer response won, of comparisons with the scores of their first responses.

    A comparison is won where its score is above a half. The comparisons of one id (the same prompt, answered by several
    runs) depend on each other, so the interval draws ids: the percentile bootstrap, or, where the longer response won
    always or never, Wilson's over the ids, since drawing anew would find no other share.
    """
    wins: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    equal = equal_ties = 0
    for comparison, score in scored:
        lead = len(comparison.first) - len(comparison.second)
        if score is None:
            continue
        if lead == 0:
            equal, equal_ties = equal + 1, equal_ties + (score == 0.5)
        elif score != 0.5:
            decided[comparison.id] += 1
            wins[comparison.id] += (score > 0.5) == (lead > 0)
    hits, counts = (np.array([counter[name] for name in decided], float) for counter in (wins, decided))
    if wins.total() in (0, decided.total()):
        found = wilson(len(decided) if wins.total() else 0, len(decided))
    else:
        found = bootstrap_ratio(hits, counts)
    return LengthBias(share(wins.total(), decided.total()), found, decided.total(), equal, equal_ties)
