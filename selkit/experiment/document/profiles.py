"""Profiles of pools, selections and scores: lengths, leading verbs, histograms, ends. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from selkit.api import Pool
from selkit.experiment.document.instructions import leading_verbs
from selkit.select import rank

BINS = 30
"""Bins of a score histogram."""

EXTREMES = 5
"""Rows named at each end of a score."""

_TAIL = 0.005
"""Share of the pool's scores left out of the bins at each end, so that one odd row does not make one bin of all."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SHOWN = 200
Row = dict[str, Any]


def profile(pool: Pool, verbs: int) -> Row:
    """Rows, words of instructions (with their inputs) and of responses, and the commonest leading verbs of a pool."""
    asked = pc.add(word_counts(pool.column("instruction")), word_counts(pool.column("input")))
    return {
        "rows": len(pool),
        "words": {"instruction": _spread(asked), "response": _spread(word_counts(pool.column("response")))},
        "verbs": leading_verbs(_texts(pool.column("instruction")), verbs),
    }


def word_counts(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Words between white space of every text; nothing where a text is null counts 0."""
    bare = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
    counts = pc.cast(pc.list_value_length(pc.utf8_split_whitespace(bare)), pa.int64())
    return pc.if_else(pc.equal(pc.binary_length(bare), 0), pa.scalar(0, pa.int64()), counts)


def shifted(selection: Row, pool: Row) -> Row:
    """The profile of a selection with the ``shift`` of its mean lengths against its pool.

    ``words`` is the difference of the means; ``deviations`` the same in standard deviations of the pool, None where
    these are 0.
    """
    shift: Row = {}
    for part, mine in selection["words"].items():
        theirs = pool["words"][part]
        if mine["mean"] is not None and theirs["mean"] is not None:
            words = mine["mean"] - theirs["mean"]
            deviations = round(words / theirs["sd"], 6) if theirs["sd"] else None
            shift[part] = {"words": round(words, 6), "deviations": deviations}
    return {**selection, "shift": shift}


def score_profile(table: pa.Table, pool: Pool) -> Row:
    """Histogram and ends of stored scores.

    Returns:
        ``scored`` rows; ``edges`` of the bins, which hold the middle 99% of the pool; their ``counts``, and how many
        lie ``below`` and ``above``; ``highest`` and ``lowest`` rows, equal scores by id.
    """
    known = table.filter(pc.is_finite(table["score"]))
    ids, values = known["id"].combine_chunks(), known["score"].to_numpy()
    edges = bin_edges(values)
    ends = {
        name: [int(place) for place in rank(ids, values, higher_is_better=higher)[:EXTREMES]]
        for name, higher in (("highest", True), ("lowest", False))
    }
    return {
        "scored": len(values),
        "edges": edges,
        **counted(values, edges),
        **{name: _named(pool, [(ids[p].as_py(), float(values[p])) for p in places]) for name, places in ends.items()},
    }


def bin_edges(values: NDArray[np.float64]) -> list[float]:
    """Edges of at most :data:`BINS` bins of one width over the middle 99% of the values; of equal values one bin.

    Between whole numbers the edges lie at halves, so that no bin is empty because no number could be in it.
    """
    if not len(values):
        return []
    low, high = (float(value) for value in np.quantile(values, [_TAIL, 1 - _TAIL], method="lower"))
    if low == high:
        return [low, high]
    if bool((values == np.rint(values)).all()):
        width = -(-int(high - low + 1) // BINS)
        bins = -(-int(high - low + 1) // width)
        return [low - 0.5 + width * place for place in range(bins + 1)]
    return [float(edge) for edge in np.linspace(low, high, BINS + 1)]


def counted(values: NDArray[np.float64], edges: Sequence[float]) -> Row:
    """How many values lie in each bin between ``edges``, below the first and above the last."""
    if not edges:
        return {"counts": [], "below": 0, "above": 0}
    low, high = edges[0], edges[-1]
    inside = values[(values >= low) & (values <= high)]
    counts = [len(inside)] if low == high else np.histogram(inside, bins=np.asarray(edges))[0].tolist()
    return {"counts": counts, "below": int((values < low).sum()), "above": int((values > high).sum())}


def _named(pool: Pool, rows: Sequence[tuple[str, float]]) -> list[Row]:
    """Rows with their scores and shortened texts."""
    texts = {row.id: row for row in pool.take([row_id for row_id, _ in rows])}
    return [
        {
            "id": row_id,
            "score": score,
            "instruction": shortened(texts[row_id].question),
            "response": shortened(texts[row_id].response),
        }
        for row_id, score in rows
    ]


def shortened(text: str, most: int = _SHOWN) -> str:
    """The text on one line, cut at ``most`` characters with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _spread(counts: pa.ChunkedArray) -> Row:
    values = counts.to_numpy().astype(np.float64)
    if not len(values):
        return {"mean": None, "sd": None, "quantiles": []}
    return {
        "mean": round(float(values.mean()), 6),
        "sd": round(float(values.std()), 6),
        "quantiles": [round(float(value), 6) for value in np.quantile(values, _QUANTILES)],
    }


def _texts(column: pa.ChunkedArray) -> Iterator[str]:
    for chunk in column.chunks:
        for start in range(0, len(chunk), 8192):
            yield from chunk.slice(start, 8192).to_pylist()
