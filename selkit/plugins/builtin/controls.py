"""Controls that look like random choice but answer a narrower question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selkit.api import BudgetError, Context, DataError, Pool, Sampler
from selkit.plugins.builtin.length import Unit, lengths
from selkit.plugins.builtin.random import draw, others_of
from selkit.plugins.references import cited

DECILES = 10


@dataclass
class StrictRandom(Sampler):
    """Uniform over the rows that no other selector chose ('Chasing Random').

    Args:
        without: Arms or folders whose rows are left out; empty means every other arm of the experiment at its largest
            budget, except random, strict-random, length-matched-random, full and base.
    """

    name = "strict-random"
    citation = cited("diddee2024chasing")
    baseline = True
    after_others = True
    without: tuple[str, ...] = ()

    def selections_named(self) -> tuple[str, ...]:
        """Those that are left out."""
        return self.without

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` ids from the complement of the union of the other selections."""
        others = others_of(self.name, "without", self.without, ctx)
        taken = set().union(*others.values())
        left = [i for i in pool.sorted_ids if i not in taken]
        if len(left) < k:
            raise BudgetError(
                f"{self.name} needs {k} rows that no other selector chose, but {len(others)} selections leave "
                f"{len(left)} of {len(pool)}: take a smaller budget or fewer selectors"
            )
        return draw(left, k, ctx)


@dataclass
class LengthMatchedRandom(Sampler):
    """Random choice with the length profile of another selection: tells 'good' from 'long'.

    The pool's response lengths are cut into deciles; from each decile as many rows are drawn as the other selection
    has there (scaled to the budget by largest remainders where the sizes differ).

    Args:
        like: The arm or folder whose lengths are matched.
        unit: What length is counted in.
        tokenizer: Model whose tokenizer counts tokens; default the experiment's base model.
    """

    name = "length-matched-random"
    baseline = True
    after_others = True
    like: str
    unit: Unit = "words"
    tokenizer: str | None = None

    def model_parameters(self) -> tuple[str, ...]:
        """The tokenizer, where tokens are counted."""
        return ("tokenizer",) if self.unit == "tokens" else ()

    def selections_named(self) -> tuple[str, ...]:
        """The one whose lengths are matched."""
        return (self.like,)

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` ids, decile by decile."""
        deciles = dict(zip(pool.ids, decile_of(lengths(pool, self.unit, self.tokenizer, ctx)), strict=True))
        like = ctx.selection(self.like)
        unknown = [i for i in like if i not in deciles]
        if unknown:
            raise DataError(f"{len(unknown)} ids of {self.like!r} are not in pool {pool.name!r}, e.g. {unknown[0]!r}")
        profile = np.bincount([deciles[i] for i in like], minlength=DECILES)
        members: list[list[str]] = [[] for _ in range(DECILES)]
        for row_id in pool.sorted_ids:
            members[deciles[row_id]].append(row_id)
        chosen: list[str] = []
        for decile, count in enumerate(apportion(profile, k)):
            if count > len(members[decile]):
                raise BudgetError(
                    f"{self.name} needs {count} rows of length decile {decile + 1} to match {self.like!r}, "
                    f"but the pool has {len(members[decile])}: take a smaller budget"
                )
            chosen += draw(members[decile], int(count), ctx)
        return chosen


def decile_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The decile (0 to 9) of each value among all of them; equal values share a decile."""
    edges = np.quantile(values, np.arange(1, DECILES) / DECILES)
    return np.searchsorted(edges, values, side="left")


def apportion(profile: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """``k`` split in proportion to ``profile`` by largest remainders; ties go to the shorter decile."""
    total = int(profile.sum())
    if total == 0:
        raise DataError("the selection whose lengths are to be matched is empty: name one that holds rows")
    exact = profile * k / total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: k - int(counts.sum())]] += 1
    return counts
