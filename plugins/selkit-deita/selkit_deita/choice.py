"""Fills a budget from the Repr Filter, which can end with too few rows. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selkit_deita.filter import Filtered, repr_filter

Underflow = Literal["relax", "top-up", "short", "fail"]


@dataclass(frozen=True)
class Choice:
    """The rows that were chosen, and how.

    Args:
        rows: Indices of the chosen rows, best first.
        passes: The filter at each threshold that was tried; the last one counts.
        topped_up: How many of the rows the filter had dropped or not reached.
    """

    rows: NDArray[np.int64]
    passes: tuple[Filtered, ...]
    topped_up: int = 0

    @property
    def last(self) -> Filtered:
        """The pass that counts."""
        return self.passes[-1]


def choose(
    vectors: NDArray[np.float32],
    order: NDArray[np.int64],
    rows: int,
    *,
    threshold: float,
    step: float,
    underflow: Underflow,
) -> Choice:
    """Chooses rows by the filter, and does what ``underflow`` says where it keeps too few.

    'relax' starts again with a threshold that is a step higher, at most 1, where nothing is dropped, until the filter
    keeps enough; 'top-up' adds the best of the dropped rows; 'short' and 'fail' leave it at what was kept.

    Args:
        vectors: One vector per row, shape (n, width).
        order: Indices into ``vectors`` of the rows that take part, best first.
        rows: How many to choose; at most len(order) can be.
        threshold: The similarity to a kept row above which a row is dropped.
        step: By how much 'relax' raises it at a time.
        underflow: What to do where the filter keeps too few.
    """
    wanted = min(rows, len(order))
    passes: list[Filtered] = []
    for similarity in thresholds(threshold, step) if underflow == "relax" else (threshold,):
        passes.append(repr_filter(vectors, order, wanted, similarity))
        if len(passes[-1].kept) == wanted:
            break
    kept = passes[-1].kept
    missing = wanted - len(kept)
    if underflow != "top-up" or not missing:
        return Choice(kept, tuple(passes))
    dropped = order[~np.isin(order, kept)][:missing]
    chosen = order[np.isin(order, np.concatenate([kept, dropped]))]
    return Choice(chosen, tuple(passes), missing)


def thresholds(first: float, step: float) -> Iterator[float]:
    """``first``, then a step more at a time, and 1 last; rounded so that 0.9 and two steps of 0.01 are 0.92."""
    number, similarity = 0, first
    while similarity < 1:
        yield similarity
        number += 1
        similarity = round(first + number * step, 9)
    yield 1.0
