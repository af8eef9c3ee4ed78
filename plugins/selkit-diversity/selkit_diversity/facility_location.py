"""Facility location: rows that stand for the whole pool, each row of which is near to one of them.

The diversity stage of Superfiltering.D (Li et al., ACL 2024) takes 2% so out of the 20% with the highest scores. The
greedy choice is that of submodlib.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selkit.api import Budget, Context, DataError, Pool, Scorer, Selection, UsageError
from selkit_diversity.embedded import OnEmbeddings, Points, Text

_BLOCK = 1024
_COPIES = 3
"""The similarities exist as often: here, as the library takes them over, and as it keeps them."""


@dataclass
class FacilityLocation(OnEmbeddings):
    """Rows chosen one by one to raise the sum, over all candidates, of the similarity to the most similar chosen row.

    The defaults are those of Superfiltering.D's second stage, whose embedder is all-MiniLM-L6-v2; its first stage is
    scorer=superfiltering with candidates=20%. Similarities of all pairs are held in memory, three times 4 bytes each:
    1.2 GB for 10,000 candidates.

    Args:
        embedder: The model that embeds: a causal language model or a text encoder; none means the base model.
        text: What of a row is embedded: 'both' question and response, the 'question' (instruction and input), the
            'instruction' alone, or the 'response'.
        pooling: The mean over all tokens ('mean'), the 'last' token, or the first one ('cls').
        max_length: Most tokens of a text; longer texts lose their end; none means the model's context.
        normalize: Whether embeddings are brought to length 1 first.
        similarity: exp(-distance / width of the embeddings) ('euclidean', as in submodlib), or the 'cosine'.
        scorer: A scorer whose best rows are the candidates; none means that all rows are.
        candidates: How many rows that are, as a number or a share of the pool such as 20%.
        max_memory: Gigabytes that the similarities may take; what takes more is refused before it starts.
    """

    name: ClassVar[str] = "facility-location"
    seeded: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "submodlib")
    extra: ClassVar[str] = "selkit-diversity[facility-location]"

    text: Text = "both"
    normalize: bool = True
    similarity: Literal["euclidean", "cosine"] = "euclidean"
    scorer: Scorer | None = None
    candidates: str = "20%"
    max_memory: float = 8.0

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings that make no sense, and pools too large for the memory. Raises UsageError and DataError."""
        super().preflight(pool, ctx)
        if self.max_memory <= 0:
            raise UsageError(f"max_memory of facility-location is in gigabytes and above 0, not {self.max_memory}")
        size = self._candidates(pool)
        needed = _COPIES * 4 * size**2 / 1e9
        if needed > self.max_memory:
            raise DataError(
                f"facility-location would hold {needed:.1f} GB of similarities between {size} rows, more than "
                f"max_memory={self.max_memory:g}: take fewer with -p scorer=NAME -p candidates=N, or raise max_memory"
            )

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The rows in the order in which they were taken."""
        rows = budget.rows(len(pool), f"pool {pool.name!r}")
        if not rows:
            return Selection(())
        points = self.points(pool, ctx)
        places = self._places(points, pool, ctx)
        order = facility_location(points.vectors[places], min(rows, len(places)), self.similarity)
        ids = tuple(points.ids[places[place]] for place in order)
        short = None
        if len(ids) < rows:
            short = f"{len(places)} of {len(pool)} rows are candidates (scorer and candidates say which)"
        return Selection(ids, {}, {"candidates": len(places), "truncated": points.truncated}, short)

    def _candidates(self, pool: Pool) -> int:
        return len(pool) if self.scorer is None else Budget.parse(self.candidates).rows(len(pool), "the pool")

    def _places(self, points: Points, pool: Pool, ctx: Context) -> NDArray[np.int64]:
        """Where the candidates stand among the points, ascending."""
        if self.scorer is None:
            return np.arange(len(points.ids))
        scores = ctx.scores(self.scorer)
        sign = -1 if self.scorer.higher_is_better else 1
        scored = [place for place, row_id in enumerate(points.ids) if row_id in scores]
        best = sorted(scored, key=lambda place: (sign * scores[points.ids[place]], place))
        return np.sort(np.asarray(best[: self._candidates(pool)], np.int64))


def facility_location(points: NDArray[np.float32], count: int, similarity: str) -> list[int]:
    """``count`` points by greedy facility location, in the order of the picks.

    Equal points count as often as they occur, but only the first of them is picked; where all different points are
    picked, the rest follow in their own order. Of points that gain the same the first is picked.

    Args:
        points: Shape (n, width).
        count: How many to pick, at most n.
        similarity: 'euclidean' or 'cosine'.
    """
    first: dict[bytes, int] = {}
    for index, point in enumerate(points):
        first.setdefault(point.tobytes(), index)
    different = list(first.values())
    picks = [different[place] for place in _greedy(points, different, min(count, len(different)), similarity)]
    taken = set(picks)
    return picks + [index for index in range(len(points)) if index not in taken][: count - len(picks)]


def _greedy(points: NDArray[np.float32], different: list[int], count: int, similarity: str) -> list[int]:
    """Places in ``different`` of the picks."""
    from submodlib import FacilityLocationFunction

    if not count:
        return []
    if len(different) == 1:
        return [0]
    # Of candidates that gain the same the library prefers the last, so it gets them the other way round.
    backwards = different[::-1]
    kernel = similarities(points, points[backwards], similarity)
    function: Any = FacilityLocationFunction(
        n=len(different), mode="dense", separate_rep=True, n_rep=len(points), sijs=kernel
    )
    # The library refuses to pick everything; what is left over then is one point.
    found = function.maximize(
        budget=min(count, len(different) - 1),
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        verbose=False,
        show_progress=False,
    )
    picks = [len(different) - 1 - int(place) for place, _ in found]
    return picks + sorted(set(range(len(different))) - set(picks))[: count - len(picks)]


def similarities(rows: NDArray[np.float32], columns: NDArray[np.float32], similarity: str) -> NDArray[np.float32]:
    """Similarities of points, shape (len(rows), len(columns)): exp(-distance / width), or cosines of the angles."""
    kernel = np.empty((len(rows), len(columns)), np.float32)
    right = columns.astype(np.float64)
    lengths = np.einsum("ij,ij->i", right, right)
    for start in range(0, len(rows), _BLOCK):
        left = rows[start : start + _BLOCK].astype(np.float64)
        products, squares = left @ right.T, np.einsum("ij,ij->i", left, left)
        if similarity == "cosine":
            norms = np.sqrt(squares[:, None] * lengths)
            block = products / np.where(norms > 0, norms, 1)
        else:
            block = np.exp(-np.sqrt(np.maximum(squares[:, None] + lengths - 2 * products, 0)) / right.shape[1])
        kernel[start : start + _BLOCK] = block
    return kernel
