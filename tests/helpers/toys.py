"""Small pools and components that several test folders use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selkit.api import Context, Example, Pool, RowScore, Sampler, Scorer


def make_pool(size: int = 40, name: str = "toy") -> Pool:
    """A pool whose row ``i`` has a response of ``i % 10 + 1`` words and a number in column ``grade``."""
    return Pool.from_examples(
        (
            Example(f"r{i:03d}", f"instruction {i}", "", " ".join(["word"] * (i % 10 + 1)), extra={"grade": i % 7 / 2})
            for i in range(size)
        ),
        name=name,
    )


@dataclass
class ByGrade(Scorer):
    """Scores by the column ``grade``; ``bad`` ids fail and ``out`` ids are excluded."""

    name = "by-grade"
    bad: tuple[str, ...] = ()
    out: tuple[str, ...] = ()

    def score(self, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
        """The grade of each row."""
        for example in ctx.track(pool):
            if example.id in self.out:
                yield RowScore.excluded("left out by rule")
            elif example.id in self.bad:
                yield float("nan")
            else:
                yield example.extra["grade"]


@dataclass
class Fixed(Sampler):
    """Returns the given ids whatever it is asked for."""

    name = "fixed"
    ids: tuple[str, ...] = ()

    def sample(self, pool: Pool, k: int, ctx: Context) -> list[str]:
        """The given ids."""
        return list(self.ids)
