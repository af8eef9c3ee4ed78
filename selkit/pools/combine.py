"""Pools made of pools: mixes, and limits on the number of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selkit.api.data import CORE_SCHEMA, Dropped, Pool
from selkit.api.errors import DataError
from selkit.pools.columns import harmonise, json_array
from selkit.pools.drops import KEPT, merged
from selkit.pools.fields import Fields
from selkit.pools.ids import text_digest, unique_ids
from selkit.pools.spec import Cap

_TEXT = ("instruction", "input", "response", "history")


def digests(table: pa.Table) -> pa.Array:
    """The :func:`text_digest` of every row of a pool's table."""
    found: list[str] = []
    for batch in table.select(_TEXT).to_batches():
        found.extend(map(text_digest, _fields(batch)))
    return pa.array(found, pa.string())


def _fields(batch: pa.RecordBatch) -> list[Fields]:
    columns = [batch.column(name).to_pylist() for name in _TEXT[:3]]
    turns = [tuple((t["role"], t["content"]) for t in row or ()) for row in batch.column("history").to_pylist()]
    return [Fields(*row) for row in zip(*columns, turns, strict=True)]


def mix(pools: Sequence[Pool], name: str = "mix", *, keep_sources: Sequence[bool] | None = None) -> Pool:
    """One pool of the rows of several, in their order; each row's ``source`` is the name of the pool it came from.

    A source that a row had of its own is kept in the column ``original_source``. Ids that occur in two pools are made
    anew by the rule for ids. A column that some pools lack is null there; one whose types differ becomes JSON text.

    Args:
        pools: The pools.
        name: Name of the new pool.
        keep_sources: Whether a pool's rows keep the sources they have (a mix inside a mix).

    Raises:
        DataError: Two pools of the same name, whose rows could not be told apart.
    """
    names = [pool.name for pool in pools]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise DataError(f"two pools of the mix are called {twice[0]!r}: give one of them another name with name")
    keep = keep_sources or [False] * len(pools)
    tables = [_with_source(pool, kept) for pool, kept in zip(pools, keep, strict=True)]
    table = pa.concat_tables(harmonise(tables))
    own = table["id"].combine_chunks()
    if pc.count_distinct(own).as_py() < len(own):
        table = table.set_column(0, CORE_SCHEMA.field("id"), unique_ids(own, digests(table)))
    turns = "all" if any(pool.turns == "all" for pool in pools) else "last"
    dropped = [row for pool in pools for row in pool.dropped][:KEPT]
    counts = merged(pool.dropped_counts for pool in pools)
    return Pool(table, name=name, dropped=dropped, dropped_counts=counts, turns=turns)  # type: ignore[arg-type]


def _with_source(pool: Pool, keep: bool) -> pa.Table:
    table = pool.table
    if keep:
        return table
    own = table["source"]
    place = table.column_names.index("source")
    if pc.any(pc.not_equal(own, pool.name)).as_py() and "original_source" not in table.column_names:
        table = table.append_column("original_source", own)
    return table.set_column(place, "source", pa.repeat(pa.scalar(pool.name, pa.string()), len(table)))


def capped(pool: Pool, cap: Cap) -> Pool:
    """The pool with at most ``cap.n`` rows for each value of ``cap.column``, or in all where that is None.

    Which rows stay is a uniform draw that depends on the seed and the ids alone: those whose SHA-256 of seed and id is
    smallest. The rows stay in pool order; what is left out is counted among the dropped rows.

    Raises:
        UsageError: The pool has no such column.
    """
    ranks = _ranks(_groups(pool, cap.column), _draws(pool, cap.seed))
    kept = pa.array(ranks < cap.n)
    left = pc.sum(pc.invert(kept)).as_py()
    if not left:
        return pool
    reason = (
        f"over the cap of {cap.n} rows for each {cap.column}" if cap.column else f"not in the sample of {cap.n} rows"
    )
    room = max(0, KEPT - len(pool.dropped))
    first = pool.table["id"].filter(pc.invert(kept)).slice(0, room).to_pylist()
    return Pool(
        pool.table.filter(kept),
        name=pool.name,
        turns=pool.turns,
        dropped=(*pool.dropped, *(Dropped(one, reason) for one in first)),
        dropped_counts=merged([pool.dropped_counts, {reason: left}]),
    )


def _groups(pool: Pool, column: str | None) -> np.ndarray:
    """A number for each row's value of the column; null is a value of its own. (rows,) int64."""
    if column is None:
        return np.zeros(len(pool), dtype=np.int64)
    values = pool.column(column).combine_chunks()
    if pa.types.is_nested(values.type):
        values = json_array(values.to_pylist())
    codes = pc.dictionary_encode(values, null_encoding="encode").indices
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


def _draws(pool: Pool, seed: int) -> np.ndarray:
    """A uniform random number for each row that its id and the seed determine. (rows,) uint64."""
    start = hashlib.sha256(f"{seed}\x00".encode())
    draws = np.empty(len(pool), dtype=np.uint64)
    for i, one in enumerate(pool.ids):
        digest = start.copy()
        digest.update(one.encode())
        draws[i] = int.from_bytes(digest.digest()[:8])
    return draws


def _ranks(groups: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The place of each row among those of its group, by its draw, from 0."""
    order = np.lexsort((draws, groups))
    ordered = groups[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    position = np.arange(len(groups))
    first = np.maximum.accumulate(np.where(starts, position, 0))
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = position - first
    return ranks
