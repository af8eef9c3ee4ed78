"""Selections that the user already has: the whole pool, a file of rows, a column of scores, the planted truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow.compute as pc

from selkit.api import (
    Budget,
    Context,
    DataError,
    Example,
    Pool,
    RowScore,
    Sampler,
    Scorer,
    Selection,
    Selector,
    UsageError,
)
from selkit.plugins.builtin.random import draw
from selkit.plugins.builtin.tables import read_table

_SHOWN = 3


@dataclass
class Full(Selector):
    """Every row of the pool."""

    name = "full"
    baseline = True
    seeded = False
    sized = False

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """All ids, in ascending order."""
        return Selection(tuple(pool.sorted_ids))


@dataclass
class Subset(Selector):
    """A given subset: its size is its budget.

    The file holds ids (one a line, or a column ``id``), or rows in any format that pools are read from, which are
    matched to the pool by their text. What does not match is named and counted.

    Args:
        file: The ids or rows.
        match: How rows find their place: by 'id', by 'text', or 'auto': by id where every id is known.
    """

    name = "subset"
    seeded = False
    sized = False
    file: Path
    match: Literal["auto", "id", "text"] = "auto"

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The ids of the given rows, in the order of the file."""
        ids, unmatched = self._matched(pool, ctx)
        if not ids:
            raise DataError(
                f"no row of {self.file} is in pool {pool.name!r}: is it the right file, and the right pool?"
            )
        if unmatched:
            shown = ", ".join(repr(u[:60]) for u in unmatched[:_SHOWN])
            ctx.log(f"{len(unmatched)} rows of {self.file} are not in pool {pool.name!r}: {shown}, ...")
        return Selection(
            tuple(dict.fromkeys(ids)), notes={"unmatched": len(unmatched), "unmatched_rows": unmatched[:100]}
        )

    def _matched(self, pool: Pool, ctx: Context) -> tuple[list[str], list[str]]:
        known = set(pool.ids)
        if self.match != "text":
            given = _ids_in(self.file)
            if given is not None and (self.match == "id" or all(i in known for i in given) or not _has_text(self.file)):
                return [i for i in given if i in known], [i for i in given if i not in known]
            if self.match == "id":
                raise DataError(f"{self.file} has no column 'id': give ids, or match=text")
        by_text = {_text(example): example.id for example in reversed(list(pool))}
        rows = list(ctx.read_pool(self.file))
        found = [(by_text.get(_text(row)), row) for row in rows]
        return [i for i, _ in found if i is not None], [row.instruction for i, row in found if i is None]


@dataclass
class Column(Scorer):
    """The top rows by a number that is already there: a column of the pool, or of a file of scores joined by id.

    Args:
        column: Name of the column.
        file: File of scores with a column ``id``; without one the column is the pool's own.
        order: Whether large or small numbers come first.
        ties: Rows with equal numbers: the smaller id first, or in random order.
    """

    name = "column"
    column: str
    file: Path | None = None
    order: Literal["descending", "ascending"] = "descending"
    ties: Literal["id", "random"] = "id"

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """Follows ``order``."""
        return self.order == "descending"

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Only random ties depend on the seed."""
        return self.ties == "random"

    def tie_break(self) -> Literal["id", "random"]:
        """Follows ``ties``."""
        return self.ties

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Checks that the column is there and holds numbers."""
        self._numbers(pool)

    def score(self, pool: Pool, ctx: Context) -> Iterable[RowScore]:
        """The number of each row; a row without one is left out with its reason."""
        numbers = self._numbers(pool)
        for row_id in ctx.track(pool.ids, description=f"column {self.column}"):
            value = numbers.get(row_id)
            yield RowScore.excluded(f"no number in {self.column!r}") if value is None else RowScore(float(value))

    def _numbers(self, pool: Pool) -> Mapping[str, Any]:
        table = pool.table if self.file is None else read_table(self.file)
        where = f"pool {pool.name!r}" if self.file is None else str(self.file)
        for needed in ("id", self.column):
            if needed not in table.column_names:
                raise UsageError(f"{where} has no column {needed!r}; it has {', '.join(table.column_names)}")
        try:
            values = pc.cast(table[self.column], "float64")
        except (ValueError, NotImplementedError) as error:
            raise UsageError(f"column {self.column!r} of {where} does not hold numbers: {error}") from error
        return dict(zip(pc.cast(table["id"], "string").to_pylist(), values.to_pylist(), strict=True))


@dataclass
class Oracle(Sampler):
    """Knows the truth of a planted pool: draws from the rows whose response is right.

    Args:
        truth: The Boolean column that says so.
    """

    name = "oracle"
    truth: str = "truth"
    needs: ClassVar[str] = "a planted pool"

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Checks that the pool says which of its rows are right."""
        if self.truth not in pool.columns:
            raise UsageError(f"{self.name} needs {self.needs}: pool {pool.name!r} has no column {self.truth!r}")

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """``k`` right rows; wrong ones only where there are not enough right ones."""
        truth = dict(zip(pool.ids, pool.column(self.truth).to_pylist(), strict=True))
        right = np.array([i for i in pool.sorted_ids if truth[i]], dtype=object)
        wrong = np.array([i for i in pool.sorted_ids if not truth[i]], dtype=object)
        return draw(right, min(k, len(right)), ctx) + draw(wrong, max(0, k - len(right)), ctx)


def _text(example: Example) -> tuple[str, ...]:
    return (example.instruction.strip(), example.input.strip(), example.response.strip())


def _ids_in(path: Path) -> list[str] | None:
    if path.suffix == ".txt":
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    table = read_table(path)
    return pc.cast(table["id"], "string").drop_null().to_pylist() if "id" in table.column_names else None


def _has_text(path: Path) -> bool:
    return path.suffix != ".txt" and bool(
        {"response", "output", "conversations", "messages", "completion"}.intersection(read_table(path).column_names)
    )
