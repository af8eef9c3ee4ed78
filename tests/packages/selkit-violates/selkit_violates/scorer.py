"""A scorer that breaks the promises which only scorers make, each by a line of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selkit.api import Context, Pool, Scorer


@dataclass
class ViolatesScores(Scorer):
    """Compares each row with the mean of the rows before it."""

    name = "violates-scores"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """In silence, and with a number also where there is none."""
        lengths: list[int] = []
        for row in pool:  # not through ctx.track
            lengths.append(len(row.response))
            mean = sum(lengths) / len(lengths)  # and says that rows are independent
            yield len(row.response) / mean if row.response.strip() else float("-inf")
