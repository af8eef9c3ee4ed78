"""What is in a pool: sizes, lengths, duplicates, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from selkit.api.data import Pool
from selkit.pools.combine import digests

QUANTILES = {"shortest": 0.0, "quarter": 0.25, "median": 0.5, "three quarters": 0.75, "longest": 1.0}


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
        columns: Names of the columns.
        sources: Rows by source.
        conversations: Rows with earlier turns.
        response_words: Words of a response, by quantile.
    """

    name: str
    rows: int
    fingerprint: str
    turns: str
    dropped: Mapping[str, int]
    duplicates: int
    columns: tuple[str, ...]
    sources: Mapping[str, int]
    conversations: int
    response_words: Mapping[str, float]


def describe(pool: Pool) -> PoolFacts:
    """The facts of a pool; reads every row once."""
    texts = Counter(digests(pool.table).to_pylist())
    words = [len(text.split()) for text in pool.column("response").to_pylist()]
    quantiles = {name: float(np.quantile(words, q)) for name, q in QUANTILES.items()} if words else {}
    earlier = pc.sum(pc.greater(pc.list_value_length(pool.column("history")), 0)).as_py() or 0
    return PoolFacts(
        name=pool.name,
        rows=len(pool),
        fingerprint=pool.fingerprint,
        turns=pool.turns,
        dropped=dict(pool.dropped_counts),
        duplicates=len(pool) - len(texts),
        columns=tuple(pool.columns),
        sources=dict(Counter(pool.column("source").to_pylist())),
        conversations=int(earlier),
        response_words=quantiles,
    )
