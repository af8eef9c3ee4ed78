"""The longest and the shortest responses ('Rethinking Data Selection', 'Long Is More')."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from selkit.api import Context, Pool, Scorer, UsageError
from selkit.plugins.references import cited

Unit = Literal["tokens", "characters", "words"]

_ROWS = 4096


@dataclass
class Longest(Scorer):
    """The longest responses.

    Args:
        unit: What length is counted in.
        tokenizer: Model whose tokenizer counts tokens; default the experiment's base model.
    """

    name = "longest"
    citation = cited("zhao2024long", "shen2024rethinking")
    unit: Unit = "tokens"
    tokenizer: str | None = None

    def model_parameters(self) -> tuple[str, ...]:
        """The tokenizer, where tokens are counted."""
        return ("tokenizer",) if self.unit == "tokens" else ()

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses to count tokens without a tokenizer."""
        if self.unit == "tokens" and self.tokenizer is None:
            raise UsageError(
                f"{self.name} counts tokens, which takes a tokenizer: name one with -p tokenizer=MODEL, "
                "or count words with -p unit=words"
            )

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Length of each response in ``unit``."""
        for start in ctx.track(range(0, len(pool), _ROWS), description=f"{self.name}: {self.unit}"):
            rows = Pool(pool.table.slice(start, _ROWS), name=pool.name)
            yield from lengths(rows, self.unit, self.tokenizer, ctx).tolist()


@dataclass
class Shortest(Longest):
    """The shortest responses.

    Args:
        unit: What length is counted in.
        tokenizer: Model whose tokenizer counts tokens; default the experiment's base model.
    """

    name = "shortest"
    higher_is_better = False


def lengths(pool: Pool, unit: Unit, tokenizer: str | None, ctx: Context) -> NDArray[np.int64]:
    """Length of each response, shape (len(pool),)."""
    responses = pool.column("response")
    if unit == "tokens":
        if tokenizer is None:
            raise UsageError("counting tokens takes a tokenizer: name one with -p tokenizer=MODEL, or take unit=words")
        return ctx.tokenizer(tokenizer).count(responses.to_pylist())
    counted = pc.utf8_length(responses) if unit == "characters" else _words(responses)
    result: NDArray[np.int64] = counted.to_numpy().astype(np.int64)
    return result


def _words(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    # Joining the words by one space and counting spaces would miss the empty text; splitting counts it as one word.
    trimmed = pc.utf8_trim_whitespace(texts)
    words = pc.list_value_length(pc.utf8_split_whitespace(trimmed))
    return pc.if_else(pc.equal(trimmed, ""), 0, words)
