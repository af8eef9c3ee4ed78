"""Random choice: the control of every experiment, and the variant that 'Chasing Random' drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selkit.api import Context, DataError, Pool, Sampler, UsageError
from selkit.plugins.references import cited


@dataclass
class Random(Sampler):
    """Plain uniform random choice without replacement: the control."""

    name = "random"
    baseline = True

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` ids, uniform over all subsets of that size."""
        return draw(pool.sorted_ids, k, ctx)


@dataclass
class RandomLowOverlap(Sampler):
    """Random choice, drawn again while it shares too many rows with another arm's selection.

    'Chasing Random' (its published code) drew random subsets this way. The result is not a uniform sample, so it is an
    arm of its own and never the control.

    Args:
        max_overlap: Largest share of the drawn rows that may also be in any one of the other selections.
        against: Arms or folders to compare with; empty means all other arms of the experiment.
        attempts: Draws before giving up.
    """

    name = "random-low-overlap"
    citation = cited("diddee2024chasing")
    after_others = True
    max_overlap: float = 0.3
    against: tuple[str, ...] = ()
    attempts: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.max_overlap <= 1:
            raise ValueError(f"max_overlap is a share between 0 and 1, not {self.max_overlap}")

    def selections_named(self) -> tuple[str, ...]:
        """Those that are compared with."""
        return self.against

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` ids whose overlap with every other selection stays within ``max_overlap``."""
        others = [set(ids) for ids in others_of(self.name, "against", self.against, ctx).values()]
        lowest = 1.0
        for _ in range(self.attempts):
            ids = draw(pool.sorted_ids, k, ctx)
            overlap = max((len(other.intersection(ids)) / max(k, 1) for other in others), default=0.0)
            if overlap <= self.max_overlap:
                return ids
            lowest = min(lowest, overlap)
        raise DataError(
            f"{self.name} found no draw of {k} rows with an overlap of at most {self.max_overlap:.0%} "
            f"in {self.attempts} attempts (the lowest was {lowest:.0%}): raise max_overlap, or take a smaller budget"
        )


def draw(ids: Sequence[str] | NDArray[np.object_], k: int, ctx: Context) -> list[str]:
    """``k`` of ``ids`` (which are in a fixed order), uniform and without replacement."""
    return [ids[i] for i in ctx.rng.choice(len(ids), size=k, replace=False)]


def others_of(name: str, parameter: str, refs: Sequence[str], ctx: Context) -> dict[str, Sequence[str]]:
    """The selections that ``refs`` name, or those of all other arms where it names none.

    Raises:
        UsageError: There is nothing to compare with.
    """
    found = {ref: ctx.selection(ref) for ref in refs} if refs else dict(ctx.selections)
    if not found:
        raise UsageError(
            f"{name} needs other selections: name folders that `selkit select` wrote with -p {parameter}=DIR,DIR"
        )
    return found
