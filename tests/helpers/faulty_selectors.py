"""Selectors that break one rule each, for the tests of the conformance kit. The sound ones come first."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from selkit.api import Budget, Context, Example, Pool, RowScore, Sampler, Scorer, Selection, Selector, UsageError
from selkit.plugins.builtin.length import Longest


@dataclass
class SoundScorer(Scorer):
    """Words of the response.

    Args:
        least: Rows with fewer words are left out.
    """

    name = "sound-scorer"
    least: int = 0

    def score(self, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
        """One number per row."""
        for example in ctx.track(pool):
            words = len(example.response.split())
            yield float(words) if words >= self.least else RowScore.excluded("too few words")


@dataclass
class SoundSampler(Sampler):
    """Uniform."""

    name = "sound-sampler"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` ids."""
        return list(ctx.rng.choice(pool.sorted_ids, size=k, replace=False))


@dataclass
class SoundSelector(Selector):
    """The first ids in order, half of the pool at most."""

    name = "sound-selector"
    seeded = False

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The ids, with a shortfall where there are not enough."""
        rows, most = budget.rows(len(pool)), len(pool) // 2
        shortfall = "only half of the rows are good" if rows > most else None
        return Selection(tuple(pool.sorted_ids[: min(rows, most)]), shortfall=shortfall)


@dataclass
class FromTheFuture(SoundSampler):
    """Needs an interface that does not exist yet."""

    name = "from-the-future"
    api_version = 99


@dataclass
class Undocumented(SoundSampler):
    """Does not say what its parameter means."""

    name = "undocumented"
    secret: int = 1


@dataclass
class Doubling(SoundSampler):
    """Changes its own parameter.

    Args:
        ratio: Doubled whenever the component is made.
    """

    name = "doubling"
    ratio: float = 1.0

    def __post_init__(self) -> None:
        self.ratio *= 2


@dataclass
class OneShort(SoundSampler):
    """Leaves out one row, except where that would be all."""

    name = "one-short"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """One fewer than asked for."""
        return super().sample(pool, k - 1 if k > 1 else k, ctx)


@dataclass
class WithReplacement(SoundSampler):
    """Draws rows more than once."""

    name = "with-replacement"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Ids with repeats."""
        return list(ctx.rng.choice(pool.sorted_ids[:2], size=k, replace=True))


@dataclass
class Stranger(SoundSampler):
    """Makes ids up."""

    name = "stranger"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Row numbers."""
        return [str(number) for number in range(k)]


@dataclass
class Unseeded(SoundSampler):
    """Draws from the operating system's randomness."""

    name = "unseeded"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Other ids every time."""
        return list(np.random.default_rng().choice(pool.sorted_ids, size=k, replace=False))


@dataclass
class NotSeeded(SoundSampler):
    """Says that it depends on the seed, and does not."""

    name = "not-seeded"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """The first ids."""
        return list(pool.sorted_ids[: Budget(count=k).rows(len(pool))])


@dataclass
class SecretlySeeded(SoundSampler):
    """Says that it does not depend on the seed, and does."""

    name = "secretly-seeded"
    seeded = False


@dataclass
class FirstRows(Sampler):
    """Takes the rows that stand first in the file."""

    name = "first-rows"
    seeded = False

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """The first ids as they come."""
        return pool.ids[: Budget(count=k).rows(len(pool))]


@dataclass
class OrderScorer(SoundScorer):
    """Scores rows by their place in the file."""

    name = "order-scorer"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """0, 1, 2, ..."""
        return [float(place) for place, _ in enumerate(ctx.track(pool))]


@dataclass
class NeverNothing(SoundSampler):
    """Draws at least one row."""

    name = "never-nothing"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """One row where none is asked for."""
        return super().sample(pool, max(k, 1), ctx)


@dataclass
class InPairs(SoundSampler):
    """Draws an even number of rows."""

    name = "in-pairs"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` rounded down to pairs."""
        return super().sample(pool, Budget(count=k).rows(len(pool)) // 2 * 2, ctx)


@dataclass
class HalfAtMost(SoundSampler):
    """Never takes more than half of the pool, and does not say so."""

    name = "half-at-most"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Fewer rows than asked for."""
        return super().sample(pool, min(Budget(count=k).rows(len(pool)), len(pool) // 2), ctx)


@dataclass
class AsManyAsThereAre(SoundSampler):
    """Takes fewer rows than asked for where the pool is too small."""

    name = "as-many-as-there-are"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """All rows where more are asked for."""
        return super().sample(pool, min(k, len(pool)), ctx)


@dataclass
class Dividing(SoundScorer):
    """Divides by the number of words."""

    name = "dividing"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Characters per word."""
        return [len(example.response) / len(example.response.split()) for example in ctx.track(pool)]


@dataclass
class Weighting(SoundSampler):
    """Draws short responses more often, by one over the number of words."""

    name = "weighting"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Ids by weight."""
        weights = {example.id: 1 / len(example.response.split()) for example in pool}
        shares = np.array([weights[row_id] for row_id in pool.sorted_ids])
        return list(ctx.rng.choice(pool.sorted_ids, size=k, replace=False, p=shares / shares.sum()))


@dataclass
class Skipping(SoundScorer):
    """Leaves out rows without a response."""

    name = "skipping"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Too few scores."""
        return [1.0 for example in ctx.track(pool) if example.response.strip()]


@dataclass
class Guessing(SoundScorer):
    """Gives rows that it cannot score the lowest score."""

    name = "guessing"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Minus infinity in place of a reason."""
        return [float(len(example.response)) or -float("inf") for example in ctx.track(pool)]


@dataclass
class FailingWithValue(SoundScorer):
    """Reports failures with a value all the same."""

    name = "failing-with-value"

    def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
        """A default score."""
        return [_value_or_zero(example) for example in ctx.track(pool)]


@dataclass
class NoReason(SoundScorer):
    """Leaves rows out without a reason."""

    name = "no-reason"

    def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
        """A status alone."""
        return [RowScore(1.0) if example.response else RowScore.excluded("") for example in ctx.track(pool)]


@dataclass
class Untracked(SoundScorer):
    """Shows no progress."""

    name = "untracked"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Sound scores."""
        return [float(len(example.response)) for example in pool]


@dataclass
class Wanting(SoundScorer):
    """Sound, once it is told its mood.

    Args:
        mood: Anything.
        least: Rows with fewer words are left out.
    """

    name = "wanting"
    mood: str | None = None

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses to work without one."""
        if self.mood is None:
            raise UsageError(f"{self.name} needs a mood: give -p mood=calm")


@dataclass
class RunningMean(SoundScorer):
    """Compares each row with those before it, and says that rows are independent."""

    name = "running-mean"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Length less the mean so far, in the order of ids, so that the pool's order does not matter."""
        total, lead = 0.0, {}
        for number, example in enumerate(sorted(ctx.track(pool), key=lambda row: row.id), start=1):
            total += len(example.response)
            lead[example.id] = len(example.response) - total / number
        return [lead[row_id] for row_id in pool.ids]


@dataclass
class TrustingItsCache(SoundScorer):
    """Takes the number of rows that it has begun with from its folder, where a kill leaves it behind."""

    name = "trusting-its-cache"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Sound scores, twice as large where an earlier pass did not tidy up."""
        begun = ctx.cache_dir / "begun"
        factor = 2.0 if begun.exists() else 1.0
        begun.touch()
        for example in ctx.track(pool):
            yield factor * len(example.response)
        begun.unlink()


@dataclass
class Sorting(SoundSampler):
    """Sorts the pool's own list of ids."""

    name = "sorting"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        pool.ids.sort(reverse=True)
        return super().sample(pool, k, ctx)


@dataclass
class GlobalSeed(SoundSampler):
    """Seeds numpy's global generator."""

    name = "global-seed"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        np.random.seed(0)
        return super().sample(pool, k, ctx)


@dataclass
class GlobalShuffle(SoundSampler):
    """Uses the module random."""

    name = "global-shuffle"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        random.random()
        return super().sample(pool, k, ctx)


@dataclass
class SetsEnvironment(SoundSampler):
    """Sets an environment variable."""

    name = "sets-environment"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        os.environ["FAULTY_SELECTOR"] = "was here"
        return super().sample(pool, k, ctx)


@dataclass
class ChangesFolder(SoundSampler):
    """Changes the working directory."""

    name = "changes-folder"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        os.chdir(ctx.cache_dir)
        return super().sample(pool, k, ctx)


@dataclass
class Littering(SoundSampler):
    """Writes a file where it likes."""

    name = "littering"
    place: ClassVar[Path]

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        (self.place / "stray.txt").write_text("here")
        return super().sample(pool, k, ctx)


@dataclass
class Phoning(SoundSampler):
    """Asks another machine."""

    name = "phoning"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids, whether the host is known or not."""
        with suppress(socket.gaierror):
            socket.getaddrinfo("selkit.invalid", 443)
        return super().sample(pool, k, ctx)


@dataclass
class Printing(SoundSampler):
    """Prints to stdout."""

    name = "printing"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        sys.stdout.write("working\n")
        return super().sample(pool, k, ctx)


@dataclass
class PrintingPastPython(SoundSampler):
    """Writes to the descriptor of stdout, as C libraries do."""

    name = "printing-past-python"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Sound ids."""
        os.write(1, b"working\n")
        return super().sample(pool, k, ctx)


@dataclass
class Exiting(SoundSampler):
    """Ends the process."""

    name = "exiting"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Nothing."""
        sys.exit(3)


@dataclass
class Bypassing(SoundSampler):
    """Asks the scorer that is its parameter past the host.

    Args:
        scorer: What ranks the rows.
    """

    name = "bypassing"
    seeded = False
    scorer: Scorer = field(default_factory=lambda: Longest(unit="words"))

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """The best by scores that nobody keeps."""
        scores = dict(zip(pool.ids, self.scorer.score(pool, ctx), strict=True))
        return sorted(pool.sorted_ids, key=lambda row_id: -as_number(scores[row_id]))[: self.most(pool, k)]

    def most(self, pool: Pool, k: int) -> int:
        """The budget, checked."""
        return Budget(count=k).rows(len(pool))


@dataclass
class Asking(Bypassing):
    """The same through the host.

    Args:
        scorer: What ranks the rows.
    """

    name = "asking"

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """The best by stored scores."""
        scores = ctx.scores(self.scorer)
        return sorted(pool.sorted_ids, key=lambda row_id: -scores.get(row_id, 0.0))[: self.most(pool, k)]


def as_number(score: float | RowScore) -> float:
    """A score as a number, 0 where there is none."""
    return (score.value or 0.0) if isinstance(score, RowScore) else score


def _value_or_zero(example: Example) -> RowScore:
    words = len(example.response.split())
    return RowScore(float(words)) if words else RowScore(0.0, "failed", "no words")
