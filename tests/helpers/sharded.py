"""Scorers that tell whether scoring in shards is what it is in one process; a module, so that workers can import it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from toys import ByGrade

from selkit.api import Context, Pool, RowScore, Scorer


@dataclass
class ByNeighbours(Scorer):
    """A model whose rounding differs with a row's neighbours in a batch, made visible."""

    name = "by-neighbours"
    by_length = True

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """The grade, and a little of the mean grade of the rows that came along."""
        grades = [float(row.extra["grade"]) for row in pool]
        return [grade + sum(grades) / len(grades) / 1000 for grade in grades]


@dataclass
class Peeping(Scorer):
    """Looks at the whole pool."""

    name = "peeping"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """The grade, over the number of rows."""
        assert ctx.pool is not None
        rows = len(ctx.pool)
        return [row.extra["grade"] / rows for row in pool]


@dataclass
class Trained(Scorer):
    """Asks for the scores of another component."""

    name = "trained"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """The negative of the other's."""
        scores = ctx.scores(ByGrade())
        return [-scores[row_id] for row_id in pool.ids]


@dataclass
class Telling(Scorer):
    """Tells which process scores, and which GPU it was given."""

    name = "telling"

    def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
        """The grade."""
        told = {"process": float(os.getpid()), "gpu": float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1)}
        return [RowScore(row.extra["grade"], details=told) for row in pool]
