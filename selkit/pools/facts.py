"""What is in a pool: sizes, lengths, duplicates, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selkit.api.data import Pool
from selkit.pools.combine import digests

QUANTILES = {"shortest": 0.0, "quarter": 0.25, "median": 0.5, "three quarters": 0.75, "longest": 1.0}
"""The quantiles of lengths that are reported, by name."""


@dataclass(frozen=True)
class PoolFacts:
    """Facts of a pool.

    Args:
        name: Its name.
        rows: Rows that can be used.
        fingerprint: Digest of the rows.
        turns: Which assistant turns train.
        dropped: Rows left out, by reason.
        duplicates: Rows whose text another row has already.
        columns: Arrow type of each column, by name.
        sources: Rows by source, most first.
        conversations: Rows with earlier turns or a system prompt.
        instruction_words: Words of instruction and input together, by quantile (:data:`QUANTILES`).
        response_words: Words of the response, by quantile.
    """

    name: str
    rows: int
    fingerprint: str
    turns: str
    dropped: Mapping[str, int]
    duplicates: int
    columns: Mapping[str, str]
    sources: Mapping[str, int]
    conversations: int
    instruction_words: Mapping[str, float]
    response_words: Mapping[str, float]


def describe(pool: Pool) -> PoolFacts:
    """The facts of a pool; reads every row once."""
    response, asked = _words(pool, "response"), _words(pool, "instruction") + _words(pool, "input")
    earlier = pc.sum(pc.greater(pc.list_value_length(pool.column("history")), 0)).as_py() or 0
    return PoolFacts(
        name=pool.name,
        rows=len(pool),
        fingerprint=pool.fingerprint,
        turns=pool.turns,
        dropped=dict(pool.dropped_counts),
        duplicates=len(pool) - len(pc.unique(digests(pool.table))),
        columns={field.name: str(field.type) for field in pool.table.schema},
        sources=_counts(pool.column("source")),
        conversations=int(earlier),
        instruction_words=_quantiles(asked),
        response_words=_quantiles(response),
    )


def _words(pool: Pool, column: str) -> np.ndarray:
    """Number of words, as white space separates them, of every text. (rows,) int64."""
    counts = np.zeros(len(pool), dtype=np.int64)
    row = 0
    for batch in pool.table.select([column]).to_batches():
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(batch.column(0)))
        found = pc.list_value_length(words).to_numpy(zero_copy_only=False)
        empty = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(batch.column(0))), 0).to_numpy(zero_copy_only=False)
        counts[row : row + len(batch)] = np.where(empty, 0, found)
        row += len(batch)
    return counts


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(values, q)) for name, q in QUANTILES.items()} if len(values) else {}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    pairs = [(entry["values"], entry["counts"]) for entry in pc.value_counts(column).to_pylist()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0] or "")))
